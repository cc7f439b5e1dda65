"""A request: what a container wants, in the policy's own terms.

CPUs of its own, a part of a shared set, memory of some types.  Memory is booked by the limit.  The limit of a Burstable
container is a wish, for nodes are overcommitted by them on purpose: where it does not fit, the request counts.  (Those
of a Guaranteed one are the same.)
"""

from collections.abc import Iterator
from dataclasses import dataclass

from cri_resmgr.policies.affinities import Affinity
from cri_resmgr.policies.requirements import Requirements
from cri_resmgr.policies.topology_aware import tiers
from cri_resmgr.values.hints import Hint
from cri_resmgr.values.workloads import Container, Pod


@dataclass(frozen=True, slots=True)
class Wish:
    """An amount of memory from these tiers; a `cold` one is for the time until the container has warmed up."""

    bytes: int
    tiers: tuple[int, ...]
    cold: bool = False
    note: str = ""
    """Why it is no better wish."""


@dataclass(frozen=True, slots=True)
class Request:
    """What one container wants."""

    container: Container
    """Who it is, for the affinities of others; nothing that changes during its life."""
    pod: Pod
    requirements: Requirements
    reserved: bool
    whole: int
    """How many CPUs of its own."""
    rest_millicpu: int
    """A part of the shared set, or of the reserved one."""
    isolate: bool
    """Whether its own CPUs are rather kernel-isolated ones."""
    tiers: tuple[int, ...]
    """Where its memory may be."""
    typed: bool
    """Whether it was said so, rather than assumed."""
    cold_start_s: float
    hints: tuple[Hint, ...]
    affinities: tuple[Affinity, ...]
    near_pod: bool
    """Whether it is drawn to the other containers of its pod."""
    near_namespace: bool
    """Whether it is drawn to the other containers of its namespace."""
    reasons: tuple[str, ...]
    """Why it wants CPUs in this way, then what was ignored."""

    @property
    def millicpu(self) -> int:
        """All that it wants of CPUs."""
        return 1000 * self.whole + self.rest_millicpu

    def wishes(self, *, warm: bool) -> Iterator[Wish]:
        """What it wants of memory, the best first, each easier to fulfil; a `warm` container does not start cold."""
        required = self.requirements
        wanted = required.memory_limit_bytes or required.memory_request_bytes
        cold = bool(self.cold_start_s) and not warm
        if cold:
            yield Wish(wanted, (tiers.PMEM,), cold=True)
        yield Wish(wanted, self.tiers, note="not enough PMEM to start cold" if cold else "")
        if required.memory_request_bytes < wanted:
            note = "its memory limit fits nowhere: only what it requests is booked"
            yield Wish(required.memory_request_bytes, self.tiers, note=note)
