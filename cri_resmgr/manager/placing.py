"""Events of containers, as the policy sees them: it is asked, and the ledger follows at once, neighbours included.

    create, update      a call waits: there is an outcome in any case, see `deciding`
    release             whenever a container has ended or is gone, however that was noticed
    revisit, rebalance  when their time has come
    begin               what runs has been compared with the ledger, or there is somebody whom the policy does not know
    switch, switch_back another policy decides, or the old one again, see `reconfiguring`

Nothing is awaited here, so what the policy knows and what the ledger says never differ while others act.  The runtime
hears of it from `enforcing`, once the store has it.  A step can be taken back when the runtime has refused what it was
for: exactly, unless something has happened since; then the policy is asked what follows.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from cri_resmgr.manager.deciding import RESTORE_BUDGET_S, Decider, NoAnswer
from cri_resmgr.manager.enforcing import Enforcer
from cri_resmgr.manager.interrupting import interrupted_after
from cri_resmgr.manager.revisiting import Revisits
from cri_resmgr.manager.steps import Plan, Step, asked_again, decision_about
from cri_resmgr.manager.unplaced import Unplaced
from cri_resmgr.observe.recording import Recorder
from cri_resmgr.policies.contract import Answer, Policy, Restored
from cri_resmgr.state.ledger import Ledger, with_decision
from cri_resmgr.values.decisions import HOLDING_NOTHING, Change, Decision
from cri_resmgr.values.workloads import Container, Pod, State


class Placing:
    """What the policy decides about, in the ledger; `exported(container)` is told whose holding has changed."""

    def __init__(
        self,
        ledger: Ledger,
        decider: Decider,
        *,
        enforcer: Enforcer,
        unplaced: Unplaced,
        exported: Callable[[Container], None],
    ) -> None:
        self._ledger, self._decider = ledger, decider
        self._enforcer, self._unplaced, self._exported = enforcer, unplaced, exported
        self._revisits = Revisits(self.revisit)
        self.adjusted: Callable[[Container], Container] = lambda container: container  # a new one; see `adjusting`

    @property
    def stale(self) -> bool:
        """Whether the policy must begin once more: something has happened that it does not know."""
        return self._decider.stale

    @property
    def begun(self) -> bool:
        """Whether the policy has been told what runs."""
        return self._decider.begun or self._decider.stale

    @property
    def recorder(self) -> Recorder | None:
        """Who wants to hear what happens, if anybody does."""
        return self._decider.recorder

    def pod_of(self, container: Container) -> Pod:
        """Its pod, or one without a name if we never met it."""
        return self._ledger.pods.get(container.pod_id) or Pod(container.pod_id, "", "", "")

    def begin(self) -> None:
        """Begin with what runs: the policy takes it over, and whoever must change is told."""
        changes = self._decider.restore(self._running())
        if changes is None:
            holders = self._ledger.holders.values()
            self._unplaced.begin(container.key for container in holders if container.holding == HOLDING_NOTHING)
        self._begun(changes)

    def planned(self, policy: Policy) -> Restored:
        """What a policy would do with what runs; nothing changes.  Raises whatever it raises, and `OverBudget`."""
        with interrupted_after(RESTORE_BUDGET_S):
            return policy.restore(self._running())

    def switch(self, policy: Policy, restored: Restored, *, cpus: int) -> None:
        """Another policy decides from here on, and has begun so with what runs; `cpus` are for those it passes."""
        self._decider.switch(policy, restored)
        self._unplaced.share(cpus)
        self._begun(restored.changes)

    def switch_back(self, policy: Policy, before: Mapping[str, Container], *, cpus: int) -> None:
        """The policy from before decides again: it begins with what it had decided then, where that still runs."""
        holders = self._ledger.holders
        known = [
            key for key in before if key in holders and decision_about(before[key]) != decision_about(holders[key])
        ]
        for key in known:
            self._ledger.decided(key, decision_about(before[key]))
        self._decider.switch(policy)
        self._unplaced.share(cpus)
        self.begin()
        self._changed(known)

    # ---- calls of the kubelet's

    def create(self, container: Container) -> Plan:
        """A container is about to be created: it is in the ledger with what it gets. Raises `Refused`.

        One that holds something already is asked for twice, and keeps it.
        """
        before = self._ledger.containers.get(container.key)
        if before is not None and before.state is not State.EXITED:
            return Plan(asked_again(before, container), before, None)
        container, state = self.adjusted(container), self._decider.state
        answer = self._decider.create(container, self.pod_of(container))
        if isinstance(answer, NoAnswer):
            answer = Decision(self._unplaced.assignment(container.asked), reasons=(answer.reason,))
            self._unplaced.add(container.key)
        planned = with_decision(container, answer)
        planned = replace(planned, told=planned.due)
        self._ledger.put(planned)
        was = self._apply(answer.neighbours)
        return Plan(planned, before, Step(planned.key, state, self._decider.version, was))

    def discard(self, plan: Plan, step: Step) -> None:
        """The runtime has not made the container: it is not there, and others get back what they had."""
        held = self._ledger.containers[plan.container.key].state is not State.EXITED  # else a later one has replaced it
        if plan.before is None:
            self._ledger.drop(plan.container.key)
        else:
            self._ledger.put(plan.before)
        if held and not self._undone(step):
            self.release(plan.container.key)

    def update(self, wish: Container) -> Step:
        """The kubelet resizes a container, whose `asked` says the new wish. Raises `Refused`."""
        now, state = self._ledger.containers[wish.key], self._decider.state
        answer = self._decider.update(wish, self.pod_of(wish))
        if isinstance(answer, NoAnswer):
            answer = replace(decision_about(now), reasons=(answer.reason,))
        was = self._apply(answer.neighbours, {wish.key: answer})
        return Step(wish.key, state, self._decider.version, was)

    def adjust(self, wishes: Sequence[Container], decisions: Sequence[Decision | None]) -> None:
        """Containers are adjusted as they say, and this was decided about each, one decision upon the other."""
        for wish, decision in zip(wishes, decisions, strict=True):
            self._ledger.adjusted(wish.key, wish.adjustment)
            self._apply(decision.neighbours if decision else {}, {wish.key: decision} if decision else {})
            self._changed([wish.key])

    def take_back(self, step: Step) -> None:
        """The runtime has refused the resize."""
        if not self._undone(step):
            self.reconsider(step.key)

    # ---- what nobody waits for

    def release(self, key: str) -> None:
        """The container has ended."""
        self._revisits.drop(key)
        decision = self._decider.release(key)
        self._apply(decision.neighbours if decision else {})
        self._enforcer.changed(())

    def created(self, key: str) -> None:
        """The container is there: what has changed meanwhile can be told."""
        self._enforcer.changed([key])

    def found(self, key: str) -> None:
        """The container is there, and nobody has seen with what."""
        self._enforcer.doubt(key)

    def started(self, key: str) -> None:
        """The container runs."""
        self._revisits.follow(self._ledger.containers[key])

    def reconsider(self, key: str) -> None:
        """What is asked for the container is not what was decided upon."""
        policy = self._decider.policy
        self._consider("update", key, lambda c: policy.update(self._decider.state, c, self.pod_of(c)))

    def revisit(self, key: str) -> None:
        """The time that a container's decision asked for has passed."""
        policy = self._decider.policy
        self._consider("revisit", key, lambda c: policy.revisit(self._decider.state, c, self.pod_of(c)))

    def rebalance(self) -> None:
        """Let the policy put right what has grown crooked."""
        decision = self._decider.tell("rebalance", "", lambda: self._decider.policy.rebalance(self._decider.state))
        self._apply(decision.neighbours if decision else {})

    def close(self) -> None:
        """No timer rings any more."""
        self._revisits.close()

    # ---- pieces

    def _running(self) -> list[tuple[Container, Pod]]:
        return [(container, self.pod_of(container)) for container in self._ledger.holders.values()]

    def _begun(self, changes: Mapping[str, Decision] | None) -> None:
        if changes is not None:
            self._unplaced.begin(())
            self._decider.warn()
        known = {key: decision for key, decision in (changes or {}).items() if key in self._ledger.holders}
        for key, decision in known.items():
            self._ledger.decided(key, decision)
        self._changed((*known, *self._move_unplaced()))
        for container in tuple(self._ledger.holders.values()):
            self.started(container.key)
            self._exported(container)  # a crash may have been faster than its file
        self._enforcer.begin()

    def _consider(self, what: str, key: str, question: Callable[[Container], Answer]) -> None:
        container = self._ledger.holders.get(key)
        if container is not None:
            decision = self._decider.tell(what, key, lambda: question(container))
            if decision is not None:
                self._apply(decision.neighbours, {key: decision})

    def _undone(self, step: Step) -> bool:
        """Go back to before the step, if nothing has happened since; False if something has."""
        if self._decider.version != step.version:
            return False
        self._decider.go_back(step.before)
        for container in step.was:
            self._ledger.decided(container.key, decision_about(container))
        self._changed((*(container.key for container in step.was), *self._move_unplaced()))
        return True

    def _apply(
        self, neighbours: Mapping[str, Change], own: Mapping[str, Decision] = MappingProxyType({})
    ) -> tuple[Container, ...]:
        """All of a decision is in the ledger before anybody is told of a part of it; who has changed, as he was."""
        was = tuple(self._ledger.holders[key] for key in (*own, *neighbours) if key in self._ledger.holders)
        for key, decision in own.items():
            self._ledger.decided(key, decision)
        for container in was[len(own) :]:
            self._ledger.placed(container.key, neighbours[container.key])
        self._changed((*(container.key for container in was), *self._move_unplaced()))
        for key in own:
            self.started(key)
        return was

    def _move_unplaced(self) -> Iterable[str]:
        changes = self._unplaced.changes()
        for key, change in changes.items():
            self._ledger.placed(key, change)
        return changes

    def _changed(self, keys: Collection[str]) -> None:
        if keys:
            for key in keys:
                self._exported(self._ledger.containers[key])
            self._enforcer.changed(keys)
