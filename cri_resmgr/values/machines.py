"""A machine as policies see it: packages, dies, NUMA nodes, cores, caches; where they are, and how far apart.

Sets of CPUs and of nodes are integers as in `values.cpusets`.  Unless said otherwise they hold online CPUs only:
what is offline belongs to nothing.  Made by `host.topology` from sysfs, or by `simulate` from a few numbers; either
way it is valid: ids are ascending, every online CPU is in one core, one die, one package, and at most one node.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class MemoryKind(Enum):
    """What a node's memory is made of; the values are the words of annotations and of `simulate`."""

    DRAM = "dram"
    PMEM = "pmem"
    HBM = "hbm"


class Priority(Enum):
    """How fast a CPU is within its package (SST or cpufreq); the lower the value, the better."""

    HIGH = 0
    NORMAL = 1
    LOW = 2


@dataclass(frozen=True, slots=True)
class Package:
    """A socket."""

    id: int
    cpus: int
    nodes: int
    """The NUMA nodes with CPUs of this package."""
    dies: tuple[int, ...]
    """Ids of its dies, which count from 0 in each package."""


@dataclass(frozen=True, slots=True)
class Die:
    """A die of a package."""

    id: int
    package: int
    cpus: int
    nodes: int


@dataclass(frozen=True, slots=True)
class Node:
    """A NUMA node; one without CPUs is memory only and has no package or die."""

    id: int
    cpus: int
    memory_bytes: int
    kind: MemoryKind = MemoryKind.DRAM
    package: int | None = None
    die: int | None = None
    distances: Mapping[int, int] = field(default_factory=dict)
    """To every node by id, itself included (10)."""
    normal: bool = True
    """Has memory that the kernel itself can use; a node of movable memory only has not."""


@dataclass(frozen=True, slots=True)
class Core:
    """A physical core: its online threads."""

    id: int
    package: int
    die: int
    cpus: int


@dataclass(frozen=True, slots=True)
class Cache:
    """A cache and the CPUs that share it."""

    level: int
    kind: str
    """Unified, Data or Instruction, as sysfs writes it."""
    size_bytes: int
    cpus: int


@dataclass(frozen=True, slots=True)
class Machine:
    """The whole of it."""

    online: int
    packages: tuple[Package, ...]
    dies: tuple[Die, ...]
    nodes: tuple[Node, ...]
    cores: tuple[Core, ...]
    caches: tuple[Cache, ...] = ()
    isolated: int = 0
    """Online CPUs that the kernel's scheduler leaves alone (isolcpus=)."""
    offline: int = 0
    core_kinds: Mapping[str, int] = field(default_factory=dict)
    """Hybrid machines: `performance` and `efficient`; empty elsewhere."""
    priorities: Mapping[Priority, int] = field(default_factory=dict)
    """A partition of the online CPUs; empty means that all are NORMAL."""
