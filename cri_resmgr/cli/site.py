"""What the daemon must know before it opens anything: the machine, and a policy that goes with it."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cri_resmgr.cli import making
from cri_resmgr.cli.flags import Flags
from cri_resmgr.config.settings import PolicySettings, Settings
from cri_resmgr.host import cgroups, topology
from cri_resmgr.manager.differences import Whole
from cri_resmgr.manager.reconfiguring import Regime
from cri_resmgr.policies.contract import Policy
from cri_resmgr.values import cpusets
from cri_resmgr.values.machines import Machine

NOWHERE = Machine(0, (), (), (), ())
NONE = "none"  # the policy that needs no machine


@dataclass(frozen=True, slots=True)
class Site:
    """The machine, `NOWHERE` if nobody has to know it, and the policy.

    `cpus` is the set that containers may share when the policy has no answer.
    """

    root: Path
    machine: Machine
    policy: Policy
    cpus: int

    @classmethod
    def survey(cls, flags: Flags, settings: Settings) -> "Site":
        """Look at the machine, if the policy needs one, and make the policy. Raises BadInput."""
        root = Path(flags.host_root or "/")
        machine = NOWHERE if settings.policy.active == NONE else topology.discover(root)
        cgroup_cpus = partial(cgroups.constraint_cpus, mount=Path(flags.cgroup_mount))
        policy = making.policy(settings.policy, machine, cgroup_cpus=cgroup_cpus)
        cpus = _available(settings.policy, cgroup_cpus) & machine.online & ~machine.isolated
        return cls(root, machine, policy, cpus)

    @property
    def regime(self) -> Regime:
        """Who decides about what."""
        return Regime(self.policy, self.cpus)

    def whole(self) -> Whole:
        """What a container without sets of its own may use; looks now if nobody has looked before."""
        return Whole.of(topology.discover(self.root) if self.machine == NOWHERE else self.machine)


def _available(settings: PolicySettings, cgroup_cpus: "partial[int]") -> int:
    limit = settings.available
    if limit is None or limit.millicpu is not None:
        return -1
    return cpusets.parse(limit.cpuset) if limit.cpuset is not None else cgroup_cpus(limit.cgroup or "")
