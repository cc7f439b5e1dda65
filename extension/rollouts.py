"""How far a ManagedResource has come, by the conditions that gardener-resource-manager gives it.

The seed's side sees nothing else of the shoot: health is that of the DaemonSets, and a rollout is over when all their
pods are of the newest form and ready.
"""

from typing import Any

from cri_resmgr.kube.resources import Object

APPLIED, HEALTHY, PROGRESSING = "ResourcesApplied", "ResourcesHealthy", "ResourcesProgressing"
CANNOT_READ = "CannotReadSecret"


def missing(resource: Object) -> str:
    """What is still to come until everything is applied, rolled out and ready on all nodes; empty when nothing is."""
    found = conditions(resource)
    observed = (resource.get("status") or {}).get("observedGeneration", 0)
    generation = resource["metadata"].get("generation", 0)
    if found.get(APPLIED, {}).get("status") != "True" or observed != generation:
        return _said(found, APPLIED, "gardener-resource-manager has not applied the newest objects yet")
    if found.get(PROGRESSING, {}).get("status") != "False":
        return _said(found, PROGRESSING, "gardener-resource-manager has not looked at the rollout yet")
    if found.get(HEALTHY, {}).get("status") != "True":
        return _said(found, HEALTHY, "gardener-resource-manager has not looked at the objects yet")
    return ""


def blocked(resource: Object) -> str:
    """What keeps a ManagedResource that is being deleted."""
    return _said(conditions(resource), APPLIED, "gardener-resource-manager has not begun to delete the objects")


def is_unreadable(resource: Object) -> bool:
    """Has gardener-resource-manager missed the Secret?"""
    return bool(conditions(resource).get(APPLIED, {}).get("reason") == CANNOT_READ)


def conditions(resource: Object) -> dict[str, Object]:
    """The conditions by type."""
    found: Any = (resource.get("status") or {}).get("conditions") or ()
    return {one["type"]: one for one in found}


def _said(found: dict[str, Object], kind: str, otherwise: str) -> str:
    """What a condition says, unless it says that all is well, which may be from before."""
    condition = found.get(kind, {})
    good = "False" if kind == PROGRESSING else "True"
    return str(condition.get("message") or otherwise) if condition.get("status") not in {None, good} else otherwise
