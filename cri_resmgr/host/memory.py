"""NUMA nodes: their CPUs, memory and distances, from `devices/system/node`.

sysfs does not say what memory is made of.  The rule, which is the predecessor's: memory beside CPUs is DRAM; a node
without CPUs has HBM if it is smaller than the average of those, else PMEM.  A node whose CPUs are all offline still
has them beside it, and where no memory is beside CPUs all of it is DRAM.  DRAM behind CXL counts as PMEM, which it
resembles: it is far away, and there is much of it.

A kernel without NUMA has no such directory: everything is node 0.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cri_resmgr.errors import BadInput
from cri_resmgr.host import distances, files
from cri_resmgr.values import cpusets
from cri_resmgr.values.machines import MemoryKind, Node

_MEMORY = "a line such as 'MemTotal: 16384 kB'"


def nodes(root: Path, online: int) -> list[Node]:
    """The nodes of the system below `root`, without package and die. Raises BadInput."""
    directory = str(root / "sys/devices/system/node")
    ids = list(cpusets.ids(files.numbered(directory, "node")))
    if not ids:
        return [Node(0, online, _memory_bytes(str(root / "proc/meminfo")), distances={0: distances.SELF})]
    directories = {id_: f"{directory}/node{id_}" for id_ in ids}
    normal = files.members(f"{directory}/has_normal_memory", default=cpusets.of(ids))
    rows = distances.symmetric([_row(f"{path}/distance", len(ids)) for path in directories.values()])
    found = [
        Node(
            id_,
            files.members(f"{path}/cpulist") & online,
            _memory_bytes(f"{path}/meminfo"),
            distances=dict(zip(ids, row, strict=True)),
            normal=normal >> id_ & 1 == 1,
        )
        for (id_, path), row in zip(directories.items(), rows, strict=True)
    ]
    _check_apart(found, directories)
    return _with_kinds(found, {id_ for id_, path in directories.items() if files.numbered(path, "cpu")})


def _with_kinds(nodes: Sequence[Node], beside_cpus: Collection[int]) -> list[Node]:
    """The nodes with what their memory is made of; `beside_cpus` are the ids of those with CPUs, on or off."""
    sizes = [node.memory_bytes for node in nodes if (node.cpus or node.id in beside_cpus) and node.memory_bytes]

    def kind(node: Node) -> MemoryKind:
        if node.cpus or node.id in beside_cpus or not sizes:
            return MemoryKind.DRAM
        return MemoryKind.HBM if node.memory_bytes * len(sizes) < sum(sizes) else MemoryKind.PMEM

    return [replace(node, kind=kind(node)) for node in nodes]


def _check_apart(nodes: Iterable[Node], directories: Mapping[int, str]) -> None:
    seen = 0
    for node in nodes:
        if twice := node.cpus & seen:
            raise BadInput(
                f"{directories[node.id]}/cpulist: '{cpusets.text(node.cpus)}'; "
                f"expected CPUs of this node only, {cpusets.text(twice)} is another's already"
            )
        seen |= node.cpus


def _row(path: str, count: int) -> list[int]:
    found = files.required(path, f"{count} distances")
    words = found.split()
    if len(words) != count or not all(word.isdecimal() for word in words):
        raise BadInput(f"{path}: '{found}'; expected {count} distances, one for each node there is")
    return [int(word) for word in words]


def _memory_bytes(path: str) -> int:
    found = files.required(path, _MEMORY)
    words = found.partition("MemTotal:")[2].split(maxsplit=2)
    if len(words) < 2 or not words[0].isdecimal() or words[1] != "kB":  # noqa: PLR2004 - amount and unit
        raise BadInput(f"{path}: no total of memory; expected {_MEMORY}")
    return int(words[0]) << 10
