"""The ledger as the manager uses it: every change is followed by a write, and what has ended is released."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import structlog

from cri_resmgr.manager.differences import told_by_kubelet
from cri_resmgr.manager.placing import Placing
from cri_resmgr.manager.steps import Plan
from cri_resmgr.relay.hooks import Failed, Refused
from cri_resmgr.state.ledger import Ledger
from cri_resmgr.state.writer import Writer
from cri_resmgr.values.decisions import HOLDING_NOTHING
from cri_resmgr.values.resources import NOTHING, Assignment, Resources
from cri_resmgr.values.workloads import Container, Pod, State

log = structlog.get_logger("resource-manager")


class Book:
    """What runs, with the store behind it; `forgets(container)` is told of everyone who leaves the ledger.

    `creating` counts the CreateContainer calls that are under way, by key.  `reconciled` is done when the ledger has
    been compared with the runtime for the first time; `doubted` is set when that has to be done again.
    """

    def __init__(
        self, ledger: Ledger, writer: Writer, placing: Placing, *, forgets: Callable[[Container], None]
    ) -> None:
        self.ledger, self.placing, self._writer, self._forgets = ledger, placing, writer, forgets
        self.creating: Counter[str] = Counter()
        self._repeated: set[str] = set()  # of those, keys of more than one call
        self.doubted = asyncio.Event()
        self.doubted.set()
        self.reconciled: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def earlier_instances(self, container: Container) -> tuple[Container, ...]:
        """Instances that a new one replaces: they have crashed, whether the kubelet removes them or not.

        One that is just being made speaks for itself.
        """
        siblings = (c for c in self.ledger.of_pod(container.pod_id) if c.name == container.name)
        return tuple(c for c in siblings if c.attempt < container.attempt and c.key not in self.creating)

    def met(self, pod: Pod) -> None:
        """There is a pod."""
        self.ledger.put_pod(pod)
        if (recorder := self.placing.recorder) is not None:
            recorder.pod_came(pod)
        log.debug("pod.met", pod=pod.name, namespace=pod.namespace, id=pod.id)
        self._writer.soon()

    def gone(self, pod_id: str) -> None:
        """There is no such pod any more, and nothing of what was in it."""
        for container in self.ledger.of_pod(pod_id):
            self._drop(container)
            if container.state is not State.EXITED:
                self._release(container.key)
        if pod_id in self.ledger.pods:
            log.debug("pod.gone", id=pod_id)
            if (recorder := self.placing.recorder) is not None:
                recorder.pod_gone(pod_id)
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
    def creation(self, plan: Plan) -> Iterator[None]:
        """While the runtime makes a container: its record stands, and if the call is cut off it stays."""
        key = plan.container.key
        if self.creating[key]:
            self._repeated.add(key)
        self.creating[key] += 1
        try:
            with self.doubting():
                yield
        except Failed:
            self._not_created(plan)
            raise
        finally:
            self.creating[key] -= 1
            if not self.creating[key]:
                del self.creating[key]
                self._repeated.discard(key)

    async def written(self, plan: Plan) -> None:
        """A decision is in the store before it has an effect, or if the store fails as soon as that works again.

        One that changes nothing has no effect that could be forgotten: what was asked stands in the container's OCI
        spec, where reconciling finds it.
        """
        changes_others = plan.step is not None and plan.step.was
        if changes_others or plan.container.due != NOTHING or plan.container.holding != HOLDING_NOTHING:
            await self._writer.now()
        else:
            self._writer.soon()

    def adopted(self, container: Container) -> None:
        """There is a container that was there before us."""
        self.ledger.put(container)
        self._writer.soon()

    def created(self, plan: Plan, container_id: str) -> None:
        """The runtime has named a container; if it went with its pod meanwhile, that changes nothing."""
        key, now = plan.container.key, self.ledger.containers.get(plan.container.key)
        if now is None:
            return
        if now.id not in {"", container_id}:  # which is gone without our noticing
            self._hand_on(now)
        self.ledger.created(key, container_id)
        self.ledger.told(key, plan.container.due)
        self.ledger.asked(key, plan.container.asked)
        if now.asked != plan.container.asked:  # than when it was decided about, by a call that was cut off
            self.placing.reconsider(key)
        self.placing.created(key)
        log.debug("container.created", container=key, id=container_id)
        self._writer.soon()

    def found(self, container: Container, container_id: str) -> None:
        """A container whose CreateContainer was cut off is there."""
        self.ledger.created(container.key, container_id)
        self.placing.found(container.key)
        self._writer.soon()

    def started(self, container: Container) -> None:
        """A container runs; one that has ended does not come back."""
        if container.state not in {State.RUNNING, State.EXITED}:
            self.ledger.moved(container.key, State.RUNNING)
            self.placing.started(container.key)
            if (recorder := self.placing.recorder) is not None:
                recorder.started(container)
            log.debug("container.started", container=container.key, id=container.id)
            self._writer.soon()

    def ended(self, container: Container) -> None:
        """A container has ended, whoever noticed: from here on it holds nothing.

        If it is just being made anew, what it held is for the instance to come.
        """
        if container.key in self.creating:
            self._hand_on(container)
        elif container.state is not State.EXITED:
            self.ledger.moved(container.key, State.EXITED)
            log.debug("container.ended", container=container.key, id=container.id)
            self._release(container.key)
            self._writer.soon()

    async def given(self, container: Container) -> Assignment:
        """What is due to a container now, in the store before it has an effect."""
        now = self.ledger.containers.get(container.key, container)
        if now.due != now.told:
            await self._writer.now()
            now = self.ledger.containers.get(container.key, now)
        return now.due

    async def resized(self, container: Container, change: Resources, given: Assignment) -> None:
        """The runtime has accepted a resize: written at once, since nobody else remembers the kubelet's word."""
        self.ledger.asked(container.key, container.asked.merged(change))
        self.ledger.told(container.key, told_by_kubelet(container, change, given))
        await self._writer.now()

    def forgotten(self, container: Container) -> None:
        """A container is removed."""
        self.ended(container)
        if container.key not in self.creating:
            self._drop(container)

    def _hand_on(self, container: Container) -> None:
        if container.id:
            self.ledger.put(replace(container, id="", state=State.CREATING))
            self._writer.soon()

    def _release(self, key: str) -> None:
        self.placing.release(key)
        if self.placing.stale:  # then reconciling lets the policy begin again
            self.doubted.set()

    def _drop(self, container: Container) -> None:
        self.ledger.drop(container.key)
        self._forgets(container)
        self._writer.soon()

    def _not_created(self, plan: Plan) -> None:
        """Refused, most likely because it is there already: a kubelet that was cut off asks once more for the same."""
        now = self.ledger.containers.get(plan.container.key)
        if now is None:  # gone with its pod
            return
        if plan.step is None or plan.container.key in self._repeated:
            self.doubted.set()
            return
        self.placing.discard(plan, plan.step)
        if plan.before is None:
            self._forgets(plan.container)
        else:
            self.doubted.set()
        self._writer.soon()
