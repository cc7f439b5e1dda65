"""Decisions about containers that exist already are brought to them, through the runtime.

    ledger.owed: given ≠ told ──► commit ──► UpdateContainerResources, only the fields that differ ──► told = given
                                                        │ error: again later
                                                        ▼
    StartContainer waits until nobody else is on the CPUs that are its own, and for nothing else

The ledger says what is owed, so a crash forgets nothing; a container that changes several times before its turn comes
gets the last only.  Containers that leave CPUs come first, those that would get CPUs on which others still are come
last.  A container is left alone while the kubelet starts or resizes it, and the kubelet's call waits while we tell it
something: a runtime that is told two things at once about one container may do either last.

What the store says of an earlier daemon's containers may not be what the runtime has: it is asked about those.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from cri_resmgr.cri.runtime import Runtime
from cri_resmgr.manager.differences import Whole, gained_cpus, own_cpus
from cri_resmgr.manager.events import Events
from cri_resmgr.manager.owing import LASTING_TIMES, Owing
from cri_resmgr.manager.telling import Teller
from cri_resmgr.manager.turns import within
from cri_resmgr.state.ledger import Ledger
from cri_resmgr.state.writer import Writer
from cri_resmgr.values.events import Kind
from cri_resmgr.values.workloads import Container

AT_ONCE = 4  # updates under way: each is a process of the runtime's


class Enforcer:
    """Tells the runtime what it does not know yet; `len` is of how many containers.  Sends nothing before `begin`."""

    def __init__(
        self, ledger: Ledger, writer: Writer, runtime: Runtime, *, events: Events, whole: Callable[[], Whole]
    ) -> None:
        self._ledger, self._writer, self._events = ledger, writer, events
        self._owing = Owing(ledger)
        self._teller = Teller(ledger, writer, runtime, owing=self._owing, whole=whole)
        self.counters = self._teller.counters
        self._calls: Counter[str] = Counter()  # of the kubelet's, under way
        self._telling: set[str] = set()
        self._disturbed: set[str] = set()  # of those: the kubelet did not wait
        self._tasks: set[asyncio.Task[None]] = set()
        self._progress: asyncio.Future[None] | None = None  # somebody waits for it
        self._begun = False

    def __len__(self) -> int:
        return len(self._owing)

    def begin(self) -> None:
        """What runs is known, and decided about."""
        self._begun = True
        self.changed(self._ledger.owed)

    def changed(self, keys: Iterable[str]) -> None:
        """Something has been decided about them, or they have got on in life."""
        for key in tuple(keys):
            self._owing.add(key)
            self._writer.soon()
        self._wake()

    def doubt(self, key: str) -> None:
        """Nobody knows what the container has: look."""
        if key in self._telling:
            self._disturbed.add(key)
        self._owing.doubt(key)
        self._wake()

    # ---- for calls of the kubelet's

    async def ready(self, key: str, deadline_s: float) -> bool:
        """Wait until a container may start: it has what it is given, and its own CPUs for itself."""
        return await self._until(lambda: not self._hinders(key), deadline_s)

    async def cleared(self, key: str, deadline_s: float) -> bool:
        """Wait until nobody else is on the CPUs that a container gets for its own."""
        return await self._until(lambda: not self._would_crowd(key), deadline_s)

    async def quiet(self, key: str, deadline_s: float) -> bool:
        """Wait until we are not just telling the runtime something about it."""
        return await self._until(lambda: key not in self._telling, deadline_s)

    @contextmanager
    def hands_off(self, key: str) -> Iterator[None]:
        """While the kubelet's own call starts or resizes the container."""
        disturbs = key in self._telling
        self._calls[key] += 1
        try:
            yield
        finally:
            self._calls[key] -= 1
            if not self._calls[key]:
                del self._calls[key]
            if disturbs:
                self.tell_again(key)
            self._wake()

    def tell_again(self, key: str) -> None:
        """Two have told the runtime something about it at once, and nobody knows who was last: tell it everything."""
        if key in self._telling:
            self._disturbed.add(key)
        else:
            self._owing.repeat(key)
            self._wake()

    # ---- for a switch of policies

    def troubled(self) -> frozenset[str]:
        """Those of whom the runtime has not taken the last update."""
        return self._owing.failures.keys()

    async def verified(self, keys: Iterable[str], deadline_s: float) -> dict[str, str]:
        """Wait until the runtime has taken what was decided about them; by key, why it has not."""
        left = set(keys)

        def settled() -> bool:
            left.difference_update([key for key in left if not self._is_open(key)])
            return all(self._has_failed_for_good(key) for key in left)

        await self._wait(settled, deadline_s)
        failures = {key: self._owing.failures.of(key) for key in sorted(left)}
        return {key: failure.text if failure else "it was not told in time" for key, failure in failures.items()}

    # ---- for the drift watch, and for health

    def busy(self, key: str) -> bool:
        """Whether the container is being changed, or about to be."""
        return key in self._telling or key in self._calls or key in self._owing

    async def repair(self, container: Container) -> None:
        """Tell the runtime all that is given to the container, and wait for it. Raises `CallError`."""
        if not self.busy(container.key):
            with self._told_about(container.key):
                await self._teller.update(container, None)

    def complaints(self) -> list[str]:
        """What has not worked for some time."""
        lasting = self._owing.failures.lasting(self._owing.__contains__)
        return [f"{key} does not have what was decided: {failure.text}" for key, failure in lasting.items()]

    async def close(self) -> None:
        """Begin nothing more; what is under way is found by the next start."""
        self._begun = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ---- telling

    def _wake(self) -> None:
        if self._progress is not None:
            self._progress.set_result(None)
            self._progress = None
        while self._begun and len(self._telling) < AT_ONCE:
            container = self._owing.next(self._may_go)
            if container is None and not self._telling and not self._calls:  # they wait for each other, or in vain
                container = self._owing.next(self._can_go)
            if container is None:
                break
            self._telling.add(container.key)
            task = asyncio.create_task(self._tell(container), name=f"enforcing {container.key}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _can_go(self, container: Container) -> bool:
        key = container.key
        waits = key in self._telling or key in self._calls or self._owing.failures.waits(key)
        return bool(container.id) and not waits

    def _may_go(self, container: Container) -> bool:
        looks = container.key in self._owing.doubted
        return self._can_go(container) and (looks or not self._would_crowd(container.key))

    async def _tell(self, container: Container) -> None:
        with self._told_about(container.key):
            failure = await self._teller.tell(container)
        if failure is not None:
            asyncio.get_running_loop().call_later(failure.pause_s, self._wake)
            if failure.times == LASTING_TIMES:
                text = f"the runtime does not take what was decided: {failure.text}; it is tried again"
                self._events.record(Kind.UPDATE_FAILED, container=container, text=text)

    @contextmanager
    def _told_about(self, key: str) -> Iterator[None]:
        self._telling.add(key)
        try:
            yield
        finally:
            self._telling.discard(key)
            if key in self._disturbed:
                self._disturbed.discard(key)
                self._owing.repeat(key)
            self._wake()

    # ---- waiting

    def _hinders(self, key: str) -> bool:
        """Whether something stands against the container's start."""
        return key in self._telling or (bool(self._owing) and (key in self._owing or self._is_crowded(key)))

    def _is_crowded(self, key: str) -> bool:
        container = self._ledger.holders.get(key)
        own = own_cpus(container) if container else 0
        return bool(own) and self._owing.are_others_on(own, but=key)

    def _would_crowd(self, key: str) -> bool:
        container = self._ledger.holders.get(key)
        gained = gained_cpus(container) if container else 0
        return bool(gained) and self._owing.are_others_on(gained, but=key)

    def _is_open(self, key: str) -> bool:
        """Whether there is something to tell about a container that is there."""
        container = self._ledger.holders.get(key)
        return container is not None and bool(container.id) and (key in self._telling or key in self._owing)

    def _has_failed_for_good(self, key: str) -> bool:
        failure = self._owing.failures.of(key)
        return failure is not None and failure.times >= LASTING_TIMES

    async def _until(self, condition: Callable[[], bool], deadline_s: float) -> bool:
        """Let a call of the kubelet's wait, and count it."""
        if condition():
            return True
        self.counters.waited += 1
        come = await self._wait(condition, deadline_s)
        self.counters.uncleared += not come
        return come

    async def _wait(self, condition: Callable[[], bool], deadline_s: float) -> bool:
        loop = asyncio.get_running_loop()
        end_s = loop.time() + deadline_s
        while not condition():
            if loop.time() >= end_s:
                return False
            self._progress = self._progress or loop.create_future()
            await within(self._progress, end_s - loop.time())
        return True
