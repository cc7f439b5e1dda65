"""What stands in a Lease, and what a candidate may conclude from it.

Nothing is concluded from the times in it: they are of somebody else's clock.  A holder counts its own time from before
it asked for a renewal, everybody else theirs from when they saw it, which is later.  So whoever waits for the whole
duration comes after the holder has given up, if clocks run equally fast, whatever they show.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf

from cri_resmgr.errors import BadInput
from cri_resmgr.kube.resources import Object, Resource

LEASES = Resource("coordination.k8s.io/v1", "leases")


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a lease holds and how it is kept, in seconds."""

    duration_s: int = 15
    """Others may take the lease when they have seen no renewal for so long."""
    renew_deadline_s: float = 10.0
    """A leader that has not renewed for so long ends its work; what is left of the duration is for ending it."""
    retry_s: float = 2.0
    request_deadline_s: float = 4.0

    def __post_init__(self) -> None:
        if not 0 < self.retry_s <= self.renew_deadline_s < self.duration_s:
            raise BadInput(
                f"a lease of {self.duration_s} s is to be renewed within {self.renew_deadline_s:g} s,"
                f" every {self.retry_s:g} s; each must be shorter than the one before: 15, 10 and 2 are usual"
            )
        if not 0 < self.request_deadline_s < self.renew_deadline_s:
            raise BadInput(
                f"a request of up to {self.request_deadline_s:g} s cannot renew a lease within"
                f" {self.renew_deadline_s:g} s; make it shorter"
            )


def boottime_s() -> float:
    """Seconds on a clock that nobody sets and that counts while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def micro_time() -> str:
    """Now, as Kubernetes has it: exactly six digits and a Z. For people only."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def holder_of(lease: Object) -> str:
    """Who holds it; empty for nobody."""
    return str((lease.get("spec") or {}).get("holderIdentity") or "")


def claimed(lease: Object, identity: str, terms: Terms) -> Object:
    """The lease with `identity` as its holder, renewed now; whatever else it has stays."""
    spec, now = dict(lease.get("spec") or {}), micro_time()
    if holder_of(lease) != identity:
        spec["acquireTime"] = now
        spec["leaseTransitions"] = int(spec.get("leaseTransitions", -1)) + 1
    spec |= {"holderIdentity": identity, "leaseDurationSeconds": terms.duration_s, "renewTime": now}
    return {**lease, "spec": spec}


def released(lease: Object) -> Object:
    """The lease without a holder."""
    return {**lease, "spec": {**lease["spec"], "holderIdentity": "", "renewTime": micro_time()}}


class Observer:
    """When a lease may be taken, by our own clock."""

    __slots__ = ("_identity", "_spec", "_terms", "free_s")

    def __init__(self, identity: str, terms: Terms) -> None:
        self._identity = identity
        self._terms = terms
        self._spec: Object | None = None
        self.free_s = -inf  # before anything was seen

    def see(self, lease: Object, now_s: float) -> None:
        """Take note of how the lease was when the API server sent it, which was at `now_s` or before."""
        spec = lease.get("spec") or {}
        if holder_of(lease) in {"", self._identity}:  # ours, if we were not told that we had got it
            self.free_s = now_s
        elif spec != self._spec:
            self.free_s = now_s + float(spec.get("leaseDurationSeconds") or self._terms.duration_s)
        self._spec = spec
