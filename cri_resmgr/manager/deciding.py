"""Budget > fail policy > policy: a decision in any case, however the policy behaves.

A policy runs in the event loop, so a budget that only waits would not help against one that computes for ever: an
interval timer interrupts it.  What then happens is declared, not accidental:

    it refuses (does not fit)        the call is rejected, with the policy's reason
    it breaks or takes too long      the call passes as the kubelet made it, what the container was given before
                                     stays; counted, logged, remembered as reason
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType

import structlog

from cri_resmgr.policies.contract import Answer, Policy, PolicyRefusal
from cri_resmgr.relay.hooks import Refused
from cri_resmgr.values.decisions import Decision
from cri_resmgr.values.workloads import Container, Pod
from cri_resmgr.wire.grpc import FAILED_PRECONDITION

log = structlog.get_logger("policy")


class OverBudget(BaseException):
    """The policy was interrupted; no `Exception`, which a policy might catch inside the very loop that never ends."""


@contextlib.contextmanager
def interrupted_after(budget_s: float) -> Iterator[None]:
    """Raise `OverBudget` inside the block when its time is up; signals reach the main thread only.

    The timer and its handler are as before afterwards.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    armed = True

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if armed:
            raise OverBudget(f"no decision within {budget_s:g} s")

    previous = signal.signal(signal.SIGALRM, interrupt)
    before = signal.setitimer(signal.ITIMER_REAL, budget_s)
    try:
        yield
    finally:
        armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        signal.setitimer(signal.ITIMER_REAL, *before)


@dataclass(slots=True)
class DecisionCounters:
    """What became of the questions to the policy."""

    decided: int = 0
    refused: int = 0
    failed: int = 0


class Decider:
    """Asks the policy within a budget, and keeps its state: the one after the last answer that it gave."""

    def __init__(self, policy: Policy, *, budget_s: float, running: Sequence[tuple[Container, Pod]] = ()) -> None:
        self.policy, self.counters = policy, DecisionCounters()
        self._budget_s = budget_s
        self.state = policy.restore(running).state

    def create(self, container: Container, pod: Pod) -> Decision | None:
        """About a container that is about to be created; None if there is no answer. Raises `Refused`."""
        return self.decide("create", container.key, lambda: self.policy.create(self.state, container, pod))

    def update(self, container: Container, pod: Pod) -> Decision | None:
        """About a resize; None if there is no answer. Raises `Refused`."""
        return self.decide("update", container.key, lambda: self.policy.update(self.state, container, pod))

    def decide(self, what: str, key: str, question: Callable[[], Answer]) -> Decision | None:
        """The policy's answer, None if it has none; raises `Refused` if it refuses."""
        try:
            with interrupted_after(self._budget_s):
                decision, state = question()
        except PolicyRefusal as refusal:
            self.counters.refused += 1
            log.warning("decision.refused", event_kind=what, container=key, reason=str(refusal))
            text = f"cri-resmgr, policy {self.policy.name}: {refusal}"
            raise Refused(FAILED_PRECONDITION, text) from refusal
        except (Exception, OverBudget) as error:
            self.counters.failed += 1
            log.error("policy.failed", policy=self.policy.name, event_kind=what, container=key, exc_info=error)
            return None
        self.state = state
        self.counters.decided += 1
        return decision
