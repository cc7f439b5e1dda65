"""What was decided, kept for as long as the runtime may still refuse what it was for."""

from dataclasses import dataclass, replace

from cri_resmgr.policies.contract import State
from cri_resmgr.state.ledger import with_decision
from cri_resmgr.values.decisions import Decision
from cri_resmgr.values.workloads import Container


@dataclass(frozen=True, slots=True)
class Step:
    """Something that was decided for the container `key`, and what it takes to undo it.

    `was` are the containers that it changed, as they were; `before` and `version` are the policy's.
    """

    key: str
    before: State
    version: int
    was: tuple[Container, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A container as it is to be created; `step` is None where an earlier call has decided about it already.

    `before` is what the ledger had under its key.
    """

    container: Container
    before: Container | None
    step: Step | None


def asked_again(before: Container, asked: Container) -> Container:
    """The container that is asked for again, with what was decided about it."""
    again = replace(asked, adjustment=before.adjustment)
    return with_decision(again, decision_about(before), told=before.due)


def decision_about(container: Container) -> Decision:
    """What was decided about the container, as if it were decided now."""
    return Decision(
        container.given,
        container.holding,
        container.reasons,
        container.candidates,
        revisit_after_start_s=container.revisit_after_start_s,
    )
