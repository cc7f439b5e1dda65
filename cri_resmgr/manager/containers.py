"""The intercepted calls about containers: what is remembered, what is decided, what is forwarded.

In all of them: what cannot be decoded, or is about somebody we do not know, passes as it is; apart from a new
container's decision the ledger changes only when the runtime has agreed; the runtime's answer reaches the kubelet
untouched.  When a call is cut off after it was forwarded its outcome is unknown, and reconciling finds it out.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from cri_resmgr.cri import messages, methods, patches
from cri_resmgr.manager.book import Book
from cri_resmgr.manager.decoding import decoded, forwarded_or_gone, id_in
from cri_resmgr.manager.enforcing import Enforcer
from cri_resmgr.manager.exports import Exports
from cri_resmgr.manager.hinting import Hinter
from cri_resmgr.manager.patience import Patience
from cri_resmgr.manager.steps import Plan, Step
from cri_resmgr.manager.turns import Turns, within
from cri_resmgr.relay.hooks import Call, Failed, Hook
from cri_resmgr.values.resources import Resources
from cri_resmgr.values.workloads import Container, State

log = structlog.get_logger("resource-manager")


class Containers:
    """Hooks for Create-, Start-, Stop-, RemoveContainer and UpdateContainerResources.

    `hinter` is None where nobody wants to know where devices are.
    """

    def __init__(
        self,
        book: Book,
        enforcer: Enforcer,
        *,
        exports: Exports,
        hinter: Hinter | None,
        budget_s: float,
    ) -> None:
        self._book, self._placing, self._enforcer = book, book.placing, enforcer
        self._exports, self._hinter, self._budget_s = exports, hinter, budget_s
        self._turns = Turns()
        self._resizing: Counter[str] = Counter()
        self._overlapping: set[str] = set()  # of those, keys of more than one call

    def hooks(self) -> dict[str, Hook]:
        """Who answers which method."""
        return {
            methods.CREATE_CONTAINER: self.create,
            methods.START_CONTAINER: self.start,
            methods.STOP_CONTAINER: self.stop,
            methods.REMOVE_CONTAINER: self.remove,
            methods.UPDATE_CONTAINER_RESOURCES: self.update,
        }

    async def create(self, call: Call) -> bytes:
        """Decide, write the decision down, then forward: a crash in between must not forget it."""
        asked = decoded(call, lambda: messages.container_of_create(call.request))
        if asked is None:
            return await call.forward(call.request)
        patience, turn = Patience(call, self._budget_s), self._turns.take(asked.key)
        try:
            await within(self._book.reconciled, patience.left_s)
            await turn.come(patience.left_s)
            plan = self._planned(await self._with_hints(call, asked, patience))
            with self._book.creation(plan):
                await self._book.written(plan)
                turn.end()
                reply = await call.forward(self._patched(call.request, plan.container))
        finally:
            turn.end()
        container_id = decoded(call, lambda: messages.container_id_of_created(reply))
        if container_id:
            self._book.created(plan, container_id)
        else:
            self._book.doubted.set()
        return reply

    async def _with_hints(self, call: Call, asked: Container, patience: Patience) -> Container:
        if self._hinter is None:
            return asked
        pod = self._placing.pod_of(asked)
        hints = await self._hinter.of_create(call.request, asked, pod, deadline_s=patience.left_s)
        return dataclasses.replace(asked, hints=hints)

    def _planned(self, asked: Container) -> Plan:
        for crashed in self._book.earlier_instances(asked):
            self._book.ended(crashed)
        return self._placing.create(asked)

    def _patched(self, request: bytes, container: Container) -> bytes:
        patched = patches.patched_create(request, container.asked, container.due)
        mount = self._exports.mount_for(container)
        if mount is None:
            return patched
        return patches.mounted_create(patched, host_path=mount.host_path, container_path=mount.container_path)

    async def start(self, call: Call) -> bytes:
        """The container runs, once its own CPUs are its own."""
        container_id = id_in(call)
        patience = Patience(call, self._budget_s)
        if self._book.ledger.by_id(container_id) is None:  # a daemon that crashed may have lost its id
            await within(self._book.reconciled, patience.left_s)
        container = await self._turn_of(container_id, patience)
        key = container.key if container else ""
        if not await self._enforcer.ready(key, patience.left_s):
            log.warning("start.uncleared", container=key, id=container_id)
        with self._book.doubting(), self._enforcer.hands_off(key):
            reply = await call.forward(call.request)
        container = self._book.ledger.by_id(container_id)
        if container is not None:
            self._book.started(container)
        return reply

    async def stop(self, call: Call) -> bytes:
        """The container has ended."""
        container_id = id_in(call)
        await self._turn_of(container_id, Patience(call, self._budget_s))
        with self._book.doubting():
            reply = await call.forward(call.request)
        container = self._book.ledger.by_id(container_id)
        if container is not None:
            self._book.ended(container)
        return reply

    async def remove(self, call: Call) -> bytes:
        """Forget the container."""
        container_id = id_in(call)
        await self._turn_of(container_id, Patience(call, self._budget_s))

        def gone() -> None:
            container = self._book.ledger.by_id(container_id)
            if container is not None:
                self._book.ended(container)
                self._book.forgotten(container)

        with self._book.doubting():
            return await forwarded_or_gone(call, gone)

    async def update(self, call: Call) -> bytes:
        """The kubelet resizes: its wish is merged with what the policy owns, and remembered if the runtime agrees."""
        found = decoded(call, lambda: messages.update_of(call.request))
        if found is None:
            return await call.forward(call.request)
        container_id, change = found
        patience = Patience(call, self._budget_s)
        await within(self._book.reconciled, patience.left_s)
        container = await self._turn_of(container_id, patience)
        if container is not None:
            await self._enforcer.quiet(container.key, patience.left_s)
            container = self._book.ledger.by_id(container_id)
        if container is None:
            return await call.forward(call.request)
        with self._resize(container.key):
            return await self._resized(call, container, change, patience)

    async def _resized(self, call: Call, container: Container, change: Resources, patience: Patience) -> bytes:
        """Decide about the wish, and forward it with what is given; if the runtime refuses, all is as before."""
        step, forwarded = self._wished(container, change), False
        try:
            await self._enforcer.cleared(container.key, patience.left_s)
            given = await self._book.given(container)
            forwarded = True
            with self._book.doubting():
                reply = await call.forward(patches.patched_update(call.request, change, given))
        except BaseException as error:
            if forwarded and not isinstance(error, Failed):  # nobody knows what came of it
                self._enforcer.doubt(container.key)
            elif step is not None:
                self._placing.take_back(step)
            raise
        now = self._book.ledger.by_id(container.id)  # another resize may have been faster
        if now is not None:
            await self._book.resized(now, change, given)
        return reply

    def _wished(self, container: Container, change: Resources) -> Step | None:
        if container.state is State.EXITED:
            return None
        return self._placing.update(dataclasses.replace(container, asked=container.asked.merged(change)))

    @contextmanager
    def _resize(self, key: str) -> Iterator[None]:
        """While a resize is under way; of several at once none knew the others' wishes, so it is decided once more."""
        self._resizing[key] += 1
        if self._resizing[key] > 1:
            self._overlapping.add(key)
        try:
            with self._enforcer.hands_off(key):
                yield
        finally:
            self._resizing[key] -= 1
            if not self._resizing[key]:
                del self._resizing[key]
                if key in self._overlapping:
                    self._overlapping.discard(key)
                    self._placing.reconsider(key)
                    self._enforcer.tell_again(key)

    async def _turn_of(self, container_id: str, patience: Patience) -> Container | None:
        """Wait until earlier calls on the container have been looked into, which never wait for the runtime.

        Returns what the ledger then says of it.
        """
        container = self._book.ledger.by_id(container_id)
        if container is not None and self._turns.taken(container.key):
            turn = self._turns.take(container.key)
            try:
                await turn.come(patience.left_s)
            finally:
                turn.end()
        return self._book.ledger.by_id(container_id)
