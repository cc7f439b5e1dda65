"""The ManagedResource that carries a shoot's objects, and its Secret: made, compared, taken away.

Whatever is to be written is noted first (`expected`), so that a change that a watch brings can be told from our own.
Secrets of earlier forms are left to Gardener's garbage collector, whose label they have; when the ManagedResource has
gone, all of them go.
"""

import copy
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from cri_resmgr.kube.clients import Client
from cri_resmgr.kube.errors import Conflict, NotFound
from cri_resmgr.kube.resources import Collection, Object
from extension.contract import MANAGED_RESOURCES, SECRETS
from extension.rendering import managed_resource
from extension.rendering.managed import COLLECTABLE, NAME

REFERENCE = "reference.resources.gardener.cloud/"
SINCE = "cri-resmgr-extension.gardener.cloud/uninstall-since"
"""Annotation of a ManagedResource in its uninstall form: when that was written."""
BEGUN = "cri-resmgr-extension.gardener.cloud/removal-since"
"""Annotation of one that is still in its install form: since when it is to be removed."""
ATTEMPTS = 5
NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Cargo:
    """What is to be in a shoot: the Secret with the objects, and the ManagedResource that names it."""

    secret: Object
    resource: Object

    @property
    def spec(self) -> Object:
        """The ManagedResource's."""
        spec: Object = self.resource["spec"]
        return spec


def cargo(namespace: str, objects: Iterable[Object], *, annotations: Mapping[str, str] = NONE) -> Cargo:
    """The cargo of a namespace, with annotations for the ManagedResource.  Raises BadInput if it is too heavy."""
    secret, resource = managed_resource(namespace=namespace, objects=objects)
    resource["metadata"]["annotations"].update(annotations)
    return Cargo(secret, resource)


class Carrier:
    """Writes ManagedResources and their Secrets, one of each a namespace."""

    def __init__(self, client: Client, name: str = NAME) -> None:
        self._client, self._name = client, name
        self.expected: dict[str, Object] = {}
        """The spec of each ManagedResource as we wrote it, by namespace."""

    async def find(self, namespace: str) -> Object | None:
        """The ManagedResource, or None."""
        try:
            return await self._client.get(MANAGED_RESOURCES.within(namespace), self._name)
        except NotFound:
            return None

    async def is_there(self, wanted: Cargo) -> bool:
        """Is everything as it should be?"""
        namespace = wanted.resource["metadata"]["namespace"]
        current = await self.find(namespace)
        self.expected[namespace] = wanted.spec
        return current is not None and _is_same(current, wanted) and await self._has_secret(wanted)

    async def bring(self, wanted: Cargo) -> bool:
        """Make it so; returns whether anything had to be written.  Raises Conflict when others will not let us."""
        namespace = wanted.resource["metadata"]["namespace"]
        self.expected[namespace] = wanted.spec
        for attempt in range(1, ATTEMPTS + 1):
            current = await self.find(namespace)
            if current is not None and _is_same(current, wanted) and await self._has_secret(wanted):
                return False
            try:
                await self._write(current, wanted)
            except Conflict:
                if attempt == ATTEMPTS:
                    raise
            else:
                return True
        raise AssertionError("the last attempt returns or raises")

    async def keep_objects(self, namespace: str) -> None:
        """Let the objects stay in the shoot when the ManagedResource goes."""
        await self._patch(namespace, {"spec": {"keepObjects": True}})

    async def note(self, namespace: str, key: str, value: str) -> None:
        """Set an annotation of the ManagedResource."""
        await self._patch(namespace, {"metadata": {"annotations": {key: value}}})

    async def take_away(self, namespace: str) -> None:
        """Delete the ManagedResource; it stays until its objects are gone, for which its Secret is not needed."""
        self.expected.pop(namespace, None)
        with suppress(NotFound):
            await self._client.delete(MANAGED_RESOURCES.within(namespace), self._name)

    async def sweep(self, namespace: str) -> None:
        """Delete all Secrets of ours, those of earlier forms too."""
        secrets, selector = SECRETS.within(namespace), ",".join(f"{key}={value}" for key, value in COLLECTABLE.items())
        ours = Collection(secrets, labels=selector, metadata_only=True)
        found = [item["metadata"]["name"] async for page in self._client.pages(ours) for item in page.items]
        for name in found:
            if name.startswith(f"managedresource-{self._name}-"):
                with suppress(NotFound):
                    await self._client.delete(secrets, name)

    async def _patch(self, namespace: str, patch: Object) -> None:
        """Change some fields of the ManagedResource, if there is one."""
        with suppress(NotFound):
            await self._client.merge_patch(MANAGED_RESOURCES.within(namespace), self._name, patch)

    async def _has_secret(self, wanted: Cargo) -> bool:
        metadata = wanted.secret["metadata"]
        try:
            secret = await self._client.get(SECRETS.within(metadata["namespace"]), metadata["name"])
        except NotFound:
            return False
        return "deletionTimestamp" not in secret["metadata"]

    async def _write(self, current: Object | None, wanted: Cargo) -> None:
        namespace = wanted.resource["metadata"]["namespace"]
        with suppress(Conflict):  # it is there: its name says what is in it
            await self._client.create(SECRETS.within(namespace), wanted.secret)
        resources = MANAGED_RESOURCES.within(namespace)
        if current is None:
            await self._client.create(resources, wanted.resource)
        elif not _is_same(current, wanted):
            patch = _patch(current, _changed(current, wanted))
            await self._client.merge_patch(resources, self._name, patch)


def _patch(old: Any, new: Any) -> Any:
    """The merge patch that makes the new one of the old one, whatever else changes meanwhile."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    changed = {key: _patch(old.get(key), value) for key, value in new.items() if old.get(key) != value}
    return {**changed, **{key: None for key in old if key not in new}}


def _is_same(current: Object, wanted: Cargo) -> bool:
    """Is a ManagedResource what it should be?  Labels and annotations of others do not matter."""
    return bool(_changed(current, wanted) == current)


def _changed(current: Object, wanted: Cargo) -> Object:
    """A ManagedResource with what we say; the rest is left as it is."""
    changed, metadata = copy.deepcopy(current), wanted.resource["metadata"]
    changed["spec"] = wanted.spec
    labels, annotations = ((changed["metadata"].get(key) or {}) for key in ("labels", "annotations"))
    others = {key: value for key, value in annotations.items() if key != SINCE and not key.startswith(REFERENCE)}
    changed["metadata"]["labels"] = {**labels, **metadata["labels"]}
    changed["metadata"]["annotations"] = {**others, **metadata["annotations"]}
    return changed
