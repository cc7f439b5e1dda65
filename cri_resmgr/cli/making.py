"""From settings to the policy that they mean on a machine."""

from collections.abc import Callable

from cri_resmgr.config.settings import CpuConstraint, PolicySettings
from cri_resmgr.policies import registry
from cri_resmgr.policies.contract import Context, CpuLimit, Policy
from cri_resmgr.values import cpusets
from cri_resmgr.values.machines import Machine


def policy(settings: PolicySettings, machine: Machine, *, cgroup_cpus: Callable[[str], int]) -> Policy:
    """The policy, ready to decide; `cgroup_cpus` says which CPUs a control group has.

    Raises BadInput for limits and options that do not go with the machine.
    """
    return registry.find(settings.active).make(
        Context(
            machine=machine,
            available=_limit(settings.available, cgroup_cpus),
            reserved=_limit(settings.reserved, cgroup_cpus),
            options=settings.options,
            pinnable_handlers=frozenset(settings.pinnable_handlers),
        )
    )


def _limit(constraint: CpuConstraint | None, cgroup_cpus: Callable[[str], int]) -> CpuLimit | None:
    if constraint is None:
        return None
    if constraint.millicpu is not None:
        return CpuLimit(millicpu=constraint.millicpu)
    if constraint.cpuset is not None:
        return CpuLimit(cpus=cpusets.parse(constraint.cpuset))
    return CpuLimit(cpus=cgroup_cpus(constraint.cgroup or ""))
