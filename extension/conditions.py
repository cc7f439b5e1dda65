"""The condition on an Extension by which gardenlet learns how the shoot's part is.

Its transition time is that of its last change of status, its update time that of its last change at all: an unchanged
condition is not written, and that somebody still looks is what the heartbeat says.
"""

from dataclasses import dataclass
from typing import Any

from cri_resmgr.kube.resources import Object, Ref
from extension.contract import MIGRATE, extension, is_of_our_type
from extension.operations import Operation
from extension.verdicts import CONDITION, Verdict


@dataclass(frozen=True, slots=True)
class Condition:
    """What an Extension says of its health; times are RFC 3339."""

    verdict: Verdict
    changed: str
    updated: str


@dataclass(frozen=True, slots=True)
class Patient:
    """What is kept of an Extension to look after its health."""

    ref: Ref
    condition: Condition | None
    leaving: bool
    """It is being deleted or migrated: nobody may touch its conditions any more."""
    begun: bool
    """It has been reconciled at least once, so there should be a ManagedResource."""


def patient(thing: Object) -> Patient | None:
    """What to keep of an Extension; None if it is none of ours."""
    if not is_of_our_type(thing):
        return None
    seen = extension(thing)
    kind = seen.last.kind if seen.last else ""
    return Patient(
        ref=seen.ref,
        condition=condition(thing),
        leaving=bool(seen.deleted) or seen.operation == MIGRATE or kind == Operation.MIGRATE.value,
        begun=seen.settled or kind not in {"", Operation.CREATE.value, Operation.RESTORE.value},
    )


def condition(thing: Object) -> Condition | None:
    """The condition that we look after, if an Extension has it."""
    for found in (thing.get("status") or {}).get("conditions") or ():
        if found.get("type") == CONDITION:
            status, reason, message = (str(found.get(key, "")) for key in ("status", "reason", "message"))
            verdict = Verdict(status, reason, message, tuple(found.get("codes") or ()))
            return Condition(verdict, str(found.get("lastTransitionTime", "")), str(found.get("lastUpdateTime", "")))
    return None


def patch(thing: Object, verdict: Verdict, *, now: str) -> Object:
    """What makes an Extension say that, unless it is not what it was any more; `now` is RFC 3339."""
    old = condition(thing)
    changed = old.changed if old is not None and old.verdict.status == verdict.status else now
    ours: dict[str, Any] = {
        "type": CONDITION,
        "status": verdict.status,
        "reason": verdict.reason,
        "message": verdict.message,
        "lastTransitionTime": changed,
        "lastUpdateTime": now,
    }
    if verdict.codes:
        ours["codes"] = list(verdict.codes)
    others = [found for found in (thing.get("status") or {}).get("conditions") or () if found.get("type") != CONDITION]
    version = {"resourceVersion": thing["metadata"]["resourceVersion"]}
    return {"metadata": version, "status": {"conditions": [*others, ours]}}
