"""Somebody else writes cpusets, too: what the kernel holds containers to is compared with what was decided.

    drift = Drift(ledger, events, means=Means(busy=…, pid_of=runtime.pid, effective=…, repair=…))
    drift.every(settings.drift_interval_s)   # at start, and whenever settings change
    tasks.create_task(drift.run())

A round reads a few files for each container, a few containers at a time in a thread, so that the loop never waits for
the kernel.  Only what differs costs more: the container's process is asked for again, lest its number be somebody
else's by now, and read once more.  Then the runtime is told again what was decided; cgroup files are the runtime's, and
are never written here.  What that does not put right, say a CPU that has gone offline, is tried again with growing
pauses.  A container that is being changed right now is left alone.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from cri_resmgr.cri.messages import Undecodable
from cri_resmgr.host.cgroups import Effective
from cri_resmgr.manager.events import Events
from cri_resmgr.state.ledger import Ledger
from cri_resmgr.values import cpusets
from cri_resmgr.values.events import Kind
from cri_resmgr.values.resources import Assignment
from cri_resmgr.values.workloads import Container, State
from cri_resmgr.wire.client import CallError

# A thread that reads keeps the interpreter to itself, so it gets what takes well under a millisecond.  A thousand
# containers then take three seconds, and four tenths of a second of CPU time.
AT_ONCE = 4
PAUSE_S = 0.01
FIRST_RETRY_S, LAST_RETRY_S = 10.0, 600.0

log = structlog.get_logger("resource-manager")


@dataclass(frozen=True, slots=True)
class Means:
    """What a watch needs of others.

    `busy(key)`: a call or an update of ours is under way.  `pid_of(id)`: the first process, 0 for none; raises
    `CallError`.  `effective(pid)`: what the kernel holds it to, None if it has gone; called in a thread.
    `repair(container)`: tell the runtime what was decided, as a whole, and wait for it; raises `CallError`.
    """

    busy: Callable[[str], bool]
    pid_of: Callable[[str], Awaitable[int]]
    effective: Callable[[int], Effective | None]
    repair: Callable[[Container], Awaitable[None]]


@dataclass(slots=True)
class DriftCounters:
    """Whole rounds, and what they have met."""

    rounds: int = 0
    found: int = 0
    repaired: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A repair that did not help: of what, and when it is worth another try."""

    given: Assignment
    found: Effective
    again_s: float
    pause_s: float


