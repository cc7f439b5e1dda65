"""What a container may use, as CRI's LinuxContainerResources says it."""

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, slots=True)
class Resources:
    """The fields that a policy may own or must remember; 0 and "" mean *not set*, as in CRI.

    Shapes: `cpuset_*` are Linux lists such as `0-3,8`; quota and period are microseconds.
    """

    cpu_period_us: int = 0
    cpu_quota_us: int = 0
    cpu_shares: int = 0
    memory_limit_bytes: int = 0
    oom_score_adj: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    memory_swap_limit_bytes: int = 0
    """Memory and swap together, as CRI counts it."""

    def merged(self, update: "Resources") -> "Resources":
        """These resources with every field that `update` sets: what a resize by the kubelet leaves."""
        changes = {f.name: value for f in fields(update) if (value := getattr(update, f.name))}
        return replace(self, **changes)

    def swap_with(self, memory_limit_bytes: int) -> int:
        """The limit of memory and swap together when that of memory is another: as much swap as before, 0 for not set.

        Runtimes refuse one that is lower than the limit of memory.
        """
        if self.memory_swap_limit_bytes <= 0 or memory_limit_bytes <= 0:
            return -1 if self.memory_swap_limit_bytes else 0
        return memory_limit_bytes + max(0, self.memory_swap_limit_bytes - max(0, self.memory_limit_bytes))


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a policy gives to one container; None leaves the kubelet's own value alone."""

    cpuset_cpus: str | None = None
    cpuset_mems: str | None = None
    cpu_shares: int | None = None
    cpu_quota_us: int | None = None
    cpu_period_us: int | None = None
    memory_limit_bytes: int | None = None

    def over(self, asked: Resources) -> Resources:
        """The resources that the runtime is told: what was asked, with what this assignment owns."""
        owned = {f.name: value for f in fields(self) if (value := getattr(self, f.name)) is not None}
        return replace(asked, **owned)


NOTHING = Assignment()
