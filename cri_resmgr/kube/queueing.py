"""A work queue by key: what has changed is worked on soon, one worker a key at a time, and again until it succeeds.

A key that is added often is worked on once.  One that is added while it is being worked on is worked on again
afterwards, so the last change is never missed.  A key that fails comes back after a delay that grows; added anew it
is tried at once, since that change may be what repairs it.  So what a worker writes itself must not come back as a
change (see `kube.watching`): that would be a busy loop.

    Backlog  which key is next and when; pure, time is an argument
    Queue    the tasks that take from it
"""

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from itertools import count
from math import inf
from typing import Generic, TypeVar

import structlog

from cri_resmgr.errors import Error
from cri_resmgr.kube.backoff import Backoff
from cri_resmgr.kube.errors import Unavailable

K = TypeVar("K", bound=Hashable)
BACKOFF = Backoff(first_s=1.0, last_s=300.0)
STALE_LIMIT = 64

log = structlog.get_logger("kube")


class Backlog(Generic[K]):
    """Keys that wait, each with the time when it is due, and keys that are being worked on."""

    __slots__ = ("_due_s", "_heap", "_order", "_working")

    def __init__(self) -> None:
        self._due_s: dict[K, float] = {}
        self._working: set[K] = set()
        self._heap: list[tuple[float, int, K]] = []  # also has entries that are out of date
        self._order = count()

    def __len__(self) -> int:
        """How many wait, whether they are due or not."""
        return len(self._due_s)

    def due(self, now_s: float) -> int:
        """How many wait that are due; it counts them all."""
        return sum(due_s <= now_s for due_s in self._due_s.values())

    def add(self, key: K, due_s: float) -> None:
        """Let `key` be worked on at `due_s`, or at an earlier time at which it is due already."""
        if due_s >= self._due_s.get(key, inf):
            return
        self._due_s[key] = due_s
        self._push(key)

    def take(self, now_s: float) -> K | None:
        """The key that has been due for longest and that nobody works on; it is being worked on from now on."""
        due_s = self.next_s()
        if due_s is None or due_s > now_s:
            return None
        key = heapq.heappop(self._heap)[2]
        del self._due_s[key]
        self._working.add(key)
        return key

    def done(self, key: K) -> None:
        """`key` is not being worked on any more."""
        self._working.remove(key)
        if key in self._due_s:
            self._push(key)

    def next_s(self) -> float | None:
        """When there is something to take, or None."""
        while self._heap and not self._waits(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def _push(self, key: K) -> None:
        heapq.heappush(self._heap, (self._due_s[key], next(self._order), key))
        if len(self._heap) > 2 * len(self._due_s) + STALE_LIMIT:
            self._heap = [entry for entry in self._heap if self._waits(entry)]
            heapq.heapify(self._heap)

    def _waits(self, entry: tuple[float, int, K]) -> bool:
        due_s, _, key = entry
        return self._due_s.get(key) == due_s and key not in self._working


@dataclass(frozen=True, slots=True)
class _Failing:
    failures: int = 0
    text: str = ""
    told: bool = False


class Queue(Generic[K]):
    """Calls `work(key)`, on up to `workers` keys at once and for up to `deadline_s` each.

    What `work` returns is after how many seconds it wants to look at the key again, or None.
    """

    def __init__(
        self,
        work: Callable[[K], Awaitable[float | None]],
        *,
        workers: int,
        deadline_s: float,
        backoff: Backoff = BACKOFF,
    ) -> None:
        self._work = work
        self._workers = workers
        self._deadline_s = deadline_s
        self._backoff = backoff
        self._backlog: Backlog[K] = Backlog()
        self._failing: dict[K, _Failing] = {}
        self._busy = 0
        self._woken = asyncio.Event()
        self._stopping = False

    @property
    def depth(self) -> int:
        """How many keys are due and have not been begun."""
        return self._backlog.due(asyncio.get_running_loop().time())

    @property
    def failing(self) -> dict[K, str]:
        """What went wrong last with those keys that wait to be tried again."""
        return {key: failing.text for key, failing in self._failing.items()}

    def add(self, key: K, *, after_s: float = 0.0) -> None:
        """Let `key` be worked on, now or later."""
        self._backlog.add(key, asyncio.get_running_loop().time() + after_s)
        self._woken.set()

    def stop(self) -> None:
        """Begin nothing more; `run` returns when what is being worked on is done, which takes `deadline_s` at most."""
        self._stopping = True
        self._woken.set()

    async def run(self) -> None:
        """Work until stopped; cancelled, it cancels the workers and awaits them."""
        async with asyncio.TaskGroup() as group:
            while not self._stopping:
                self._woken.clear()
                self._begin(group)
                await self._change()

    def _begin(self, group: asyncio.TaskGroup) -> None:
        now_s = asyncio.get_running_loop().time()
        while self._busy < self._workers and (key := self._backlog.take(now_s)) is not None:
            self._busy += 1
            group.create_task(self._serve(key))

    async def _change(self) -> None:
        """Wait until there may be something to begin."""
        due_s = self._backlog.next_s() if self._busy < self._workers else None
        loop = asyncio.get_running_loop()
        timer = None if due_s is None else loop.call_at(due_s, self._woken.set)
        try:
            await self._woken.wait()
        finally:
            if timer is not None:
                timer.cancel()

    async def _serve(self, key: K) -> None:
        try:
            again_s = await self._attempt(key)
            if again_s is not None:
                self.add(key, after_s=again_s)
        finally:
            self._busy -= 1
            self._backlog.done(key)
            self._woken.set()

    async def _attempt(self, key: K) -> float | None:
        """Work on `key`; returns when to do so again."""
        try:
            async with asyncio.timeout(self._deadline_s):
                again_s = await self._work(key)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong with one key must not stop the others
            return self._failed(key, error)
        before = self._failing.pop(key, None)
        if before and before.told:
            log.info("queue.recovered", key=str(key), failures=before.failures)
        return again_s

    def _failed(self, key: K, error: Exception) -> float:
        late = isinstance(error, TimeoutError)
        text = f"not done within {self._deadline_s:g} s" if late else str(error) or type(error).__name__
        before = self._failing.get(key, _Failing())
        tell = text != before.text and not isinstance(error, Unavailable)  # which `kube.outages` tells
        self._failing[key] = _Failing(before.failures + 1, text, before.told or tell)
        if tell:
            expected = late or isinstance(error, Error)
            log.warning("queue.failed", key=str(key), error=text, exc_info=None if expected else error)
        return self._backoff.delay_s(before.failures + 1)
