"""The intercepted calls about containers: what is remembered, what is decided, what is forwarded.

In all of them: what cannot be decoded, or is about somebody we do not know, passes as it is; apart from a new
container's decision the ledger changes only when the runtime has agreed; the runtime's answer reaches the kubelet
untouched.  When a call is cut off after it was forwarded its outcome is unknown, and reconciling finds it out.
"""

import dataclasses

from cri_resmgr.cri import messages, methods, patches
from cri_resmgr.manager.book import Book
from cri_resmgr.manager.deciding import Decider
from cri_resmgr.manager.decoding import decoded, forwarded_or_gone, id_in
from cri_resmgr.manager.turns import Turns, within
from cri_resmgr.relay.hooks import Call, Hook
from cri_resmgr.values.decisions import Decision
from cri_resmgr.values.workloads import Container, State

PASSED = Decision(reasons=("the policy gave no answer: passed as the kubelet asked",))


class Containers:
    """Hooks for Create-, Start-, Stop-, RemoveContainer and UpdateContainerResources."""

    def __init__(self, book: Book, decider: Decider, *, budget_s: float) -> None:
        self._book, self._decider, self._budget_s = book, decider, budget_s
        self._turns = Turns()

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
        turn = self._turns.take(asked.key)
        try:
            await within(self._book.reconciled, self._patience_s(call))
            await turn.come(self._patience_s(call))
            container = self._planned(asked)
            with self._book.creation(container):
                await self._book.written(container)
                turn.end()
                reply = await call.forward(patches.patched_create(call.request, container.asked, container.given))
        finally:
            turn.end()
        container_id = decoded(call, lambda: messages.container_id_of_created(reply))
        if container_id:
            self._book.created(container, container_id)
        else:
            self._book.doubted.set()
        return reply

    def _planned(self, asked: Container) -> Container:
        for crashed in self._book.earlier_instances(asked):
            self._book.ended(crashed)
        decision = self._decided("create", asked)
        return dataclasses.replace(asked, given=decision.assignment, reasons=decision.reasons)

    async def start(self, call: Call) -> bytes:
        """The container runs."""
        container_id = id_in(call)
        await self._turn_of(call, container_id)
        with self._book.doubting():
            reply = await call.forward(call.request)
        container = self._book.ledger.by_id(container_id)
        if container is not None and container.state is not State.EXITED:
            self._book.moved(container, State.RUNNING)
        return reply

    async def stop(self, call: Call) -> bytes:
        """The container has ended."""
        container_id = id_in(call)
        await self._turn_of(call, container_id)
        with self._book.doubting():
            reply = await call.forward(call.request)
        container = self._book.ledger.by_id(container_id)
        if container is not None:
            self._book.ended(container)
        return reply

    async def remove(self, call: Call) -> bytes:
        """Forget the container."""
        container_id = id_in(call)
        await self._turn_of(call, container_id)

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
        if found is None or self._book.ledger.by_id(found[0]) is None:
            return await call.forward(call.request)
        container_id, change = found
        await self._turn_of(call, container_id)
        container = self._book.ledger.by_id(container_id)
        if container is None:
            return await call.forward(call.request)
        wish = dataclasses.replace(container, asked=container.asked.merged(change))
        decision = self._decided("update", wish)
        with self._book.doubting():
            reply = await call.forward(patches.patched_update(call.request, change, decision.assignment))
        now = self._book.ledger.by_id(container_id)  # another resize may have been faster
        if now is not None:
            await self._book.resized(now, now.asked.merged(change), decision)
        return reply

    def _decided(self, event: str, container: Container) -> Decision:
        decide = self._decider.create if event == "create" else self._decider.update
        decision = decide(container, self._book.pod_of(container))
        return decision or dataclasses.replace(PASSED, assignment=container.given)

    async def _turn_of(self, call: Call, container_id: str) -> None:
        """Wait until earlier calls on the container have been looked into; they never wait for the runtime."""
        container = self._book.ledger.by_id(container_id)
        if container is not None and self._turns.taken(container.key):
            turn = self._turns.take(container.key)
            try:
                await turn.come(self._patience_s(call))
            finally:
                turn.end()

    def _patience_s(self, call: Call) -> float:
        """How long this call may wait for us: never past the kubelet's own deadline."""
        remaining_s = call.remaining_s
        return self._budget_s if remaining_s is None else max(0.0, min(self._budget_s, remaining_s))
