"""What a container requests and is limited to, as its pod's spec says it.

CRI does not carry the spec.  There are two sources:

- the webhook's annotation `intel.com/resources`, a copy of every container's requests and limits, made when the pod
  was created.  It never changes afterwards, but a pod's resources may (in-place resize).  So the annotation counts
  only while it agrees with what the kubelet asks now, for CPU and for memory separately;
- what the kubelet asks: shares, quota, memory limit.  Requests and limits of CPU come back exactly, apart from
  requests below 3m.  A memory request does not show: it is the limit in a Guaranteed pod, and unknown (0) elsewhere.

What an adjustment says about the container counts instead of either.

Pod-level resources.  The kubelet lends the pod's limits to each container without limits of its own, and makes shares
of a borrowed limit where there is no request either: two containers of a pod with 4 CPUs then ask for 4 CPUs each.
What is borrowed is nobody's own and counts as 0; otherwise it would be booked twice and given out as exclusive CPUs.
Only the annotation can tell, since it lists the container and none of its resources; without it a container that
borrows all of the pod's CPUs looks like one that requests them.
"""

import re
from dataclasses import dataclass
from enum import Enum

from cri_resmgr.policies.declarations import ANNOTATION, Amounts, Declared, declared
from cri_resmgr.values import quantities
from cri_resmgr.values.resources import Resources
from cri_resmgr.values.workloads import Container, Pod

_POD_CGROUP = re.compile(r"(?:.*[/-])?kubepods(?:[/-](burstable|besteffort))?[/-]pod[^/]*/?")
"""Both drivers: `/kubepods/burstable/podUID`, and `kubepods-burstable-podUID.slice` with whatever path before it."""


class Qos(Enum):
    """A pod's class; the values are the words of Kubernetes."""

    GUARANTEED = "Guaranteed"
    BURSTABLE = "Burstable"
    BEST_EFFORT = "BestEffort"


@dataclass(frozen=True, slots=True)
class Requirements:
    """A container's own requests and limits, 0 for none, and the class of its pod.

    `problems` are sentences about an annotation that could not be used.
    """

    qos: Qos
    cpu_request_millicpu: int = 0
    cpu_limit_millicpu: int = 0
    memory_request_bytes: int = 0
    memory_limit_bytes: int = 0
    problems: tuple[str, ...] = ()


def requirements(container: Container, pod: Pod) -> Requirements:
    """What the container requires now."""
    asked = container.wanted
    qos = qos_of(pod) or _qos_by_asking(asked)
    own, problems = _declared(container, pod)
    cpu = _cpu(asked, qos, own.cpu if own else None)
    memory = _memory(asked, qos, own.memory if own else None)
    adjusted = container.adjustment.effect
    if adjusted.memory_request_bytes is not None:  # which CRI cannot say
        memory = Amounts(adjusted.memory_request_bytes, memory.limit)
    return Requirements(qos, cpu.request, cpu.limit, memory.request, memory.limit, problems)


def qos_of(pod: Pod) -> Qos | None:
    """The class by the cgroup that the kubelet made for the pod; None where it makes none."""
    found = _POD_CGROUP.fullmatch(pod.cgroup_parent)
    if found is None:
        return None
    return {"burstable": Qos.BURSTABLE, "besteffort": Qos.BEST_EFFORT}.get(found[1], Qos.GUARANTEED)


def _declared(container: Container, pod: Pod) -> tuple[Declared | None, tuple[str, ...]]:
    try:
        return declared(container.name, pod.annotations), ()
    except ValueError as error:
        return None, (f"annotation {ANNOTATION} is not used: {error}",)


def _qos_by_asking(asked: Resources) -> Qos:
    """Never Guaranteed: nobody gets CPUs of his own on a guess."""
    asks = asked.cpu_shares > quantities.MIN_SHARES or asked.cpu_quota_us > 0 or asked.memory_limit_bytes > 0
    return Qos.BURSTABLE if asks else Qos.BEST_EFFORT


def _cpu(asked: Resources, qos: Qos, own: Amounts | None) -> Amounts:
    limit = quantities.millicpu_of_quota(asked.cpu_quota_us, asked.cpu_period_us)
    if own is not None and _cpu_agrees(asked, qos, own):
        return own
    request = quantities.millicpu_of(asked.cpu_shares)
    if qos is not Qos.GUARANTEED:
        return Amounts(request, limit)
    if asked.cpu_shares >= quantities.MAX_SHARES:
        request = max(request, limit)
    return Amounts(request, limit or request)  # no quota: the kubelet does not set them, or its CPU manager took it off


def _cpu_agrees(asked: Resources, qos: Qos, own: Amounts) -> bool:
    if own == Amounts():  # whatever is asked must be borrowed, and a borrowed limit is the request, too
        limit = quantities.millicpu_of_quota(asked.cpu_quota_us, asked.cpu_period_us)
        return qos is Qos.GUARANTEED or asked.cpu_shares in (0, quantities.shares_of(limit))
    if asked.cpu_shares not in (0, quantities.shares_of(own.request)):
        return False
    quota_us = quantities.quota_of(own.limit, asked.cpu_period_us or quantities.PERIOD_US)
    return not own.limit or asked.cpu_quota_us <= 0 or asked.cpu_quota_us == quota_us


def _memory(asked: Resources, qos: Qos, own: Amounts | None) -> Amounts:
    limit = max(asked.memory_limit_bytes, 0)
    if own is not None and (not own.limit or limit in (0, own.limit)):
        return own
    return Amounts(limit if qos is Qos.GUARANTEED else 0, limit)
