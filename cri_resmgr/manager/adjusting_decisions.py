"""What the policy says about several containers that are adjusted at once: about all of them, or nothing.

Each is asked about in the state that the answer before has left; the policy's own state changes when there is an
answer to all.  A container that only gets back what the kubelet asked for is refused nothing, since nobody can be kept
from taking an adjustment away: it stays where it is, and is looked at again when the policy begins the next time.
"""

from collections.abc import Sequence

import structlog

from cri_resmgr.errors import Degraded
from cri_resmgr.manager.deciding import RESTORE_BUDGET_S, Decider
from cri_resmgr.manager.interrupting import OverBudget, interrupted_after
from cri_resmgr.observe.recording_events import Outcome
from cri_resmgr.policies.contract import Answer, PolicyRefusal, State
from cri_resmgr.values.decisions import Decision
from cri_resmgr.values.workloads import Container, Pod

Wish = tuple[Container, Pod]
Decisions = list[Decision | None]

log = structlog.get_logger("policy")


def answers(decider: Decider, wishes: Sequence[Wish]) -> tuple[Decisions, dict[str, str]]:
    """A decision about each wish, None for one that stays as it is; or by key, why not: then nothing has changed.

    Raises `Degraded` if the policy has not begun, or breaks.
    """
    if not wishes:
        return [], {}
    if not decider.begun:
        raise Degraded(f"policy {decider.policy.name}: it does not know yet what runs; the same set may be given again")
    try:
        with interrupted_after(RESTORE_BUDGET_S):
            decisions, refusals, state = _answers(decider, wishes)
    except (Exception, OverBudget) as error:
        decider.failed("update", "", error)
        raise Degraded(f"policy {decider.policy.name}: gave no answer ({type(error).__name__}: {error})") from error
    if not refusals:
        decider.answered(state, len(decisions))
        _record(decider, wishes, decisions)
    return decisions, refusals


def _answers(decider: Decider, wishes: Sequence[Wish]) -> tuple[Decisions, dict[str, str], State]:
    state, decisions, refusals = decider.state, Decisions(), dict[str, str]()
    for container, pod in wishes:
        answer: Answer | None = None
        try:
            answer = decider.policy.update(state, container, pod)
        except PolicyRefusal as refusal:
            log.warning("decision.refused", event_kind="update", container=container.key, reason=str(refusal))
            if container.adjustment.by:
                refusals[container.key] = f"policy {decider.policy.name}: {refusal}"
        if answer is not None:
            state = answer[1]
        decisions.append(answer and answer[0])
    return decisions, refusals, state


def _record(decider: Decider, wishes: Sequence[Wish], decisions: Decisions) -> None:
    if decider.recorder is not None:
        for (container, _), decision in zip(wishes, decisions, strict=True):
            if decision is not None:
                decider.recorder.asked("update", container, Outcome(decision))
