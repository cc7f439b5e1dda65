"""Making the ledger true: at start, after an outage, and each time that the kubelet lists everything anyway.

The runtime is right about what exists and what runs; the ledger is right about what was asked and decided.  A
container that was there before us is adopted with exactly what it has, as its OCI spec says; never is one that the
ledger knows, whose spec says what we have set.  When the ledger was lost, sets of CPUs and memory nodes in a spec are
taken for ours: a kubelet that sets any says so again by itself.

Then the policy begins with what runs, and once more whenever there is somebody whom it does not know.

Three races are known: what appeared while a list was under way, be it anew under an old key, is not missed for it;
a container that a CreateContainer is making right now is left to that call; and one whose CreateContainer was cut
off may still come into being, so its record is kept for a while.
"""

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine, Iterable
from time import monotonic
from typing import Any

import structlog

from cri_resmgr.cri.messages import Undecodable
from cri_resmgr.cri.runtime import Runtime
from cri_resmgr.manager.book import Book
from cri_resmgr.values.resources import NOTHING, Assignment, Resources
from cri_resmgr.values.workloads import Container, Pod, State
from cri_resmgr.wire.client import CallError

log = structlog.get_logger("resource-manager")

AT_ONCE = 8  # status calls under way
FIRST_RETRY_S, LAST_RETRY_S = 0.5, 30.0
UNBORN_S = 30.0  # how long a container without an id may take to appear after its call was cut off


