"""Which CPUs the policy gives out, and which it keeps for the system.

`policy.AvailableResources` is a set, everything that is online unless it is said.  `policy.ReservedResources` must be
said: a set, or an amount that is rounded up to whole CPUs, for which CPUs are chosen that the kernel schedules on.
"""

from dataclasses import dataclass

from cri_resmgr.errors import BadInput
from cri_resmgr.policies.allocating import Allocator
from cri_resmgr.policies.contract import Context, CpuLimit
from cri_resmgr.values import cpusets
from cri_resmgr.values.machines import Machine

_AVAILABLE = "policy.AvailableResources"
_RESERVED = "policy.ReservedResources"


@dataclass(frozen=True, slots=True)
class Limits:
    """Sets of CPUs: `allowed` are all that may be used, the other two are disjoint parts of it."""

    allowed: int
    isolated: int
    reserved: int


def limits(context: Context, allocator: Allocator) -> Limits:
    """What the context says about this machine. Raises BadInput."""
    machine = context.machine
    allowed = _allowed(machine, context.available)
    isolated = machine.isolated & allowed
    if context.reserved is None:
        raise BadInput(f"{_RESERVED}: missing; say how much CPU is kept for the system, such as CPU: 750m")
    if context.reserved.cpus is not None:
        reserved = _checked(context.reserved.cpus, allowed, isolated)
    else:
        reserved = _chosen(context.reserved.millicpu or 0, allowed, isolated, allocator=allocator)
    if reserved == allowed:
        raise BadInput(f"{_RESERVED}: takes all CPUs that are available ({cpusets.text(allowed)}); reserve less")
    return Limits(allowed, isolated, reserved)


def _allowed(machine: Machine, available: CpuLimit | None) -> int:
    if available is None:
        return machine.online
    if available.cpus is None:
        raise BadInput(f"{_AVAILABLE}: {available.millicpu}m is an amount; write a set such as CPU: cpuset:0-7")
    allowed = available.cpus & machine.online
    if not allowed:
        raise BadInput(
            f"{_AVAILABLE}: none of the CPUs {cpusets.text(available.cpus) or '(none)'} is online; "
            f"write a set from {cpusets.text(machine.online)}"
        )
    return allowed


def _checked(reserved: int, allowed: int, isolated: int) -> int:
    if not reserved:
        raise BadInput(f"{_RESERVED}: an empty set; one CPU at least is kept for the system")
    for wrong, what in ((reserved & ~allowed, "not available (or offline)"), (reserved & isolated, "kernel-isolated")):
        if wrong:
            raise BadInput(
                f"{_RESERVED}: of {cpusets.text(reserved)}, CPUs {cpusets.text(wrong)} are {what}; "
                f"write a set from {cpusets.text(allowed & ~isolated)}"
            )
    return reserved


def _chosen(millicpu: int, allowed: int, isolated: int, *, allocator: Allocator) -> int:
    count, usable = -(-millicpu // 1000), allowed & ~isolated
    if not count:
        raise BadInput(f"{_RESERVED}: 0 is too little; one CPU at least is kept for the system")
    if count > usable.bit_count():
        raise BadInput(
            f"{_RESERVED}: {millicpu}m takes {count} CPUs, {usable.bit_count()} are available "
            f"and not kernel-isolated ({cpusets.text(usable) or 'none'}); reserve less"
        )
    chosen = allocator.allocate(allowed, count)
    # The predecessor's choice, where there is nothing against it: users know these numbers.
    return allocator.allocate(usable, count) if chosen & isolated else chosen
