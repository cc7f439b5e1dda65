"""The machines that guests are: how many packages, dies, NUMA nodes and threads, and how far the nodes are apart.

CPUs are numbered so that 2k and 2k+1 are the threads of a core.  A node has some 5 % less memory than is said here.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Node:
    """A NUMA node; without CPUs it is memory only."""

    cpus: str
    memory_mib: int = 1024


@dataclass(frozen=True)
class Topology:
    """One machine. `smp` is QEMU's word for packages, dies, cores of a die and threads."""

    name: str
    smp: str
    nodes: tuple[Node, ...]
    near: Mapping[tuple[int, int], int]
    """Distances of pairs, the lower node first, that are not `far` apart."""
    far: int

    @property
    def cpus(self) -> int:
        """How many there are."""
        return int(self.smp.partition(",")[0])

    @property
    def memory_mib(self) -> int:
        """Of all nodes."""
        return sum(node.memory_mib for node in self.nodes)

    def distance(self, one: int, other: int) -> int:
        """As the kernel has it: 10 to itself."""
        return 10 if one == other else self.near.get((min(one, other), max(one, other)), self.far)

    def options(self, memory: Path, *, shared: bool) -> Iterator[str]:
        """QEMU's options; node i has its memory in the file `memory/i`, which `shared` writes to."""
        yield from ("-smp", self.smp, "-m", str(self.memory_mib))
        for number, node in enumerate(self.nodes):
            backend = f"memory-backend-file,id=node{number},size={node.memory_mib}M,mem-path={memory}/{number}"
            yield from ("-object", f"{backend},share={'on' if shared else 'off'}")
            yield from ("-numa", f"node,nodeid={number},memdev=node{number}{node.cpus and f',cpus={node.cpus}'}")
        for one, other in itertools.permutations(range(len(self.nodes)), 2):
            yield from ("-numa", f"dist,src={one},dst={other},val={self.distance(one, other)}")


_TWO_PACKAGES_OF_TWO_NODES = {(0, 1): 11, (2, 3): 11}
_FOUR_CPUS_EACH = tuple(map(Node, ("0-3", "4-7", "8-11", "12-15")))

N4C16 = Topology(
    "n4c16", "16,sockets=2,dies=1,cores=4,threads=2", _FOUR_CPUS_EACH, near=_TWO_PACKAGES_OF_TWO_NODES, far=21
)
N4D4C16 = Topology(
    "n4d4c16", "16,sockets=2,dies=2,cores=2,threads=2", _FOUR_CPUS_EACH, near=_TWO_PACKAGES_OF_TWO_NODES, far=21
)
"""The same with a die for each node."""
N4C8 = Topology(
    "n4c8",
    "8,sockets=2,dies=1,cores=2,threads=2",
    tuple(map(Node, ("0-1", "2-3", "4-5", "6-7"))),
    near=_TWO_PACKAGES_OF_TWO_NODES,
    far=21,
)
"""Nodes so small that it shows whether something still fits."""
C4PMEM4 = Topology(
    "c4pmem4",
    "4,sockets=4,dies=1,cores=1,threads=1",
    (*(Node(str(cpu)) for cpu in range(4)), *(Node("", memory_mib=2048) for _ in range(4))),
    near=dict.fromkeys(itertools.combinations(range(4), 2), 21) | {(2, 4): 17, (3, 5): 17, (0, 6): 17, (1, 7): 17},
    far=28,
)
"""Four packages of one CPU, and four nodes of memory only, each near one of them."""

TOPOLOGIES = {topology.name: topology for topology in (N4C16, N4D4C16, N4C8, C4PMEM4)}
