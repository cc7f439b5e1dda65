"""Requests to an API server, dicts in and dicts out, each with a deadline.

`connected` gives a client for the length of a block.  `guarded` gives one whose writes are checked first: what leads
by a lease must not write after it has lost it, and a process that was stopped for a minute does not know that it has.
(No client can exclude that it is stopped in the microseconds between the check and the socket; what must not be
overwritten by an old leader carries a resourceVersion.)
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cri_resmgr.kube.credentials import Load, from_kubeconfig, from_pod
from cri_resmgr.kube.outages import Outages
from cri_resmgr.kube.requests import JSON, METADATA, METADATA_LIST, Guard, Request, always
from cri_resmgr.kube.resources import Collection, Object, Resource
from cri_resmgr.kube.sessions import Session
from cri_resmgr.kube.streams import Event, events

DEADLINE_S = 15.0
PAGE_SIZE = 500
MERGE_PATCH, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"


@asynccontextmanager
async def connected(*, kubeconfig: Path | None, user_agent: str) -> AsyncIterator["Client"]:
    """A client with the service account of our pod, or that of a kubeconfig; raises BadInput if there is none."""
    load = from_pod() if kubeconfig is None else from_kubeconfig(kubeconfig)
    async with connected_by(load, user_agent=user_agent) as client:
        yield client


@asynccontextmanager
async def connected_by(load: Load, *, user_agent: str) -> AsyncIterator["Client"]:
    """A client with certain credentials; raises BadInput if they cannot be used."""
    session = Session(load, user_agent=user_agent)
    await session.open()
    try:
        yield Client(session, Outages())
    finally:
        await session.close()


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list; all parts are of the same moment, `version`."""

    items: list[Object]
    version: str


class Client:
    """Every method raises what is in `kube.errors`; `deadline_s` is for the whole of a request."""

    def __init__(self, session: Session, outages: Outages, *, guard: Guard = always) -> None:
        self.outages = outages
        self._session = session
        self._guard = guard

    def guarded(self, guard: Guard) -> "Client":
        """The same client for somebody who may not always write."""
        return Client(self._session, self.outages, guard=guard)

    async def get(self, resource: Resource, name: str, *, deadline_s: float = DEADLINE_S) -> Object:
        """One object."""
        return await self._object(Request("GET", resource.path(name)), deadline_s)

    async def pages(
        self,
        collection: Collection,
        *,
        page_size: int = PAGE_SIZE,
        deadline_s: float = DEADLINE_S,
    ) -> AsyncIterator[Page]:
        """All objects that are selected; the deadline is for each page."""
        query = {**collection.query(), "limit": str(page_size)}
        accept = METADATA_LIST if collection.metadata_only else JSON
        while True:
            request = Request("GET", collection.resource.path(), tuple(query.items()), accept=accept)
            answer = await self._object(request, deadline_s)
            metadata = answer["metadata"]
            yield Page(answer.get("items") or [], metadata["resourceVersion"])
            if not metadata.get("continue"):
                return
            query["continue"] = metadata["continue"]

    @asynccontextmanager
    async def watch(
        self, collection: Collection, *, since: str, lasting_s: float, silence_s: float
    ) -> AsyncIterator[AsyncIterator[Event]]:
        """What happens after the version `since`; entering it means that the server has agreed.

        It ends when the server ends it, which it is asked to do after `lasting_s`, or after `silence_s` without any
        event.  Raises Expired, now or later, when the server does not remember enough to go on.
        """
        query = {
            **collection.query(),
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": since,
            "timeoutSeconds": str(int(lasting_s)),
        }
        accept = METADATA if collection.metadata_only else JSON
        request = Request("GET", collection.resource.path(), tuple(query.items()), accept=accept)
        async with (
            self._session.stream(request, deadline_s=DEADLINE_S) as content,
            aclosing(events(content, request, silence_s=silence_s)) as happening,
        ):
            yield happening

    async def create(self, resource: Resource, body: Object, *, deadline_s: float = DEADLINE_S) -> Object:
        """Make an object; Conflict when it is there."""
        return await self._written(Request("POST", resource.path(), body=body), deadline_s)

    async def replace(
        self, resource: Resource, body: Object, *, subresource: str = "", deadline_s: float = DEADLINE_S
    ) -> Object:
        """Write an object as a whole; Conflict unless it is still of the resourceVersion in `body`, if there is one."""
        path = resource.path(body["metadata"]["name"], subresource=subresource)
        return await self._written(Request("PUT", path, body=body), deadline_s)

    async def merge_patch(
        self,
        resource: Resource,
        name: str,
        patch: Mapping[str, Any],
        *,
        subresource: str = "",
        deadline_s: float = DEADLINE_S,
    ) -> Object:
        """Change what `patch` has, remove what is None in it; a list is replaced as a whole."""
        path = resource.path(name, subresource=subresource)
        return await self._written(Request("PATCH", path, body=dict(patch), content_type=MERGE_PATCH), deadline_s)

    async def json_patch(
        self,
        resource: Resource,
        name: str,
        operations: list[Object],
        *,
        subresource: str = "",
        deadline_s: float = DEADLINE_S,
    ) -> Object:
        """Carry out operations of RFC 6902, all or none; Invalid when a `test` among them fails."""
        path = resource.path(name, subresource=subresource)
        return await self._written(Request("PATCH", path, body=operations, content_type=JSON_PATCH), deadline_s)

    async def delete(self, resource: Resource, name: str, *, deadline_s: float = DEADLINE_S) -> Object:
        """Let an object go; it stays while it has finalizers."""
        return await self._written(Request("DELETE", resource.path(name)), deadline_s)

    async def _written(self, request: Request, deadline_s: float) -> Object:
        return await self._object(replace(request, guard=self._guard), min(deadline_s, self._guard()))

    async def _object(self, request: Request, deadline_s: float) -> Object:
        answer: Object = await self._session.ask(request, deadline_s=deadline_s)
        return answer
