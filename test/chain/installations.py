"""ControllerInstallation: what gardener-controller-manager and gardenlet make of a registration.

As they do: one for a seed while a shoot there wants the type or an Extension of it exists; a namespace of its own; the
ControllerDeployment's chart, rendered by gardenlet's own renderer, in a ManagedResource of class `seed`, which a real
gardener-resource-manager applies; its conditions; a registration that is deleted stays until nobody needs it.
Otherwise than they do: there is one seed, and the installation's name is fixed.
"""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from chain.objects import CORE, SEED, Thing, apply, now
from equipment import charts
from equipment.control_plane import Api
from equipment.gardenlet import CORE as CORE_GROUP
from equipment.gardenlet import TYPE, conditions

NAME = f"{TYPE}-local"
NAMESPACE = f"extension-{NAME}"
SECRETS = "/api/v1/namespaces/garden/secrets"
RESOURCES = "/apis/resources.gardener.cloud/v1alpha1/namespaces/garden/managedresources"
OURS = {"part-of": NAME}
FINALIZER = "core.gardener.cloud/controllerregistration"
GARDENER = {
    "version": "v1.149.3",
    "garden": {"clusterIdentity": "local"},
    "seed": {"name": SEED, "clusterIdentity": SEED},
    "gardenlet": {"featureGates": {}},
}
"""What gardenlet gives a chart besides the operator's values."""
MIRRORED = {"ResourcesApplied": "Installed", "ResourcesHealthy": "Healthy", "ResourcesProgressing": "Progressing"}


def work(garden: Api, seed: Api, directory: Path, registration: Thing | None, *, needed: bool) -> bool:
    """Bring the installation nearer to what it should be; whether it is there and well."""
    if registration is not None and needed:
        _hold(garden, registration)
        _install(garden, seed, directory, registration)
        return _reported(garden, seed)
    if garden.find(f"{CORE}/controllerinstallations/{NAME}") is not None:
        _uninstall(garden, seed)
    elif registration is not None and "deletionTimestamp" in registration["metadata"]:
        garden.merge(f"{CORE}/controllerregistrations/{TYPE}", {"metadata": {"finalizers": None}})
    return False


def _hold(garden: Api, registration: Thing) -> None:
    held = registration["metadata"].get("finalizers", [])
    if FINALIZER not in held and "deletionTimestamp" not in registration["metadata"]:
        garden.merge(f"{CORE}/controllerregistrations/{TYPE}", {"metadata": {"finalizers": [*held, FINALIZER]}})


def _install(garden: Api, seed: Api, directory: Path, registration: Thing) -> None:
    (reference,) = registration["spec"]["deployment"]["deploymentRefs"]
    given = garden.find(f"{CORE}/controllerdeployments/{reference['name']}")
    if given is None:
        return  # deleted together with the registration: what is there stays
    namespace = seed.find(f"/api/v1/namespaces/{NAMESPACE}")
    if namespace is not None and "deletionTimestamp" in namespace["metadata"]:
        return  # an earlier installation is still going
    provided = given["providerConfig"]
    digest = hashlib.sha256(json.dumps(provided, sort_keys=True).encode()).hexdigest()[:16]
    found = seed.find(f"{RESOURCES}/{NAME}")
    if found is not None and found["metadata"].get("labels", {}).get("made-from") == digest:
        return
    values = {**provided.get("values", {}), "gardener": GARDENER}
    chart = base64.b64decode(provided["chart"])
    _deploy(seed, charts.rendered(chart, values, directory, namespace=NAMESPACE), digest)
    spec = {
        "registrationRef": {"name": TYPE},
        "seedRef": {"name": SEED},
        "deploymentRef": {"name": reference["name"]},
    }
    head = {"apiVersion": CORE_GROUP, "kind": "ControllerInstallation", "metadata": {"name": NAME}}
    apply(garden, f"{CORE}/controllerinstallations/{NAME}", {**head, "spec": spec})


def _deploy(seed: Api, things: charts.Things, digest: str) -> None:
    labels = {"gardener.cloud/role": "extension", "controllerregistration.core.gardener.cloud/name": TYPE}
    _make(seed, "/api/v1/namespaces", {"kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}})
    data = {f"{number}.json": json.dumps(thing) for number, thing in enumerate(things)}
    _make(
        seed, SECRETS, {"kind": "Secret", "metadata": {"name": f"{NAME}-{digest}", "labels": OURS}, "stringData": data}
    )
    _make(seed, RESOURCES, {
        "apiVersion": "resources.gardener.cloud/v1alpha1",
        "kind": "ManagedResource",
        "metadata": {"name": NAME, "labels": {"made-from": digest}},
        "spec": {"class": "seed", "secretRefs": [{"name": f"{NAME}-{digest}"}]},
    })  # fmt: skip
    _forget_secrets(seed, but=f"{NAME}-{digest}")


def _forget_secrets(seed: Api, *, but: str = "") -> None:
    """Those of earlier forms."""
    for one in seed("GET", f"{SECRETS}?labelSelector=part-of%3D{NAME}")["items"]:
        if one["metadata"]["name"] != but:
            seed.discard(f"{SECRETS}/{one['metadata']['name']}")


def _make(api: Api, collection: str, thing: dict[str, Any]) -> None:
    apply(api, f"{collection}/{thing['metadata']['name']}", {"apiVersion": "v1", **thing})


def _reported(garden: Api, seed: Api) -> bool:
    """Write down how it is; whether it is well."""
    resource = seed.find(f"{RESOURCES}/{NAME}")
    if resource is None:
        return False
    current = (resource.get("status") or {}).get("observedGeneration") == resource["metadata"]["generation"]
    seen = conditions(resource)
    wanted = {MIRRORED[kind]: one for kind, one in seen.items() if kind in MIRRORED}
    path = f"{CORE}/controllerinstallations/{NAME}"
    known = conditions(garden.find(path))
    if {kind: one["status"] for kind, one in known.items()} != {kind: one["status"] for kind, one in wanted.items()}:
        made = [_condition(kind, one) for kind, one in wanted.items()]
        garden.merge(f"{path}/status", {"status": {"conditions": made}})
    return current and all(
        seen.get(kind, {}).get("status") == status
        for kind, status in (("ResourcesApplied", "True"), ("ResourcesHealthy", "True"))
    )


def _condition(kind: str, one: Thing) -> Thing:
    return {
        "type": kind,
        "status": one["status"],
        "reason": one.get("reason") or "Unknown",
        "message": one.get("message") or "-",
        "lastTransitionTime": one.get("lastTransitionTime") or now(),
        "lastUpdateTime": one.get("lastUpdateTime") or now(),
    }


def _uninstall(garden: Api, seed: Api) -> None:
    """A step at a time; the name is used again, so the namespace must be gone before anybody asks for it."""
    seed.discard(f"{RESOURCES}/{NAME}")
    if seed.find(f"{RESOURCES}/{NAME}") is not None:
        return
    _forget_secrets(seed)
    seed.discard(f"/api/v1/namespaces/{NAMESPACE}")
    if seed.find(f"/api/v1/namespaces/{NAMESPACE}") is None:
        garden.discard(f"{CORE}/controllerinstallations/{NAME}")
