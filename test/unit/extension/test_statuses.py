"""What stands in the status of an Extension, word by word as Gardener's library writes it."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from extension import finalizing, statuses
from extension.contract import extension
from extension.operations import Operation
from unit.extension.things import extension_object

NOW = datetime(2026, 8, 21, 10, 0, 0, 999_999, tzinfo=UTC)
FINALIZER = "extensions.gardener.cloud/cri-resmgr-extension"
WORDS = {
    Operation.CREATE: ("Reconciling the Extension", "Successfully reconciled Extension", "Error reconciling Extension"),
    Operation.RECONCILE: (
        "Reconciling the Extension",
        "Successfully reconciled Extension",
        "Error reconciling Extension",
    ),
    Operation.DELETE: ("Deleting the Extension", "Successfully deleted the Extension", "Error deleting the Extension"),
    Operation.RESTORE: (
        "Restoring Extension resource",
        "Successfully restored Extension resource",
        "Unable to restore Extension resource",
    ),
    Operation.MIGRATE: (
        "Migrate Extension resource.",
        "Successfully migrated Extension resource",
        "Error migrating Extension resource",
    ),
}


@pytest.mark.parametrize("operation", Operation)
def test_each_operation_has_its_words(operation):
    doing, done, failing = WORDS[operation]
    last = {"type": operation.value, "lastUpdateTime": "2026-08-21T10:00:00Z"}
    assert statuses.processing(operation, now=NOW)["status"] == {
        "lastOperation": {**last, "state": "Processing", "progress": 1, "description": doing}
    }
    assert statuses.succeeded(operation, generation=3, now=NOW)["status"] == {
        "lastOperation": {**last, "state": "Succeeded", "progress": 100, "description": done},
        "lastError": None,
        "observedGeneration": 3,
    }
    text = statuses.failure(operation, "why")
    assert text == f"{failing}: why"
    assert statuses.failed(operation, text=text, codes=(), generation=3, now=NOW)["status"] == {
        "lastOperation": {**last, "state": "Error", "progress": 50, "description": text},
        "lastError": {"description": text, "codes": None, "lastUpdateTime": "2026-08-21T10:00:00Z"},
        "observedGeneration": 3,
    }


def test_codes_are_given_where_there_are_any():
    patch = statuses.failed(Operation.CREATE, text="x", codes=("ERR_CONFIGURATION_PROBLEM",), generation=1, now=NOW)
    assert patch["status"]["lastError"]["codes"] == ["ERR_CONFIGURATION_PROBLEM"]


def test_times_are_utc_and_whole_seconds_wherever_the_clock_stands():
    east = NOW.astimezone(timezone(timedelta(hours=5)))
    assert statuses.written(east) == "2026-08-21T10:00:00Z"


def test_endless_reason_is_cut():
    assert len(statuses.failure(Operation.CREATE, "x" * 10_000)) == statuses.LIMIT_CHARS


def test_request_is_taken_off_and_the_finalizer_put_on_in_one_write_that_nobody_may_cross():
    found = extension(extension_object("reconcile", finalizers=["other"]))
    assert finalizing.claimed(found, finalizer=True) == {
        "metadata": {
            "annotations": {"gardener.cloud/operation": None},
            "finalizers": ["other", FINALIZER],
            "resourceVersion": "7",
        }
    }


def test_request_alone_is_taken_off_whatever_else_changes():
    found = extension(extension_object("reconcile", finalizers=[FINALIZER]))
    assert finalizing.claimed(found, finalizer=True) == {
        "metadata": {"annotations": {"gardener.cloud/operation": None}}
    }


@pytest.mark.parametrize("operation", ["", "migrate", "restore"])
def test_what_is_answered_after_the_work_stays(operation):
    found = extension(extension_object(operation, finalizers=[FINALIZER]))
    assert finalizing.claimed(found, finalizer=True) is None


def test_only_our_finalizer_is_released():
    found = extension(extension_object(finalizers=["a", FINALIZER, "b"]))
    assert finalizing.released(found) == {"metadata": {"finalizers": ["a", "b"], "resourceVersion": "7"}}
