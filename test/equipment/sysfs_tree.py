"""A machine written out as the files that a kernel would show of it, for `host.topology` to read back.

Only what discovery reads is written.  A `Machine` does not say to which node an offline CPU belongs: a node of DRAM
without CPUs gets them all, so that it is not taken for a node that never had any.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from cri_resmgr.values import cpusets
from cri_resmgr.values.machines import Machine, MemoryKind, Node, Priority

CPU = "sys/devices/system/cpu"
NODE = "sys/devices/system/node"
_KHZ = {Priority.HIGH: 3_000_000, Priority.NORMAL: None, Priority.LOW: 2_000_000}


def put(root: Path, files: Mapping[str, object]) -> Path:
    """Write these files below a directory, each with a newline; returns the directory."""
    for name, value in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")
    return root


def write(machine: Machine, root: Path) -> Path:
    """Write the machine below `root`; returns it."""
    for cpu in cpusets.ids(machine.offline):
        (root / CPU / f"cpu{cpu}").mkdir(parents=True)
    for node in machine.nodes:
        beside = machine.offline if node.kind is MemoryKind.DRAM and not node.cpus else node.cpus
        for cpu in cpusets.ids(beside):
            (root / NODE / f"node{node.id}" / f"cpu{cpu}").mkdir(parents=True)
    return put(root, dict(_files(machine)))


def _files(machine: Machine) -> Iterator[tuple[str, object]]:
    yield f"{CPU}/online", cpusets.text(machine.online)
    yield f"{CPU}/isolated", cpusets.text(machine.isolated)
    for core in machine.cores:
        for cpu in cpusets.ids(core.cpus):
            yield f"{CPU}/cpu{cpu}/topology/physical_package_id", core.package
            yield f"{CPU}/cpu{cpu}/topology/die_id", core.die
            yield f"{CPU}/cpu{cpu}/topology/thread_siblings_list", cpusets.text(core.cpus)
    yield from _caches(machine)
    for kind, name in {"performance": "cpu_core", "efficient": "cpu_atom"}.items():
        if kind in machine.core_kinds:
            yield f"sys/devices/{name}/cpus", cpusets.text(machine.core_kinds[kind])
    for priority, cpus in machine.priorities.items():
        for cpu in cpusets.ids(cpus if _KHZ[priority] else 0):
            yield f"{CPU}/cpu{cpu}/cpufreq/base_frequency", _KHZ[priority]
    yield f"{NODE}/has_normal_memory", cpusets.text(cpusets.of(node.id for node in machine.nodes if node.normal))
    for node in machine.nodes:
        yield from _node(node)


def _caches(machine: Machine) -> Iterator[tuple[str, object]]:
    for cache in machine.caches:
        for cpu in cpusets.ids(cache.cpus):
            path = f"{CPU}/cpu{cpu}/cache/index{cache.level}"
            yield f"{path}/level", cache.level
            yield f"{path}/type", cache.kind
            yield f"{path}/size", f"{cache.size_bytes >> 10}K"
            yield f"{path}/shared_cpu_list", cpusets.text(cache.cpus)


def _node(node: Node) -> Iterator[tuple[str, object]]:
    path = f"{NODE}/node{node.id}"
    yield f"{path}/cpulist", cpusets.text(node.cpus)
    yield f"{path}/distance", " ".join(str(distance) for _, distance in sorted(node.distances.items()))
    yield f"{path}/meminfo", f"Node {node.id} MemTotal: {node.memory_bytes >> 10:15} kB\nNode {node.id} MemFree: 0 kB"
