"""Machines that do not exist, from a few numbers: for `simulate`, for tests and for measuring.

Everything is regular: each package has as many dies as the next, and so on down to threads.  A die has one level 3
cache, a core one of level 2, in the sizes that QEMU gives them.  Nodes with CPUs have the ids from 0 on, memory-only
nodes those after.  Distances that nobody gives are the usual ones of `distances`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from cri_resmgr.errors import BadInput
from cri_resmgr.host import distances as distances_
from cri_resmgr.host.assembling import assembled
from cri_resmgr.values import cpusets
from cri_resmgr.values.machines import Cache, Machine, MemoryKind, Node

L2_BYTES, L3_BYTES = 4 << 20, 16 << 20
NODE_LIMIT = 1024  # the kernel's, MAX_NUMNODES, where it is largest

Numbering = Literal["adjacent", "linux"]


@dataclass(frozen=True, slots=True)
class MemoryNode:
    """A node without CPUs; `near` is the node whose CPUs reach it at `distance`."""

    memory_bytes: int
    kind: MemoryKind
    near: int
    distance: int


def grid(  # noqa: PLR0913 - the numbers that describe a machine
    *,
    packages: int = 1,
    dies: int = 1,
    nodes: int = 1,
    cores: int = 1,
    threads: int = 1,
    memory_bytes: int | Sequence[int] = 2 << 30,
    isolated: int = 0,
    offline: int = 0,
    numbering: Numbering = "adjacent",
    distances: distances_.Rows | None = None,
    memory_nodes: Sequence[MemoryNode] = (),
) -> Machine:
    """The machine with so many of each per the level above: `nodes` per die, `cores` per node, `threads` per core.

    `memory_bytes` is what each node with CPUs has, or a list with one for each.  `isolated` and `offline` are sets of
    CPUs.  With the numbering `adjacent` the threads of core k are 2k and 2k+1, with `linux` all first threads come
    before all second ones.  `distances` is a square matrix for the nodes with CPUs, or for all nodes; a matrix that is
    not symmetric is averaged.  Raises BadInput naming the argument.
    """
    _check_counts(packages=packages, dies=dies, nodes=nodes, cores=cores, threads=threads)
    cpu_nodes = packages * dies * nodes
    _check_nodes(cpu_nodes, memory_nodes)
    _check_cpus(cpu_nodes * cores * threads, isolated=isolated, offline=offline)
    rows = _rows(distances, memory_nodes, distances_.usual(nodes=cpu_nodes, per_package=dies * nodes))
    cpus_of_cores = [cpus & ~offline for cpus in _cores(cpu_nodes * cores, threads, numbering)]
    cpus_of_dies = dict(enumerate(_joined(cpus_of_cores, nodes * cores)))
    return assembled(
        dies={divmod(number, dies): cpus for number, cpus in cpus_of_dies.items() if cpus},
        cores=filter(None, cpus_of_cores),
        nodes=_nodes(_joined(cpus_of_cores, cores), _sizes(memory_bytes, cpu_nodes), memory_nodes, rows),
        caches=[
            *(Cache(2, "Unified", L2_BYTES, cpus) for cpus in cpus_of_cores if cpus),
            *(Cache(3, "Unified", L3_BYTES, cpus) for cpus in cpus_of_dies.values() if cpus),
        ],
        isolated=isolated,
        offline=offline,
    )


def _cores(count: int, threads: int, numbering: Numbering) -> Iterator[int]:
    if numbering not in get_args(Numbering):
        raise BadInput(f"numbering is '{numbering}'; it must be adjacent or linux")
    core_step, thread_step = (threads, 1) if numbering == "adjacent" else (1, count)
    for core in range(count):
        yield cpusets.of(core * core_step + thread * thread_step for thread in range(threads))


def _joined(sets: Sequence[int], size: int) -> list[int]:
    return [sum(sets[start : start + size]) for start in range(0, len(sets), size)]  # disjoint: the sum is the union


def _nodes(
    cpus_of_nodes: Sequence[int], sizes: Sequence[int], memory_nodes: Sequence[MemoryNode], rows: distances_.Rows
) -> list[Node]:
    parts = [(cpus, size, MemoryKind.DRAM) for cpus, size in zip(cpus_of_nodes, sizes, strict=True)]
    parts += [(0, node.memory_bytes, node.kind) for node in memory_nodes]
    return [
        Node(id_, cpus, size, kind, distances=dict(enumerate(rows[id_])), normal=size > 0)
        for id_, (cpus, size, kind) in enumerate(parts)
    ]


def _sizes(memory_bytes: int | Sequence[int], nodes: int) -> Sequence[int]:
    sizes = [memory_bytes] * nodes if isinstance(memory_bytes, int) else memory_bytes
    if len(sizes) != nodes:
        raise BadInput(f"memory_bytes has {len(sizes)} values for {nodes} nodes with CPUs; give one, or one for each")
    for size in sizes:
        if size < 0:
            raise BadInput(f"memory_bytes has {size}; a node has 0 bytes or more")
    return sizes


def _rows(given: distances_.Rows | None, memory_nodes: Sequence[MemoryNode], usual: distances_.Rows) -> distances_.Rows:
    rows = usual if given is None else given
    sides = {len(usual), len(usual) + len(memory_nodes)}
    if len(rows) not in sides or any(len(row) != len(rows) for row in rows):
        raise BadInput(f"distances must be a square matrix with {' or '.join(map(str, sorted(sides)))} rows")
    for a, row in enumerate(rows):
        for b, distance in enumerate(row):
            if (a == b) != (distance == distances_.SELF) or not distances_.possible(distance):
                raise BadInput(
                    f"distances has {distance} from node {a} to {b}; "
                    f"it must be {distances_.SELF} from a node to itself, and {distances_.RANGE} elsewhere"
                )
    near = [(node.near, node.distance) for node in memory_nodes]
    return distances_.symmetric(distances_.extended(rows, near) if len(rows) == len(usual) else rows)


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise BadInput(f"{name} is {count}; it must be 1 or more")


def _check_nodes(cpu_nodes: int, memory_nodes: Sequence[MemoryNode]) -> None:
    if cpu_nodes + len(memory_nodes) > NODE_LIMIT:
        raise BadInput(f"packages, dies, nodes and memory_nodes make more than {NODE_LIMIT} nodes; take fewer")
    for index, node in enumerate(memory_nodes):
        where = f"memory_nodes[{index}]"
        if not 0 <= node.near < cpu_nodes:
            raise BadInput(f"{where}.near is {node.near}; it must be a node with CPUs, 0 to {cpu_nodes - 1}")
        if node.distance == distances_.SELF or not distances_.possible(node.distance):
            raise BadInput(f"{where}.distance is {node.distance}; it must be {distances_.RANGE}")
        if node.memory_bytes < 1:
            raise BadInput(f"{where}.memory_bytes is {node.memory_bytes}; a memory-only node has memory")


def _check_cpus(count: int, *, isolated: int, offline: int) -> None:
    if count > cpusets.LIMIT:
        raise BadInput(f"packages, dies, nodes, cores and threads make {count} CPUs; {cpusets.LIMIT} is the most")
    for name, cpus in {"isolated": isolated, "offline": offline}.items():
        if cpus >> count:
            raise BadInput(f"{name} is {cpusets.text(cpus)}; there are CPUs 0 to {count - 1} only")
    if offline.bit_count() == count:
        raise BadInput("offline has all CPUs; one at least must be online")
