"""The stand-in accepts and refuses an Extension as gardenlet does."""

from typing import Any

import pytest

from equipment.gardenlet import FATAL_CODES, OPERATION, TIMESTAMP, Shoot, objection, refusal

STAMP, LATER = "2026-01-01T10:00:00.900000Z", "2026-01-01T10:00:01Z"


def extension(*, notes: Any = None, **status: Any) -> Any:
    good = {
        "observedGeneration": 2,
        "lastOperation": {"type": "Reconcile", "state": "Succeeded", "lastUpdateTime": "2026-01-01T10:00:00Z"},
    }
    return {
        "metadata": {"generation": 2, "annotations": {TIMESTAMP: STAMP} if notes is None else notes},
        "status": {**good, **status},
    }


def operation(state: str, at: str = LATER) -> Any:
    return {"type": "Reconcile", "state": state, "lastUpdateTime": at}


def test_done_in_the_same_second_as_it_was_asked_for_is_accepted() -> None:
    assert objection(extension()) == ""
    assert objection(extension(notes={})) == ""


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (extension(lastError={"description": "Oh", "lastUpdateTime": LATER}), "error during reconciliation: Oh"),
        (extension(observedGeneration=1), "observed generation outdated (1/2)"),
        (extension(notes={OPERATION: "reconcile"}), 'operation "reconcile" is not yet picked up'),
        (extension(lastOperation=None), "did not record"),
        (extension(lastOperation=operation("Processing")), "not succeeded but Processing"),
        (extension(lastOperation=operation("Succeeded", "2026-01-01T09:59:59Z")), "requested at"),
        ({"metadata": {"generation": 1}}, "observed generation outdated (0/1)"),
    ],
)
def test_anything_else_is_not(wrong: Any, reason: str) -> None:
    assert reason in objection(wrong)


def failed(code: str, at: str = LATER, **more: Any) -> Any:
    error = {"description": "Bad", "codes": [code], "lastUpdateTime": at}
    return extension(lastError=error, lastOperation=operation("Error", at), **more)


@pytest.mark.parametrize("code", sorted(FATAL_CODES))
def test_some_errors_end_the_shoots_operation(code: str) -> None:
    assert refusal(failed(code)) == "Bad"


def test_an_error_that_may_pass_or_is_of_an_earlier_run_ends_nothing() -> None:
    assert refusal(failed("ERR_RETRYABLE_CONFIGURATION_PROBLEM")) == ""
    assert refusal(failed("ERR_CONFIGURATION_PROBLEM", "2026-01-01T09:59:59Z")) == ""
    assert refusal(failed("ERR_CONFIGURATION_PROBLEM", notes={OPERATION: "reconcile", TIMESTAMP: STAMP})) == ""
    assert refusal({"metadata": {"generation": 1}}) == ""


def test_the_cluster_has_what_the_extension_has() -> None:
    shoot = Shoot(namespace="shoot--p--s", provider_config={"configs": {"default": "x"}}, spec={"purpose": "testing"})
    spec = shoot.cluster()["spec"]
    assert spec["shoot"]["spec"]["extensions"] == [
        {"type": "cri-resmgr-extension", "providerConfig": {"configs": {"default": "x"}}}
    ]
    assert spec["shoot"]["spec"]["purpose"] == "testing"
    assert all({"apiVersion", "kind"} <= set(part) for part in spec.values())


def test_a_shoot_that_goes_says_so() -> None:
    shoot = Shoot(namespace="shoot--p--s", deleting=True, annotations={"a": "b"}).cluster()["spec"]["shoot"]
    assert shoot["metadata"]["deletionTimestamp"]
    assert shoot["metadata"]["annotations"] == {"a": "b"}
    assert shoot["status"]["lastOperation"]["type"] == "Delete"
