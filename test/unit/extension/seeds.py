"""A seed of a few kinds of objects in one namespace, with the methods of `Client` that health and heartbeat use."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from copy import deepcopy
from typing import Any

from cri_resmgr.kube.clients import Page
from cri_resmgr.kube.errors import Conflict
from cri_resmgr.kube.outages import Outages
from cri_resmgr.kube.resources import Collection, Object, Resource
from cri_resmgr.kube.streams import Event
from unit.kube.model_server import ModelServer


class Seed:
    """A `ModelServer` for each kind; `writes` are the names of what was written and the patches."""

    def __init__(self, *plurals: str) -> None:
        self.kinds = {plural: ModelServer() for plural in plurals}
        self.outages = Outages(lambda: 0.0)
        self.writes: list[Object] = []
        self.conflicts = 0
        """How many writes are still to fail because somebody was faster."""

    def put(self, plural: str, thing: Object) -> None:
        """Somebody makes or changes an object."""
        server = self.kinds[plural]
        server._store(thing, "MODIFIED" if thing["metadata"]["name"] in server.objects else "ADDED")

    def change(self, plural: str, name: str, **metadata: Any) -> None:
        """Somebody changes an object's metadata."""
        thing = deepcopy(self.kinds[plural].objects[name])
        thing["metadata"].update(metadata)
        self.put(plural, thing)

    def pages(self, collection: Collection, *, page_size: int) -> AsyncIterator[Page]:
        return self.kinds[collection.resource.plural].pages(collection, page_size=page_size)

    def watch(
        self, collection: Collection, *, since: str, lasting_s: float, silence_s: float
    ) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        server = self.kinds[collection.resource.plural]
        return server.watch(collection, since=since, lasting_s=lasting_s, silence_s=silence_s)

    async def get(self, resource: Resource, name: str, *, deadline_s: float = 15.0) -> Object:
        return await self.kinds[resource.plural].get(resource, name, deadline_s=deadline_s)

    async def create(self, resource: Resource, body: Object, *, deadline_s: float = 15.0) -> Object:
        return await self.kinds[resource.plural].create(resource, body, deadline_s=deadline_s)

    async def merge_patch(
        self, resource: Resource, name: str, patch: Object, *, subresource: str = "", deadline_s: float = 15.0
    ) -> Object:
        server = self.kinds[resource.plural]
        found = await server.get(resource, name, deadline_s=deadline_s)
        if self.conflicts:
            self.conflicts -= 1
            server._store(found, "MODIFIED")
            raise Conflict("somebody was faster")
        version = patch.get("metadata", {}).get("resourceVersion", found["metadata"]["resourceVersion"])
        if version != found["metadata"]["resourceVersion"]:
            raise Conflict("changed meanwhile")
        self.writes.append(patch)
        for part in ("spec", "status"):
            found[part] = {**found.get(part, {}), **patch.get(part, {})}
        return server._store(found, "MODIFIED")
