"""A condition changes only when there is something new, and leaves those of others alone."""

import pytest

from extension.conditions import condition, patch, patient
from extension.verdicts import GOOD, HIBERNATED, Verdict

THEN, NOW = "2026-01-01T10:00:00Z", "2026-01-01T11:00:00Z"
BAD = Verdict("False", "HealthCheckUnsuccessful", "no.", ("ERR_CONFIGURATION_PROBLEM",))
OTHER = {"type": "EveryNodeReady", "status": "True", "reason": "r", "message": "m"}


def extension(*conditions, last=("Create", "Succeeded"), **metadata):
    status = {"conditions": list(conditions)}
    if last:
        status["lastOperation"] = {"type": last[0], "state": last[1], "description": "", "lastUpdateTime": THEN}
    name = {"namespace": "shoot--p--s", "name": "cri-resmgr-extension", "resourceVersion": "7"}
    return {"metadata": {**name, **metadata}, "spec": {"type": "cri-resmgr-extension"}, "status": status}


def said(verdict, *, at=THEN):
    return patch(extension(), verdict, now=at)["status"]["conditions"][0]


def test_what_was_written_is_what_is_read() -> None:
    for verdict in (GOOD, BAD, HIBERNATED):
        found = condition(extension(OTHER, said(verdict)))
        assert found is not None
        assert (found.verdict, found.changed, found.updated) == (verdict, THEN, THEN)


def test_without_codes_there_is_no_key_for_them() -> None:
    assert "codes" not in said(GOOD)
    assert said(BAD)["codes"] == ["ERR_CONFIGURATION_PROBLEM"]


def test_another_status_is_a_transition_another_message_is_none() -> None:
    worse = patch(extension(said(GOOD)), BAD, now=NOW)["status"]["conditions"][0]
    assert (worse["lastTransitionTime"], worse["lastUpdateTime"]) == (NOW, NOW)
    asleep = patch(extension(said(GOOD)), HIBERNATED, now=NOW)["status"]["conditions"][0]
    assert (asleep["lastTransitionTime"], asleep["lastUpdateTime"]) == (THEN, NOW)


def test_conditions_of_others_stay_and_a_stale_object_is_not_written() -> None:
    change = patch(extension(said(BAD), OTHER), GOOD, now=NOW)
    assert change["metadata"] == {"resourceVersion": "7"}
    assert [found["type"] for found in change["status"]["conditions"]] == ["EveryNodeReady", "SystemComponentsHealthy"]


@pytest.mark.parametrize(
    ("thing", "leaving", "begun"),
    [
        (extension(last=None), False, False),
        (extension(last=("Create", "Processing")), False, False),
        (extension(last=("Create", "Error")), False, False),
        (extension(last=("Restore", "Processing")), False, False),
        (extension(), False, True),
        (extension(last=("Reconcile", "Error")), False, True),
        (extension(deletionTimestamp=THEN), True, True),
        (extension(annotations={"gardener.cloud/operation": "migrate"}), True, True),
        (extension(last=("Migrate", "Succeeded")), True, True),
    ],
)
def test_an_extension_that_leaves_is_known_and_one_that_has_not_begun(thing, leaving, begun) -> None:
    found = patient(thing)
    assert found is not None
    assert (found.leaving, found.begun) == (leaving, begun)


def test_what_is_not_ours_is_no_patient() -> None:
    assert patient({**extension(), "spec": {"type": "other"}}) is None
    assert patient({**extension(), "spec": {"type": "cri-resmgr-extension", "class": "seed"}}) is None
