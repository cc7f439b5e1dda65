"""An API server of a few objects in memory, with the methods of `Client` that reflector and elector use.

Like the real one it numbers each change, lets nobody write what he has not read, remembers a while of history, and
can be away.  `delay_s` and `fate` say what becomes of requests; time is that of the running loop.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from copy import deepcopy
from typing import Any

from cri_resmgr.kube.clients import Page
from cri_resmgr.kube.errors import ApiError, Conflict, Expired, NotFound, Unavailable
from cri_resmgr.kube.outages import Outages
from cri_resmgr.kube.resources import Collection, Object, Resource
from cri_resmgr.kube.streams import Event

PASSES, LOST_BEFORE, LOST_AFTER = "passes", "lost before", "lost after"
"""What may become of a request: the server never sees it, or does and its answer is lost."""


class ModelServer:
    """One collection; what tests do to it has plain methods, what a client does is below."""

    def __init__(self) -> None:
        self.version = 0
        self.objects: dict[str, Object] = {}
        self.requests: list[tuple[float, str]] = []
        self.broken: ApiError | None = None
        self.delay_s: Callable[[], float] = lambda: 0.0
        self.fate: Callable[[], str] = lambda: PASSES
        self.outages = Outages(asyncio.get_running_loop().time)
        self._history: list[tuple[int, Event]] = []
        self._remembered_from = 0
        self._watches: dict[asyncio.Queue[Event | ApiError | None], None] = {}

    # -- what happens to it

    def put(self, name: str, value: Any = None) -> None:
        """Somebody makes or changes an object."""
        kind = "MODIFIED" if name in self.objects else "ADDED"
        self._store({"metadata": {"name": name}, "value": value}, kind)

    def drop(self, name: str) -> None:
        """Somebody deletes one."""
        self._changed("DELETED", self.objects.pop(name))

    def breaks(self, error: ApiError) -> None:
        """Every request fails from now on, and watches are cut."""
        self.broken = error
        self.tells(Unavailable("connection reset"))

    def mends(self) -> None:
        """It serves again."""
        self.broken = None

    def forgets(self) -> None:
        """Nobody can go on from an earlier version than this."""
        self._remembered_from = self.version

    def tells(self, event: Event | ApiError | None) -> None:
        """Whoever watches gets this event or error; None ends the watches."""
        for watch in self._watches:
            watch.put_nowait(event)

    def bookmark(self) -> None:
        """Whoever watches is told the version."""
        self.tells(Event("BOOKMARK", {"metadata": {"resourceVersion": str(self.version)}}))

    # -- what a client does

    async def pages(self, collection: Collection, *, page_size: int) -> AsyncIterator[Page]:
        await self._asked("list")
        items, version = deepcopy(list(self.objects.values())), self.version
        for start in range(0, len(items) or 1, page_size):
            if start:
                await self._asked("page")
            yield Page(items[start : start + page_size], str(version))

    @asynccontextmanager
    async def watch(
        self, collection: Collection, *, since: str, lasting_s: float, silence_s: float
    ) -> AsyncIterator[AsyncIterator[Event]]:
        await self._asked("watch")
        if int(since) < self._remembered_from:
            raise Expired(f"too old resource version: {since}")
        coming: asyncio.Queue[Event | ApiError | None] = asyncio.Queue()
        for version, event in self._history:
            if version > int(since):
                coming.put_nowait(event)
        self._watches[coming] = None
        ends = asyncio.get_running_loop().call_later(min(lasting_s, silence_s), coming.put_nowait, None)
        try:
            yield _happening(coming)
        finally:
            ends.cancel()
            del self._watches[coming]

    async def get(self, resource: Resource, name: str, *, deadline_s: float) -> Object:
        return await self._request("get", deadline_s, lambda: self._found(name))

    async def create(self, resource: Resource, body: Object, *, deadline_s: float) -> Object:
        return await self._request("create", deadline_s, lambda: self._made(body))

    async def replace(self, resource: Resource, body: Object, *, deadline_s: float) -> Object:
        return await self._request("replace", deadline_s, lambda: self._replaced(body))

    # -- how it does that

    async def _asked(self, what: str) -> None:
        self.requests.append((asyncio.get_running_loop().time(), what))
        await asyncio.sleep(self.delay_s())
        if self.broken:
            raise self.broken

    async def _request(self, what: str, deadline_s: float, act: Callable[[], Object]) -> Object:
        """A request is there after one delay, its answer after another; the deadline may pass at any time."""
        fate = self.fate()
        try:
            async with asyncio.timeout(deadline_s):
                await self._asked(what)
                if fate == LOST_BEFORE:
                    await asyncio.get_running_loop().create_future()
                answer = deepcopy(act())
                await asyncio.sleep(self.delay_s())
                if fate == LOST_AFTER:
                    await asyncio.get_running_loop().create_future()
                return answer
        except TimeoutError as error:
            raise Unavailable(f"{what}: no answer") from error

    def _found(self, name: str) -> Object:
        if name not in self.objects:
            raise NotFound(name)
        return self.objects[name]

    def _made(self, body: Object) -> Object:
        if body["metadata"]["name"] in self.objects:
            raise Conflict("already exists")
        return self._store(body, "ADDED")

    def _replaced(self, body: Object) -> Object:
        found = self._found(body["metadata"]["name"])
        if found["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
            raise Conflict("changed meanwhile")
        return self._store(body, "MODIFIED")

    def _store(self, body: Object, kind: str) -> Object:
        stored = deepcopy(body)
        self.objects[stored["metadata"]["name"]] = stored
        self._changed(kind, stored)
        return stored

    def _changed(self, kind: str, thing: Object) -> None:
        self.version += 1
        thing["metadata"]["resourceVersion"] = str(self.version)
        event = Event(kind, deepcopy(thing))
        self._history.append((self.version, event))
        self.tells(event)


async def _happening(coming: "asyncio.Queue[Event | ApiError | None]") -> AsyncIterator[Event]:
    while (event := await coming.get()) is not None:
        if isinstance(event, ApiError):
            raise event
        yield event
