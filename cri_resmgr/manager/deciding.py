"""Budget > fail policy > policy: an outcome in any case, however the policy behaves.

What happens when it has no answer is declared, not accidental; `resource-manager.onPolicyError` may say:

                                     (nothing)    pass      reject
    it refuses (does not fit)        rejected     passed    rejected, with the policy's reason
    it breaks or takes too long      passed       passed    rejected
    it has not begun                 passed       passed    rejected

What passes gets `NoAnswer` here, and CPUs that are nobody's own from the caller.  Each case is counted, logged, and an
event.  A release that fails, or a beginning, leaves the state behind what runs: `stale` says so until the policy has
begun again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog

from cri_resmgr.manager.events import Events
from cri_resmgr.manager.interrupting import OverBudget, interrupted_after
from cri_resmgr.observe.limiting import Limiter
from cri_resmgr.observe.recording import Recorder
from cri_resmgr.observe.recording_events import Outcome
from cri_resmgr.policies.contract import Answer, Policy, PolicyRefusal, Restored, State
from cri_resmgr.relay.hooks import Refused
from cri_resmgr.values.decisions import HOLDING_NOTHING, Decision
from cri_resmgr.values.events import Kind
from cri_resmgr.values.resources import Assignment, Resources
from cri_resmgr.values.workloads import Container, Pod
from cri_resmgr.wire.grpc import FAILED_PRECONDITION, INTERNAL

PASS, REJECT = "pass", "reject"
REFUSALS_INTERVAL_S = 60.0  # the same one is logged that often
RESTORE_BUDGET_S = 10.0  # a thousand containers at once, while nobody has been promised an answer yet

KUBELET_PINS = (
    "the kubelet gives CPUs or memory nodes to containers, too, and those of policy {policy} count instead: "
    "set cpuManagerPolicy: none and memoryManagerPolicy: None in the kubelet's configuration"
)

T = TypeVar("T")

log = structlog.get_logger("policy")


class NotBegun(Exception):  # noqa: N818 - a state, and no failure
    """What runs is not known yet, or the policy could not begin with it."""


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """There is no decision, and the call passes; `reason` is a sentence for whoever looks at the container."""

    reason: str


@dataclass(slots=True)
class DecisionCounters:
    """What became of the questions to the policy; `passed` are those that the fail policy let pass."""

    decided: int = 0
    refused: int = 0
    failed: int = 0
    passed: int = 0


class Decider:
    """Asks the policy within a budget, and keeps its state: the one after the last answer that it gave.

    `version` counts the answers, so that whoever wants to go back knows whether there was another one since.
    `recorder`, while there is one, is told what was asked and what came of it.
    """

    def __init__(self, policy: Policy, *, budget_s: float, events: Events, on_error: str = "") -> None:
        self.policy, self.counters, self.on_error = policy, DecisionCounters(), on_error
        self._budget_s, self._events = budget_s, events
        self.state: State = None
        self.version = 0
        self.begun = self.stale = False
        self.recorder: Recorder | None = None
        self._refusals = Limiter(REFUSALS_INTERVAL_S)

    def restore(self, running: Sequence[tuple[Container, Pod]]) -> Mapping[str, Decision] | None:
        """Begin with what runs, once more if need be; what was decided anew, None if the policy cannot."""
        try:
            with interrupted_after(RESTORE_BUDGET_S):
                restored = self.policy.restore(running)
        except (Exception, OverBudget) as error:  # noqa: BLE001 - a policy may break in any way
            self.failed("restore", "", error)
            self.stale = True
            if self.recorder is not None:
                self.recorder.began(running, None)
            return None
        self.state, self.begun, self.stale = restored.state, True, False
        self.version += 1
        if self.recorder is not None:
            self.recorder.began(running, restored.changes)
        return restored.changes

    def switch(self, policy: Policy, restored: Restored | None = None) -> None:
        """Another policy answers from here on, which has begun so; without that it must begin first."""
        self.policy, self.state = policy, restored.state if restored else None
        self.begun, self.stale = restored is not None, restored is None
        self.version += 1
        if self.recorder is not None:
            self.recorder.switched(policy, restored.changes if restored else None)

    def create(self, container: Container, pod: Pod) -> Decision | NoAnswer:
        """About a container that is about to be created. Raises `Refused`."""
        answer = self.ask("create", container, lambda: self.policy.create(self.state, container, pod))
        if isinstance(answer, Decision):
            self._compare(container.asked, answer.assignment)
        return answer

    def update(self, container: Container, pod: Pod) -> Decision | NoAnswer:
        """About a resize. Raises `Refused`."""
        return self.ask("update", container, lambda: self.policy.update(self.state, container, pod))

    def ask(self, what: str, container: Container, question: Callable[[], Answer]) -> Decision | NoAnswer:
        """The policy's answer to a call of the kubelet's, or the fail policy's. Raises `Refused`."""
        try:
            decision = self._answer(question)
        except PolicyRefusal as refusal:
            self.counters.refused += 1
            if (missed := self._refusals.turn((what, container.key))) is not None:  # a kubelet asks each second again
                log.warning(
                    "decision.refused", event_kind=what, container=container.key, reason=str(refusal), missed=missed
                )
            return self._without_answer(what, container, f"{refusal}", passes=self.on_error == PASS, error=refusal)
        except NotBegun as error:
            return self._without_answer(what, container, f"{error}", passes=self.on_error != REJECT, error=error)
        except (Exception, OverBudget) as error:  # noqa: BLE001 - a policy may break in any way
            self.failed(what, container.key, error)
            text = f"it gave no answer ({type(error).__name__}: {error})"
            return self._without_answer(what, container, text, passes=self.on_error != REJECT, error=error)
        self._made(what, container.key, decision)
        if self.recorder is not None:
            self.recorder.asked(what, container, Outcome(decision))
        return decision

    def tell(self, what: str, key: str, question: Callable[[], Answer]) -> Decision | None:
        """What follows from an event that nobody waits for; None if the policy leaves all as it is, or fails."""
        decision, outcome = None, Outcome()
        try:
            decision = self._answer(question)
            self._made(what, key, decision)
            outcome = Outcome(decision)
        except PolicyRefusal as refusal:
            log.info("decision.refused", event_kind=what, container=key, reason=str(refusal))
            outcome = Outcome(refused=str(refusal))
        except NotBegun:
            return None
        except (Exception, OverBudget) as error:  # noqa: BLE001 - a policy may break in any way
            self.failed(what, key, error)
            outcome = Outcome(refused=f"it gave no answer ({type(error).__name__}: {error})")
        if self.recorder is not None:
            self.recorder.told(what, key, outcome)
        return decision

    def answered(self, state: State, count: int) -> None:
        """So many answers were given one upon the other, and this is the state after the last."""
        self.state = state
        self.version += 1
        self.counters.decided += count

    def go_back(self, state: State) -> None:
        """The last answer counts no more: the state is the one before it."""
        self.state = state
        if self.recorder is not None:
            self.recorder.undone()

    def release(self, key: str) -> Decision | None:
        """What follows from a container's end; None leaves the state `stale`, unless the policy has not begun.

        A policy without a state remembers nobody, and need not be told who has gone.
        """
        if self.begun and self.state is None:
            if self.recorder is not None:
                self.recorder.told("release", key, Outcome(Decision()))
            return Decision()
        decision = self.tell("release", key, lambda: self.policy.release(self.state, key))
        self.stale = self.stale or (decision is None and self.begun)
        return decision

    def exports(self, container: Container) -> Mapping[str, str]:
        """What the container may know about its holding; nothing if the policy fails."""
        if container.holding == HOLDING_NOTHING:
            return {}
        return self._said("exports", lambda: self.policy.exports(container)) or {}

    def warn(self) -> None:
        """Say what is set in a way that will hurt."""
        for text in self._said("warnings", lambda: self.policy.warnings(self.state)) or ():
            log.warning("policy.warning", policy=self.policy.name, text=text)
            self._events.record(Kind.POLICY_WARNING, text=text)

    def _said(self, what: str, question: Callable[[], T]) -> T | None:
        try:
            with interrupted_after(self._budget_s):
                return question()
        except (Exception, OverBudget) as error:  # noqa: BLE001 - a policy may break in any way
            self.failed(what, "", error)
            return None

    def _answer(self, question: Callable[[], Answer]) -> Decision:
        if not self.begun:
            raise NotBegun("it does not know yet what runs")
        with interrupted_after(self._budget_s):
            decision, state = question()
        self.answered(state, 1)
        return decision

    @staticmethod
    def _made(what: str, key: str, decision: Decision) -> None:
        given, pool, reasons = decision.assignment, decision.holding.pool, decision.reasons
        cpus, mems, others = given.cpuset_cpus, given.cpuset_mems, len(decision.neighbours)
        said = {"event_kind": what, "container": key, "cpus": cpus, "mems": mems, "pool": pool}
        log.debug("decision.made", **said, neighbours=others, reasons=reasons)

    def _without_answer(
        self, what: str, container: Container, text: str, *, passes: bool, error: BaseException
    ) -> NoAnswer:
        refused = isinstance(error, PolicyRefusal)
        if self.recorder is not None:
            self.recorder.asked(what, container, Outcome(passed=text) if passes else Outcome(refused=text))
        if passes:
            self.counters.passed += 1
            reason = f"policy {self.policy.name}: {text}; passed as the kubelet asked"
            self._events.record(Kind.POLICY_PASSED, container=container, text=reason)
            return NoAnswer(reason)
        kind = Kind.POLICY_REFUSED if refused else Kind.POLICY_REJECTED
        self._events.record(kind, container=container, text=f"policy {self.policy.name}: {text}")
        code = FAILED_PRECONDITION if refused else INTERNAL
        raise Refused(code, f"cri-resmgr, policy {self.policy.name}: {text}") from error

    def _compare(self, asked: Resources, given: Assignment) -> None:
        """Two may give out the same CPUs: the policy's count, and the kubelet does not learn of it."""
        if (asked.cpuset_cpus and given.cpuset_cpus) or (asked.cpuset_mems and given.cpuset_mems):
            self._events.record(Kind.KUBELET_PINS, text=KUBELET_PINS.format(policy=self.policy.name))

    def failed(self, what: str, key: str, error: BaseException) -> None:
        """The policy has broken; nothing follows from that."""
        self.counters.failed += 1
        log.error("policy.failed", policy=self.policy.name, event_kind=what, container=key, exc_info=error)
