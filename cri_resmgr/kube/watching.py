"""A collection kept in memory: list it, then watch what becomes of it, for ever.

    list all pages ──► watch from there ──► the server ends it after some minutes: watch on from the last version
         ▲                    │  └──────────► the connection is lost: the same, a little later
         └──── 410: the server has forgotten that version

Bookmarks carry the version on while nothing of ours changes, so a restart of the server costs a list only when it
must.  A watch that says nothing is renewed after some minutes: nothing may have happened, or nobody may be there.
Nothing is tried again at once unless it went well before, and an outage is told by `kube.outages`.

The memory holds what `project` makes of an object, nothing if that is None, and `changed` is told when that changes:
project away what you do not need, above all what you yourself write, and it will not come back to you as news.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic, NoReturn, TypeVar

from cri_resmgr.kube.backoff import Backoff, spread
from cri_resmgr.kube.clients import PAGE_SIZE, Client
from cri_resmgr.kube.errors import ApiError, Expired, NotFound, Refused, Unavailable
from cri_resmgr.kube.resources import Collection, Object, Ref, ref_of
from cri_resmgr.kube.streams import Event

T = TypeVar("T")
BACKOFF = Backoff(first_s=0.5, last_s=30.0)


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things last; the server is asked to end a watch after between a half and the whole of `watch_s`."""

    watch_s: float = 480.0
    silence_s: float = 240.0
    settled_s: float = 5.0
    """A watch that lasted so long without an event was a good one, too."""
    backoff: Backoff = BACKOFF
    page_size: int = PAGE_SIZE


PACE = Pace()


class Reflector(Generic[T]):
    """The objects of `collection`; `run` it as a task, and cancel that to stop.

    `changed(old, new)` is called after `objects` has changed, with None for what is not there; it must not block.
    An object that was made anew under its old name while nobody looked is a change like others.
    """

    def __init__(
        self,
        client: Client,
        collection: Collection,
        *,
        project: Callable[[Object], T | None],
        changed: Callable[[T | None, T | None], None],
        pace: Pace = PACE,
    ) -> None:
        self._client = client
        self._collection = collection
        self._project = project
        self._changed = changed
        self._pace = pace
        self._what = str(collection)
        self._version = ""
        self._good = False
        self._objects: dict[Ref, T] = {}
        self.objects: Mapping[Ref, T] = MappingProxyType(self._objects)
        """A live view; stale while the API server is away."""
        self.known = asyncio.Event()
        """Set once it is known what there is: from then on what is not in `objects` does not exist."""

    async def run(self) -> NoReturn:
        """Keep `objects` true until cancelled."""
        failures = 0
        try:
            while True:
                self._good = False
                error = await self._turn()
                if self._good:
                    failures = 0
                if error or not self._good:
                    failures += 1
                at_least_s = error.retry_after_s if isinstance(error, Unavailable) else 0.0
                await asyncio.sleep(max(self._pace.backoff.delay_s(failures), at_least_s))
        finally:
            self._client.outages.forget(self._what)

    async def _turn(self) -> ApiError | None:
        """A list if need be, and one watch; returns what went wrong."""
        listing = not self._version
        try:
            if listing:
                await self._list()
            await self._follow()
        except Expired as error:
            self._version = ""
            if listing and not self._good:
                return self._failed(error)
            self._good = True  # this is how it should be after a while
        except Refused as error:
            self._version = ""
            if isinstance(error, NotFound):  # there is no such kind, so there is nothing of it
                self._replace({})
            return self._failed(error)
        except ApiError as error:
            return self._failed(error)
        return None

    async def _list(self) -> None:
        found: dict[Ref, T | None] = {}
        async for page in self._client.pages(self._collection, page_size=self._pace.page_size):
            found.update((ref_of(item), self._project(item)) for item in page.items)
            version = page.version
        self._replace(found)
        self._version = version

    async def _follow(self) -> None:
        loop, pace = asyncio.get_running_loop(), self._pace
        begun_s = loop.time()
        async with self._client.watch(
            self._collection, since=self._version, lasting_s=spread(pace.watch_s), silence_s=pace.silence_s
        ) as events:
            self._client.outages.over(self._what)
            try:
                async for event in events:
                    self._take(event)
                    self._good = True
            finally:
                self._good |= loop.time() - begun_s >= pace.settled_s

    def _take(self, event: Event) -> None:
        self._version = event.object["metadata"]["resourceVersion"]
        if event.kind in {"ADDED", "MODIFIED"}:
            self._put(ref_of(event.object), self._project(event.object))
        elif event.kind == "DELETED":
            self._put(ref_of(event.object), None)

    def _replace(self, found: Mapping[Ref, T | None]) -> None:
        for ref in [*self._objects.keys() - found.keys(), *found]:
            self._put(ref, found.get(ref))
        self.known.set()

    def _put(self, ref: Ref, new: T | None) -> None:
        old = self._objects.get(ref)
        if old == new:
            return
        if new is None:
            del self._objects[ref]
        else:
            self._objects[ref] = new
        self._changed(old, new)

    def _failed(self, error: ApiError) -> ApiError:
        self._client.outages.failed(self._what, error)
        return error
