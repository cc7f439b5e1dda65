"""A Shoot: what gardener-scheduler and gardenlet do with one that concerns its Extension of our type.

As they do: put it on the seed, keep a Cluster that carries the whole Shoot, make, annotate and delete the Extension in
a new generation of the Shoot, judge it by `CheckExtensionObject`, write lastOperation, lastErrors and conditions.
Otherwise than they do: nothing but that.  There is no other extension and no machine; where Gardener would take nodes
and control plane away (hibernation, deletion), the caller does it.
"""

from collections.abc import Mapping
from typing import Any

from chain.objects import CORE, SEED, Thing, now
from equipment.control_plane import Api
from equipment.gardenlet import OPERATION, TYPE, Gardenlet, annotations, conditions, objection, refusal
from equipment.gardenlet import Shoot as Told

FINALIZER = "gardener"
NETWORKS = {"pods": "100.64.0.0/12", "services": "100.104.0.0/13"}
CONDITION = "SystemComponentsHealthy"
IDENTITY = {"id": "standin", "name": "standin", "version": "v1.149.3"}


def wants(shoot: Thing, registration: Thing | None) -> bool:
    """Whether the Extension should exist: named, or on for everybody, and not disabled."""
    if "deletionTimestamp" in shoot["metadata"]:
        return False
    for one in shoot["spec"].get("extensions") or ():
        if one["type"] == TYPE:
            return not one.get("disabled", False)
    resources = registration["spec"]["resources"] if registration else ()
    return any(one["type"] == TYPE and "shoot" in (one.get("autoEnable") or ()) for one in resources)


def work(garden: Api, seed: Api, shoot: Thing, *, wanted: bool, installed: bool) -> None:
    """One step with one of them."""
    path = f"{CORE}/namespaces/{shoot['metadata']['namespace']}/shoots/{shoot['metadata']['name']}"
    if not shoot["spec"].get("seedName"):
        _bind(garden, path, shoot)
        return
    told, gardenlet = _told(shoot), Gardenlet(seed)
    if _is_new(shoot):
        if wanted and not installed:
            return  # gardenlet waits for the ControllerInstallation first
        _begin(garden, path, shoot, told, gardenlet, wanted=wanted)
        return
    extension = gardenlet.find(told)
    if (shoot["status"].get("lastOperation") or {}).get("state") == "Processing":
        _judge(garden, path, shoot, extension, wanted=wanted)
    _carry_health(garden, path, shoot, extension)


def _bind(garden: Api, path: str, shoot: Thing) -> None:
    """As the scheduler does."""
    spec = {**shoot["spec"], "seedName": SEED, "networking": {**shoot["spec"]["networking"], **NETWORKS}}
    metadata = {**shoot["metadata"], "finalizers": [FINALIZER]}
    garden("PUT", f"{path}/binding", {**shoot, "metadata": metadata, "spec": spec})
    garden.merge(path, {"metadata": {"finalizers": [FINALIZER]}})


def _told(shoot: Thing) -> Told:
    """For the seed."""
    given = {one["type"]: one for one in shoot["spec"].get("extensions") or ()}.get(TYPE, {})
    status = {**shoot.get("status", {}), "technicalID": _technical_id(shoot)}
    status["lastOperation"] = _operation(shoot, "Processing", "at work")
    head = {"apiVersion": "core.gardener.cloud/v1beta1", "kind": "Shoot"}
    whole = {**head, **shoot, "status": status}
    return Told(namespace=_technical_id(shoot), provider_config=given.get("providerConfig"), whole=whole)


def _technical_id(shoot: Thing) -> str:
    return f"shoot--{shoot['metadata']['namespace'].removeprefix('garden-')}--{shoot['metadata']['name']}"


def _is_new(shoot: Thing) -> bool:
    seen = (shoot.get("status") or {}).get("observedGeneration", 0)
    return seen < shoot["metadata"]["generation"] or annotations(shoot).get(OPERATION) == "reconcile"


def _begin(garden: Api, path: str, shoot: Thing, told: Told, gardenlet: Gardenlet, *, wanted: bool) -> None:
    if annotations(shoot).get(OPERATION):
        garden.merge(path, {"metadata": {"annotations": {OPERATION: None}}})
    if wanted:
        gardenlet.reconcile(told)
    else:
        gardenlet.tell(told)
        if gardenlet.find(told) is not None:
            gardenlet.delete(told)
    status = {
        "technicalID": told.namespace,
        "uid": shoot["metadata"]["uid"],
        "gardener": IDENTITY,
        "seedName": SEED,
        "observedGeneration": shoot["metadata"]["generation"],
        "lastOperation": _operation(shoot, "Processing", "the Extension is told"),
    }
    garden.merge(f"{path}/status", {"status": status})


def _judge(garden: Api, path: str, shoot: Thing, extension: Thing | None, *, wanted: bool) -> None:
    """Write down how far the operation is."""
    if wanted:
        text = objection(extension) if extension else "there is no Extension yet"
        fatal = refusal(extension) if extension else ""
    else:
        text, fatal = _last_error(extension), ""
        if extension is None and "deletionTimestamp" in shoot["metadata"]:
            _let_go(garden, path, shoot)
            return
    state = "Failed" if fatal else "Processing" if text else "Succeeded"
    now_is = _operation(shoot, state, fatal or text or "the Extension is as the Shoot wants it")
    was = shoot["status"]["lastOperation"]
    if (was["state"], was["description"]) == (state, now_is["description"]):
        return
    errors = [{"description": fatal, "codes": ["ERR_CONFIGURATION_PROBLEM"]}] if fatal else None
    hibernated = bool((shoot["spec"].get("hibernation") or {}).get("enabled"))
    status = {"lastOperation": now_is, "lastErrors": errors, "hibernated": hibernated}
    garden.merge(f"{path}/status", {"status": status})


def _let_go(garden: Api, path: str, shoot: Thing) -> None:
    """The garden wants to hear that the deletion has succeeded before it lets the finalizer go."""
    garden.merge(f"{path}/status", {"status": {"lastOperation": _operation(shoot, "Succeeded", "deleted")}})
    garden.merge(path, {"metadata": {"finalizers": None}})


def _last_error(extension: Thing | None) -> str:
    if extension is None:
        return ""
    error = (extension.get("status") or {}).get("lastError") or {}
    return str(error.get("description") or "the Extension is being deleted")


def _operation(shoot: Thing, state: str, description: str) -> Thing:
    deleting, first = "deletionTimestamp" in shoot["metadata"], not (shoot.get("status") or {}).get("technicalID")
    kind = "Delete" if deleting else "Create" if first else "Reconcile"
    progress = 100 if state == "Succeeded" else 50
    return {"type": kind, "state": state, "progress": progress, "description": description, "lastUpdateTime": now()}


def _carry_health(garden: Api, path: str, shoot: Thing, extension: Thing | None) -> None:
    """The Extension's condition becomes the Shoot's; without an Extension we have nothing to say."""
    theirs, ours = conditions(extension).get(CONDITION), conditions(shoot).get(CONDITION)
    if theirs is None or "deletionTimestamp" in (extension or {}).get("metadata", {}):
        theirs = {"type": CONDITION, "status": "True", "reason": "SystemComponentsRunning", "message": "-"}
    if ours is not None and _said(ours) == _said(theirs):
        return
    times: Mapping[str, Any] = {"lastTransitionTime": now(), "lastUpdateTime": now()}
    garden.merge(f"{path}/status", {"status": {"conditions": [{**times, **theirs}]}})


def _said(condition: Thing) -> tuple[str, ...]:
    return tuple(condition.get(name, "") for name in ("status", "reason", "message"))
