"""What is written to the status of an Extension, as merge patches, in the words of Gardener's own library.

There are three writes: Processing, Error and Succeeded.  gardenlet accepts an object when the generation has been
observed, there is no lastError, and lastUpdateTime is not before its own annotation; so the time is always new.
Conditions are not touched here.
"""

from datetime import UTC, datetime
from typing import Any

from extension.contract import ERROR, PROCESSING, SUCCEEDED
from extension.operations import Operation

LIMIT_CHARS = 4096
Patch = dict[str, Any]

_DOING = {
    Operation.DELETE: "Deleting the Extension",
    Operation.RESTORE: "Restoring Extension resource",
    Operation.MIGRATE: "Migrate Extension resource.",
}
_DONE = {
    Operation.DELETE: "Successfully deleted the Extension",
    Operation.RESTORE: "Successfully restored Extension resource",
    Operation.MIGRATE: "Successfully migrated Extension resource",
}
_FAILED = {
    Operation.DELETE: "Error deleting the Extension",
    Operation.RESTORE: "Unable to restore Extension resource",
    Operation.MIGRATE: "Error migrating Extension resource",
}


def processing(operation: Operation, *, now: datetime) -> Patch:
    """Work has begun; an earlier error stays until it has ended well."""
    return {"status": {"lastOperation": _last(operation, PROCESSING, _doing(operation), now)}}


def succeeded(operation: Operation, *, generation: int, now: datetime) -> Patch:
    """Work has ended well."""
    done = _DONE.get(operation, "Successfully reconciled Extension")
    return {
        "status": {
            "lastOperation": _last(operation, SUCCEEDED, done, now),
            "lastError": None,
            "observedGeneration": generation,
        }
    }


def failed(operation: Operation, *, text: str, codes: tuple[str, ...], generation: int, now: datetime) -> Patch:
    """Work has not ended well; `text` is from `failure`."""
    error: Patch = {"description": text, "codes": list(codes) or None, "lastUpdateTime": written(now)}
    return {
        "status": {
            "lastOperation": _last(operation, ERROR, text, now),
            "lastError": error,
            "observedGeneration": generation,
        }
    }


def failure(operation: Operation, reason: str) -> str:
    """The description of an error."""
    text = f"{_FAILED.get(operation, 'Error reconciling Extension')}: {reason}"
    return text if len(text) <= LIMIT_CHARS else f"{text[: LIMIT_CHARS - 1]}…"


def written(moment: datetime) -> str:
    """A time as Kubernetes writes it: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _doing(operation: Operation) -> str:
    return _DOING.get(operation, "Reconciling the Extension")


def _last(operation: Operation, state: str, description: str, now: datetime) -> Patch:
    progress = {PROCESSING: 1, ERROR: 50, SUCCEEDED: 100}[state]
    return {
        "type": operation.value,
        "state": state,
        "progress": progress,
        "description": description,
        "lastUpdateTime": written(now),
    }
