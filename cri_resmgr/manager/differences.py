"""What the runtime must be told so that a container has what was decided, and not a field more.

Only what is ours is ever sent: fields that are given, and fields that we have told the runtime before and that are the
kubelet's again.  What the kubelet did not set is given back as what "not set" amounts to, since an update cannot say
it: all CPUs and memory nodes, no quota, no limit, the kernel's own weight.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from cri_resmgr.values import cpusets
from cri_resmgr.values.machines import Machine
from cri_resmgr.values.resources import Assignment, Resources
from cri_resmgr.values.workloads import Container

EVERYWHERE = -1  # a set of CPUs that overlaps every other
OWNABLE = tuple(field.name for field in fields(Assignment))
UNSET = {"cpu_shares": 1024, "cpu_quota_us": -1, "cpu_period_us": 100_000, "memory_limit_bytes": -1}


@dataclass(frozen=True, slots=True)
class Whole:
    """What a container without sets of its own may use, as Linux lists."""

    cpus: str
    mems: str

    @classmethod
    def of(cls, machine: Machine) -> "Whole":
        """All that is online, and all nodes with memory."""
        nodes = cpusets.of(node.id for node in machine.nodes if node.memory_bytes)
        return cls(cpusets.text(machine.online), cpusets.text(nodes))


def due(container: Container, has: Resources | None, whole: Callable[[], Whole]) -> Resources:
    """What an update must set, the rest unset; `has` is what the container has now, None if nobody knows."""
    told: dict[str, Any] = {}
    due_ = container.due
    for name in OWNABLE:
        given = getattr(due_, name)
        if given is None and getattr(container.told, name) is None:
            continue
        wanted = getattr(container.asked, name) if given is None else given
        if has is None or getattr(has, name) != wanted:
            value = wanted or _unset(name, whole)
            if has is None or getattr(has, name) != value:
                told[name] = value
    if "memory_limit_bytes" in told:
        told["memory_swap_limit_bytes"] = container.asked.swap_with(told["memory_limit_bytes"])
    return Resources(**told)


def told_by_kubelet(container: Container, change: Resources, given: Assignment) -> Assignment:
    """What the runtime has been told after a resize that set `change`, patched with what is given."""
    still = {name: getattr(container.told, name) for name in OWNABLE if not getattr(change, name)}
    return replace(given, **{name: value for name, value in still.items() if getattr(given, name) is None})


def leaving(container: Container, *, unsure: bool) -> int:
    """The CPUs that it may run on until the runtime has been told of its last decision, and not afterwards."""
    told = EVERYWHERE if unsure else _cpus(container.told, container.asked)
    return told & ~_cpus(container.given, container.asked)


def own_cpus(container: Container) -> int:
    """The CPUs that are to be its own."""
    return cpusets.parse(container.holding.exclusive) | cpusets.parse(container.holding.isolated)


def gained_cpus(container: Container) -> int:
    """Those of them of which the runtime does not know yet."""
    own = own_cpus(container)
    return own & ~_cpus(container.told, container.asked) if own else 0


def told_by(container: Container, has: Resources) -> Assignment:
    """What the runtime must have been told of all that is or was given, if a container has this."""
    due_ = container.due
    ours = [name for name in OWNABLE if (getattr(due_, name), getattr(container.told, name)) != (None, None)]
    return Assignment(**{name: getattr(has, name) for name in ours})


def _cpus(assignment: Assignment, asked: Resources) -> int:
    said = asked.cpuset_cpus if assignment.cpuset_cpus is None else assignment.cpuset_cpus
    try:
        return cpusets.parse(said) or EVERYWHERE
    except ValueError:  # the kubelet's text, which the runtime is to refuse
        return EVERYWHERE


def _unset(name: str, whole: Callable[[], Whole]) -> int | str:
    if name in UNSET:
        return UNSET[name]
    return whole().cpus if name == "cpuset_cpus" else whole().mems
