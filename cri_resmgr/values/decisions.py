"""What a policy answers: what one container gets, why, and what that changes for the others."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cri_resmgr.values.resources import NOTHING, Assignment


@dataclass(frozen=True, slots=True)
class Holding:
    """What a container has of the machine, in words that all policies share; `memo` is the policy's own.

    The ledger keeps it, and gives it back to the policy at the next start.  Sets are Linux lists, `` for none.
    """

    policy: str = ""
    """Whose holding this is; another policy does not read it."""
    pool: str = ""
    """Where its CPUs come from, for people: `NUMA node #0`."""
    exclusive: str = ""
    """CPUs that are its own, kernel-isolated ones apart."""
    isolated: str = ""
    """Kernel-isolated CPUs that are its own."""
    shared: str = ""
    """CPUs that it runs on together with others."""
    memo: str = ""
    """One line, opaque to everybody but the policy."""


HOLDING_NOTHING = Holding()


@dataclass(frozen=True, slots=True)
class Change:
    """What a neighbour has from now on, as a whole."""

    assignment: Assignment
    holding: Holding
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """One pool that was looked at: what it scored, and what became of it, in the order of preference."""

    pool: str
    scores: Mapping[str, float | str]
    verdict: str
    """`chosen`, or the rule by which it lost, or what it is short of."""


@dataclass(frozen=True, slots=True)
class Decision:
    """An assignment with its reasons, and the changes of its neighbours.

    `reasons` are sentences for people, most important first.  `neighbours` names containers by their `key`, and only
    those whose assignment or holding differs from the one they have.  With `revisit_after_start_s` the policy wants
    to be asked again that long after the container's start.
    """

    assignment: Assignment = NOTHING
    holding: Holding = HOLDING_NOTHING
    reasons: tuple[str, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    neighbours: Mapping[str, Change] = field(default_factory=dict)
    revisit_after_start_s: float = 0.0
