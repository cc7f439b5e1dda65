"""What the state of a ManagedResource says about the shoot: Gardener's health check, in its words, as pure functions.

Source: `pkg/utils/kubernetes/health/managedresource.go` and `extensions/pkg/controller/healthcheck` of Gardener v1.149.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cri_resmgr.kube.resources import Object, Ref, ref_of
from extension.errors import CONFIGURATION_PROBLEM

CONDITION = "SystemComponentsHealthy"
SUCCESSFUL, UNSUCCESSFUL = "HealthCheckSuccessful", "HealthCheckUnsuccessful"
APPLIED, HEALTHY = "ResourcesApplied", "ResourcesHealthy"
_INVALID = re.compile(r"(?i)(error during apply of object .* is invalid:)")
_REPORTED = frozenset({"True", "False"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a condition is to say."""

    status: str
    reason: str
    message: str
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """One condition of a ManagedResource."""

    status: str
    message: str


@dataclass(frozen=True, slots=True)
class Managed:
    """What is kept of a ManagedResource; None for a condition that gardener-resource-manager has not reported."""

    ref: Ref
    generation: int
    observed: int
    applied: Report | None
    healthy: Report | None

    @property
    def failed(self) -> bool:
        """Has it been tried to apply it, in vain?"""
        return self.applied is not None and self.applied.status == "False"

    @property
    def settled(self) -> bool:
        """Is this the last word on it, and not between a change and what comes of it?"""
        reports = (self.applied, self.healthy)
        said = all(report is not None and report.status in _REPORTED for report in reports)
        return self.failed or (said and self.generation == self.observed)


GOOD = Verdict("True", SUCCESSFUL, "All health checks successful")
HIBERNATED = Verdict("True", SUCCESSFUL, "Shoot is hibernated")


def managed(thing: Object) -> Managed:
    """What to keep of a ManagedResource."""
    status = thing.get("status") or {}
    found = {condition.get("type"): condition for condition in status.get("conditions") or ()}
    return Managed(
        ref=ref_of(thing),
        generation=thing["metadata"].get("generation", 0),
        observed=status.get("observedGeneration", 0),
        applied=_report(found.get(APPLIED)),
        healthy=_report(found.get(HEALTHY)),
    )


def verdict(ref: Ref, resource: Managed | None) -> Verdict:
    """The verdict on the ManagedResource `ref`, which is `resource` or is not there."""
    if resource is None:
        return _bad(f'Managed Resource "{ref.name}" in namespace "{ref.namespace}" not found')
    objection = next(_objections(resource), "")
    if not objection:
        return GOOD
    return _bad(f'managed resource "{ref.name}" in namespace "{ref.namespace}" is unhealthy: {objection}')


def _objections(resource: Managed) -> Iterator[str]:
    """In Gardener's order, but a failure comes first: before its first success the generation is always outdated."""
    if resource.failed and resource.applied:
        yield _objection(APPLIED, resource, resource.applied)
    if resource.observed != resource.generation:
        counts = f"{resource.observed}/{resource.generation}"
        yield f"observed generation of managed resource {resource.ref} outdated ({counts})"
    for name, report in ((APPLIED, resource.applied), (HEALTHY, resource.healthy)):
        if report is None:
            yield f"condition {name} for managed resource {resource.ref} has not been reported yet"
        elif report.status != "True":
            yield _objection(name, resource, report)


def _objection(name: str, resource: Managed, report: Report) -> str:
    return f"condition {name} of managed resource {resource.ref} is {report.status}: {report.message}"


def _bad(text: str) -> Verdict:
    codes = (CONFIGURATION_PROBLEM,) if _INVALID.search(text) else ()
    return Verdict("False", UNSUCCESSFUL, text if text.endswith(".") else f"{text}.", codes)


def _report(condition: Any) -> Report | None:
    return None if condition is None else Report(str(condition.get("status", "")), str(condition.get("message", "")))
