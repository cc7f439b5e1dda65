"""What a policy answers: what one container gets, why, and what that changes for the others."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cri_resmgr.values.resources import NOTHING, Assignment


@dataclass(frozen=True, slots=True)
class Decision:
    """An assignment with its reasons, and the new assignments of its neighbours.

    `reasons` are sentences for people, most important first.  `neighbours` names containers by their `key`, and only
    those whose assignment differs from the one they have.
    """

    assignment: Assignment = NOTHING
    reasons: tuple[str, ...] = ()
    neighbours: Mapping[str, Assignment] = field(default_factory=dict)
