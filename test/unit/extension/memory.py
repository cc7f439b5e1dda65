"""A seed in memory: as much of an API server as one Extension needs, so that whole operations run in milliseconds.

Like the real one it counts versions and generations, refuses what was made from an old version, keeps what has
finalizers until they are gone, and writes the status apart.  The real one is in `test/garden`.
"""

from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from typing import Any

from cri_resmgr.kube.clients import Page
from cri_resmgr.kube.errors import Conflict, NotFound
from cri_resmgr.kube.resources import Collection, Object, Resource

DELETED = "2026-08-21T10:00:00Z"


def merged(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


class Memory:
    """Objects by kind, namespace and name; `writes` are the verbs and kinds of what clients wrote."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.writes: list[str] = []
        self.before: Callable[[str], None] = lambda _: None
        """Called before each write with its verb and kind; it may raise, or change things."""
        self._version = 0

    def put(self, resource: Resource, thing: Object) -> Object:
        """Somebody makes or changes an object."""
        self._version += 1
        thing["metadata"]["resourceVersion"] = str(self._version)
        self.objects[resource.plural, resource.namespace, thing["metadata"]["name"]] = thing
        return thing

    def find(self, resource: Resource, name: str) -> Object | None:
        return self.objects.get((resource.plural, resource.namespace, name))

    def drop(self, resource: Resource, name: str) -> None:
        """Somebody asks for an object to be deleted."""
        thing = self.objects[resource.plural, resource.namespace, name]
        thing["metadata"]["deletionTimestamp"] = DELETED
        self._sweep(resource, self.put(resource, thing))

    async def get(self, resource: Resource, name: str) -> Object:
        return deepcopy(self._there(resource, name))

    async def create(self, resource: Resource, body: Object) -> Object:
        self._note("create", resource)
        if self.find(resource, body["metadata"]["name"]) is not None:
            raise Conflict("it is there")
        made = deepcopy(body)
        made["metadata"] |= {"generation": 1, "namespace": resource.namespace}
        return deepcopy(self.put(resource, made))

    async def merge_patch(self, resource: Resource, name: str, patch: Object, *, subresource: str = "") -> Object:
        self._note(f"patch {subresource}".strip(), resource)
        old = self._there(resource, name)
        version = patch.get("metadata", {}).get("resourceVersion")
        if version not in {None, old["metadata"]["resourceVersion"]}:
            raise Conflict("changed meanwhile")
        new = merged(old, patch)
        if old.get("spec") != new.get("spec"):
            new["metadata"]["generation"] += 1
        return deepcopy(self._sweep(resource, self.put(resource, new)))

    async def delete(self, resource: Resource, name: str) -> Object:
        self._note("delete", resource)
        self._there(resource, name)
        self.drop(resource, name)
        return {}

    async def pages(self, collection: Collection) -> AsyncIterator[Page]:
        resource = collection.resource
        key, _, value = collection.labels.partition("=")
        found = [
            deepcopy(thing)
            for (plural, namespace, _), thing in self.objects.items()
            if (plural, namespace) == (resource.plural, resource.namespace)
            and (thing["metadata"].get("labels") or {}).get(key) == value
        ]
        yield Page(found, str(self._version))

    def _there(self, resource: Resource, name: str) -> Object:
        found = self.find(resource, name)
        if found is None:
            raise NotFound(f"{resource} {name}")
        return found

    def _note(self, verb: str, resource: Resource) -> None:
        self.before(f"{verb} {resource.plural}")
        self.writes.append(f"{verb} {resource.plural}")

    def _sweep(self, resource: Resource, thing: Object) -> Object:
        metadata = thing["metadata"]
        if "deletionTimestamp" in metadata and not metadata.get("finalizers"):
            del self.objects[resource.plural, resource.namespace, metadata["name"]]
        return thing