class Drift:
    """Watches what the kernel holds the running containers to.  `run` lives as long as the daemon."""

    def __init__(
        self, ledger: Ledger, events: Events, *, means: Means, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ledger, self._events, self._means, self._clock = ledger, events, means, clock
        self._interval_s = 0.0
        self._changed = asyncio.Event()
        self._pids: dict[str, int] = {}  # by container id
        self._attempts: dict[str, _Attempt] = {}
        self.counters = DriftCounters()

    @property
    def unrepaired(self) -> int:
        """Containers that are not where they should be, although the runtime was told."""
        return len(self._attempts)

    @property
    def astray(self) -> frozenset[str]:
        """The ids of these."""
        return frozenset(self._attempts)

    def every(self, interval_s: float) -> None:
        """Look that often from now on; 0 for never."""
        self._interval_s = interval_s
        self._changed.set()

    async def run(self) -> None:
        """Rounds for ever; one that breaks is logged, and the next one comes in its time."""
        while True:
            if await self._paused():
                try:
                    await self.once()
                except Exception:
                    log.exception("drift.broken")

    async def once(self) -> None:
        """One round."""
        watched = [container for container in self._ledger.running() if _is_bound(container)]
        ids = {container.id for container in watched}
        self._pids = {id_: pid for id_, pid in self._pids.items() if id_ in ids}
        self._attempts = {id_: attempt for id_, attempt in self._attempts.items() if id_ in ids}
        for start in range(0, len(watched), AT_ONCE):
            await self._look_at(watched[start : start + AT_ONCE])
            await asyncio.sleep(PAUSE_S)
        self.counters.rounds += 1

    async def _paused(self) -> bool:
        """Wait until a round is due; False if the interval has changed meanwhile."""
        self._changed.clear()
        try:
            async with asyncio.timeout(self._interval_s or None):
                await self._changed.wait()
        except TimeoutError:
            return True
        return False

    async def _look_at(self, containers: Sequence[Container]) -> None:
        pids = [await self._pid_of(container) for container in containers]
        for container, reading in zip(containers, await asyncio.to_thread(self._read_all, pids), strict=True):
            if reading is None:
                self._pids.pop(container.id, None)
            elif _fits(container, reading):
                self._attempts.pop(container.id, None)
            elif self._is_settled(container) and self._is_worth_a_try(container, reading):
                await self._confirm(container)

    async def _confirm(self, container: Container) -> None:
        """It differs: make sure that this is its own process before anything is done."""
        self._pids.pop(container.id, None)
        found = await self._read(container)
        if found is None or _fits(container, found) or not self._is_settled(container):
            return
        self.counters.found += 1
        text = f"ran on {_said(found)} instead of {_wanted(container)}; the runtime is told again"
        log.warning("drift.found", container=container.key, id=container.id, found=_said(found))
        self._events.record(Kind.CPUSET_DRIFT, container=container, text=text)
        await self._repair(container)

    async def _repair(self, container: Container) -> None:
        try:
            await self._means.repair(container)
        except CallError as error:
            log.warning("drift.repair_failed", container=container.key, id=container.id, error=str(error))
        found = await self._read(container)
        if found is None:
            return
        if _fits(container, found):
            self.counters.repaired += 1
            self._attempts.pop(container.id, None)
            return
        self.counters.failed += 1
        before = self._attempt_at(container, found)
        pause_s = min(2 * before.pause_s, LAST_RETRY_S) if before else FIRST_RETRY_S
        self._attempts[container.id] = _Attempt(container.given, found, self._clock() + pause_s, pause_s)

    def _read_all(self, pids: Sequence[int]) -> list[Effective | None]:
        return [self._means.effective(pid) if pid else None for pid in pids]

    async def _read(self, container: Container) -> Effective | None:
        pid = await self._pid_of(container)
        return await asyncio.to_thread(self._means.effective, pid) if pid else None

    async def _pid_of(self, container: Container) -> int:
        if container.id not in self._pids:
            try:
                self._pids[container.id] = await self._means.pid_of(container.id)
            except (CallError, Undecodable) as error:
                log.info("drift.skipped", container=container.key, id=container.id, error=str(error))
                return 0
        return self._pids[container.id]

    def _is_settled(self, container: Container) -> bool:
        """It still runs with the same decision, and nobody is about to change that."""
        now = self._ledger.containers.get(container.key)
        if now is None or (now.id, now.given, now.state) != (container.id, container.given, State.RUNNING):
            return False
        return not self._means.busy(container.key)

    def _is_worth_a_try(self, container: Container, found: Effective) -> bool:
        before = self._attempt_at(container, found)
        return before is None or self._clock() >= before.again_s

    def _attempt_at(self, container: Container, found: Effective) -> _Attempt | None:
        """An earlier attempt at just this."""
        before = self._attempts.get(container.id)
        same = before is not None and (before.given, before.found) == (container.given, found)
        return before if same else None


def _is_bound(container: Container) -> bool:
    return bool(container.given.cpuset_cpus or container.given.cpuset_mems)


def _fits(container: Container, found: Effective) -> bool:
    cpus, mems = container.given.cpuset_cpus, container.given.cpuset_mems
    return (not cpus or cpusets.parse(cpus) == found.cpus) and (not mems or cpusets.parse(mems) == found.mems)


def _said(found: Effective) -> str:
    return f"CPUs {cpusets.text(found.cpus)}, memory nodes {cpusets.text(found.mems)}"


def _wanted(container: Container) -> str:
    given = container.given
    parts = (("CPUs", given.cpuset_cpus), ("memory nodes", given.cpuset_mems))
    return ", ".join(f"{what} {text}" for what, text in parts if text)
