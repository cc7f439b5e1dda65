"""The ledger as the manager uses it: every change is followed by a write, and what has ended holds nothing."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from cri_resmgr.relay.hooks import Failed, Refused
from cri_resmgr.state.ledger import Ledger
from cri_resmgr.state.writer import Writer
from cri_resmgr.values.decisions import Decision
from cri_resmgr.values.resources import NOTHING, Resources
from cri_resmgr.values.workloads import Container, Pod, State


class Book:
    """What runs, with the store behind it.

    `creating` counts the CreateContainer calls that are under way, by key.  `reconciled` is done when the ledger has
    been compared with the runtime for the first time; `doubted` is set when that has to be done again.
    """

    def __init__(self, ledger: Ledger, writer: Writer) -> None:
        self.ledger, self._writer = ledger, writer
        self.creating: Counter[str] = Counter()
        self._repeated: set[str] = set()  # of those, keys of more than one call
        self.doubted = asyncio.Event()
        self.doubted.set()
        self.reconciled: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def pod_of(self, container: Container) -> Pod:
        """Its pod, or one without a name if we never met it."""
        return self.ledger.pods.get(container.pod_id) or Pod(container.pod_id, "", "", "")

    def earlier_instances(self, container: Container) -> tuple[Container, ...]:
        """Instances that a new one replaces: they have crashed, whether the kubelet removes them or not."""
        siblings = self.ledger.of_pod(container.pod_id)
        return tuple(c for c in siblings if c.name == container.name and c.attempt < container.attempt)

    def met(self, pod: Pod) -> None:
        """There is a pod."""
        self.ledger.put_pod(pod)
        self._writer.soon()

    def gone(self, pod_id: str) -> None:
        """There is no such pod any more, and nothing of what was in it."""
        for container in self.ledger.of_pod(pod_id):
            self.ended(container)
        self.ledger.drop_pod(pod_id)
        self._writer.soon()

    @contextmanager
    def doubting(self) -> Iterator[None]:
        """Around a call to the runtime: when it is cut off nobody knows what came of it, and we look."""
        try:
            yield
        except (Failed, Refused):
            raise
        except BaseException:
            self.doubted.set()
            raise

    @contextmanager
    def creation(self, container: Container) -> Iterator[None]:
        """While the runtime makes a container: its record stands, and if the call is cut off it stays.

        What is there already under that key keeps its record: most likely the kubelet asks for it twice.
        """
        key = container.key
        before = self.ledger.containers.get(key)
        if before is None or not before.id:
            self.ledger.put(container)
        if self.creating[key]:
            self._repeated.add(key)
        self.creating[key] += 1
        try:
            with self.doubting():
                yield
        except Failed:
            self._not_created(key, before)
            raise
        finally:
            self.creating[key] -= 1
            if not self.creating[key]:
                del self.creating[key]
                self._repeated.discard(key)

    async def written(self, container: Container) -> None:
        """A decision is in the store before it has an effect, or if the store fails as soon as that works again.

        One that changes nothing has no effect that could be forgotten: what was asked stands in the container's OCI
        spec, where reconciling finds it.
        """
        if container.given == NOTHING:
            self._writer.soon()
        else:
            await self._writer.now()

    def adopted(self, container: Container) -> None:
        """There is a container that was there before us."""
        self.ledger.put(container)
        self._writer.soon()

    def created(self, container: Container, container_id: str) -> None:
        """The runtime has named a container; if it went with its pod meanwhile, that changes nothing."""
        now = self.ledger.containers.get(container.key)
        if now is not None and now.id not in {"", container_id}:  # which is gone without our noticing
            self.ledger.put(container)
        self.ledger.created(container.key, container_id)
        self._writer.soon()

    def moved(self, container: Container, state: State) -> None:
        """A container has gone on in its life."""
        if container.state is not state:
            self.ledger.moved(container.key, state)
            self._writer.soon()

    def ended(self, container: Container) -> None:
        """A container has ended, whoever noticed: from here on it holds nothing."""
        self.moved(container, State.EXITED)

    async def resized(self, container: Container, asked: Resources, decision: Decision) -> None:
        """The runtime has accepted a resize: written at once, since nobody else remembers the kubelet's word."""
        self.ledger.asked(container.key, asked)
        self.ledger.decided(container.key, decision)
        self.ledger.told(container.key, decision.assignment)
        await self._writer.now()

    def forgotten(self, container: Container) -> None:
        """A container is removed, or was never made."""
        self.ledger.drop(container.key)
        self._writer.soon()

    def _not_created(self, key: str, before: Container | None) -> None:
        """Refused, most likely because it is there already: a kubelet that was cut off asks once more for the same."""
        now = self.ledger.containers.get(key)
        if now is None:  # gone with its pod
            return
        if before is None and key not in self._repeated:
            self.forgotten(now)
            return
        if before is not None and not now.id:
            self.ledger.put(before)
            self._writer.soon()
        self.doubted.set()