class Reconciler:
    """Compares the ledger with the runtime.  `run` lives as long as the daemon."""

    def __init__(
        self,
        book: Book,
        runtime: Runtime,
        *,
        ledger_was_lost: bool = False,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._book, self._runtime, self._clock = book, runtime, clock
        self._ledger_was_lost = ledger_was_lost
        self._strangers: set[str] = set()  # listed last time, and not ours
        self._unborn: dict[str, float] = {}  # keys without an id that the runtime did not list, and since when
        self.healthy = False
        self.rounds = 0

    async def run(self) -> None:
        """Reconcile whenever it is wanted; retry with growing pauses while the runtime does not answer."""
        retry_s = FIRST_RETRY_S
        while True:
            await self._book.doubted.wait()
            self._book.doubted.clear()
            error = await self._attempt()
            if not self._book.reconciled.done():
                self._book.reconciled.set_result(None)
            if error is None:
                retry_s = FIRST_RETRY_S
                continue
            self.healthy = False
            log.warning("reconcile.failed", error=str(error), retry_s=retry_s)
            self._book.doubted.set()
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, LAST_RETRY_S)

    async def once(self) -> None:
        """One comparison; raises `CallError` and `Undecodable`."""
        known = self._known()
        pods, containers = await self._runtime.pods(), await self._runtime.containers()
        await self._meet(pods)
        strangers = await self._adopt([self._matched(container) for container in containers])
        self._forget(known, {pod.id for pod in pods}, {c.key for c in containers})
        if strangers or self._book.placing.stale or not self._book.placing.begun:
            self._book.placing.begin()
        self.healthy = True
        self.rounds += 1
        ledger = self._book.ledger
        log.info("reconcile.done", pods=len(ledger.pods), containers=len(ledger.containers))

    async def _attempt(self) -> Exception | None:
        """What has gone wrong; whatever it was, the policy begins with what we know."""
        try:
            await self.once()
        except (CallError, Undecodable) as error:
            if not self._book.placing.begun:
                self._book.placing.begin()
            return error
        return None

    def known_ids(self) -> frozenset[str]:
        """The ids of all containers that the ledger has: what a list that begins now has to name."""
        return frozenset(c.id for c in self._book.ledger.containers.values() if c.id)

    def known_pods(self) -> frozenset[str]:
        """The ids of all pods that the ledger has."""
        return frozenset(self._book.ledger.pods)

    def listed(self, known: frozenset[str], states: dict[str, State]) -> None:
        """The kubelet has listed all containers: believe it; `known` are our ids when the list was asked for."""
        ledger = self._book.ledger
        for container_id in known - states.keys():
            container = ledger.by_id(container_id)
            if container is not None:
                self._lost(container)
        strangers = set()
        for container_id, state in states.items():
            container = ledger.by_id(container_id)
            if container is not None:
                self._follow(container, state)
            else:
                strangers.add(container_id)
        if strangers & self._strangers:  # twice: not one that is just being created
            self._book.doubted.set()
        self._strangers = strangers

    def pods_listed(self, known: frozenset[str], listed: frozenset[str]) -> None:
        """The kubelet has listed all pods; `known` are those that we knew when the list was asked for."""
        for pod_id in known - listed:
            self._book.gone(pod_id)

    def _known(self) -> tuple[set[str], dict[str, str]]:
        """The pods, and by key the ids of the containers, that a list which begins now has to name."""
        ledger, creating = self._book.ledger, self._book.creating
        return set(ledger.pods), {key: c.id for key, c in ledger.containers.items() if key not in creating}

    async def _meet(self, pods: Iterable[Pod]) -> None:
        async def meet(pod: Pod) -> None:
            self._book.met(await self._runtime.pod(pod.id))

        await _each(meet, [pod for pod in pods if pod.id not in self._book.ledger.pods])

    def _matched(self, listed: Container) -> Container:
        """A container that we were creating when we died has its id now."""
        mine = self._book.ledger.containers.get(listed.key)
        if mine is not None and not mine.id and listed.key not in self._book.creating:
            self._book.found(mine, listed.id)
        return listed

    async def _adopt(self, listed: list[Container]) -> bool:
        """Follow those that we know, adopt the others; whether one of them is alive."""

        async def adopt(container: Container) -> None:
            has = await self._resources_of(container)
            if self._book.ledger.by_id(container.id) is None:
                adopted.append(self._as_adopted(container, has))
                self._book.adopted(adopted[-1])

        adopted: list[Container] = []
        for container in listed:
            mine = self._book.ledger.by_id(container.id)
            if mine is not None:
                self._follow(mine, container.state)
        strangers = [c for c in listed if self._book.ledger.by_id(c.id) is None and c.key not in self._book.creating]
        await _each(adopt, strangers)
        return any(container.state is not State.EXITED for container in adopted)

    def _as_adopted(self, container: Container, has: Resources) -> Container:
        told = NOTHING
        if self._ledger_was_lost:
            told = Assignment(cpuset_cpus=has.cpuset_cpus or None, cpuset_mems=has.cpuset_mems or None)
            has = dataclasses.replace(has, cpuset_cpus="", cpuset_mems="")
        reasons = ("it was there before us: left as it is",)
        return dataclasses.replace(container, asked=has, told=told, adopted=True, reasons=reasons)

    async def _resources_of(self, container: Container) -> Resources:
        if container.state is State.EXITED:
            return Resources()
        return await self._runtime.resources(container.id) or Resources()

    def _follow(self, mine: Container, state: State) -> None:
        if state is State.EXITED:
            self._book.ended(mine)
        elif state is State.RUNNING:
            self._book.started(mine)

    def _forget(self, known: tuple[set[str], dict[str, str]], pods: set[str], containers: set[str]) -> None:
        for pod_id in known[0] - pods:
            self._book.gone(pod_id)
        missing = known[1].keys() - containers - self._book.creating.keys()
        now = self._clock()
        self._unborn = {key: since for key, since in self._unborn.items() if key in missing}
        for key in missing:
            container = self._book.ledger.containers.get(key)
            if container is None or container.id != known[1][key]:
                continue
            if container.id or now - self._unborn.setdefault(key, now) >= UNBORN_S:
                self._lost(container)
        if self._unborn:
            asyncio.get_running_loop().call_later(UNBORN_S, self._book.doubted.set)

    def _lost(self, container: Container) -> None:
        log.info("container.lost", container=container.key, id=container.id)
        self._book.ended(container)
        self._book.forgotten(container)


async def _each(do: Callable[[Any], Coroutine[Any, Any, None]], things: Iterable[Any]) -> None:
    """Do it to all of them, a few at a time; one that has gone in the meantime is left out."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(thing: Any) -> None:
        async with places:
            try:
                await do(thing)
            except (CallError, Undecodable) as error:
                log.info("reconcile.skipped", id=thing.id, error=str(error))

    async with asyncio.TaskGroup() as group:
        for thing in things:
            group.create_task(one(thing))
