"""Gardener's contract as names and values: kinds, annotations, and what an Extension object says.

Source: Gardener v1.149, `pkg/apis/extensions/v1alpha1` and `extensions/pkg/controller/extension`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cri_resmgr.kube.resources import Object, Ref, Resource, ref_of

TYPE = "cri-resmgr-extension"
FINALIZER = f"extensions.gardener.cloud/{TYPE}"

OPERATION = "gardener.cloud/operation"
TIMESTAMP = "gardener.cloud/timestamp"
FORCE_DELETION = "confirmation.gardener.cloud/force-deletion"
RECONCILE, MIGRATE, RESTORE, WAIT_FOR_STATE = "reconcile", "migrate", "restore", "wait-for-state"

EXTENSIONS = Resource("extensions.gardener.cloud/v1alpha1", "extensions")
CLUSTERS = Resource("extensions.gardener.cloud/v1alpha1", "clusters")
MANAGED_RESOURCES = Resource("resources.gardener.cloud/v1alpha1", "managedresources")
NAMESPACES = Resource("v1", "namespaces")
SECRETS = Resource("v1", "secrets")
CONFIGMAPS = Resource("v1", "configmaps")
PODS = Resource("v1", "pods")

SECONDS = len("2026-08-21T10:00:00")
PROCESSING, SUCCEEDED, ERROR = "Processing", "Succeeded", "Error"


@dataclass(frozen=True, slots=True)
class LastOperation:
    """What became of the last operation; `updated` is RFC 3339."""

    kind: str
    state: str
    description: str
    updated: str


@dataclass(frozen=True, slots=True)
class Extension:
    """What we need of an Extension; times are RFC 3339, empty for none."""

    ref: Ref
    version: str
    """The resourceVersion."""
    generation: int
    observed: int
    """The generation that the last operation was about."""
    operation: str
    """What the annotation asks for."""
    requested: str
    """When gardenlet has asked last; it waits for an answer that is not older."""
    deleted: str
    """Since when it is being deleted."""
    finalizers: tuple[str, ...]
    provider_config: Any
    """What the user wrote, whatever it is; None for nothing."""
    last: LastOperation | None

    @property
    def ours(self) -> bool:
        """Does it have our finalizer?"""
        return FINALIZER in self.finalizers

    @property
    def settled(self) -> bool:
        """Has its last operation succeeded?"""
        return self.last is not None and self.last.state == SUCCEEDED

    @property
    def answered(self) -> bool:
        """Is the last operation about this generation, and not older than the last request?  Whole seconds count."""
        if self.last is None or self.observed != self.generation:
            return False
        return self.last.updated[:SECONDS] >= self.requested[:SECONDS]  # both are UTC


def is_of_our_type(thing: Object) -> bool:
    """Is it an Extension of our type that belongs to a shoot?"""
    spec = thing.get("spec") or {}
    return spec.get("type") == TYPE and (spec.get("class") or "shoot") == "shoot"


def extension(thing: Object) -> Extension:
    """The values of an Extension object."""
    metadata, spec, status = thing["metadata"], thing.get("spec") or {}, thing.get("status") or {}
    return Extension(
        ref=ref_of(thing),
        version=metadata.get("resourceVersion", ""),
        generation=metadata.get("generation", 0),
        observed=status.get("observedGeneration", 0),
        operation=annotation(thing, OPERATION),
        requested=annotation(thing, TIMESTAMP),
        deleted=metadata.get("deletionTimestamp") or "",
        finalizers=tuple(metadata.get("finalizers") or ()),
        provider_config=spec.get("providerConfig"),
        last=_last(status.get("lastOperation")),
    )


def annotation(thing: Object, key: str) -> str:
    """An annotation of an object, empty if it has none."""
    return str((thing["metadata"].get("annotations") or {}).get(key, ""))


def time_of(text: str) -> datetime:
    """A time of the API server's."""
    return datetime.fromisoformat(text)


def _last(found: Any) -> LastOperation | None:
    if not isinstance(found, dict):
        return None
    return LastOperation(
        *(str(found.get(key, "")) for key in ("type", "state", "description", "lastUpdateTime")),
    )
