"""What this machine is, from sysfs: read once, when the daemon starts.

    sys/devices/system/cpu/       online, isolated; of each CPU: topology, cache, cpufreq   cores, caches, priorities
    sys/devices/system/node/      of each node: cpulist, meminfo, distance                  memory
    sys/devices/cpu_core, _atom   which CPUs of a hybrid machine are of which kind          here
    proc/meminfo                  where the kernel knows no NUMA                            memory

Everything is below a root directory, so that another machine's captured files (`hacks/capture-sysfs`) do as well.  A
tree that contradicts itself, or lacks what every kernel tells, is refused with the file and what was expected in it:
wrong sets here would be wrong CPUs for every container.  1,024 CPUs take about a tenth of a second.
"""

from pathlib import Path

from cri_resmgr.errors import BadInput
from cri_resmgr.host import caches, cores, files, memory, priorities
from cri_resmgr.host.assembling import assembled
from cri_resmgr.values.machines import Machine

_KINDS = {"performance": "cpu_core", "efficient": "cpu_atom"}


def discover(root: Path = Path("/")) -> Machine:
    """The machine whose sysfs and procfs are below `root`. Raises BadInput naming the file."""
    directory = str(root / "sys/devices/system/cpu")
    online = files.members(f"{directory}/online")
    if not online:
        raise BadInput(f"{directory}/online: it is empty; expected {files.LIST}")
    by_die = cores.dies(directory, online)
    by_core = cores.cores(directory, by_die)
    by_package: dict[int, int] = {}
    for (package, _), cpus in by_die.items():
        by_package[package] = by_package.get(package, 0) | cpus
    return assembled(
        dies=by_die,
        cores=by_core,
        nodes=memory.nodes(root, online),
        caches=caches.caches(directory, by_core, online),
        isolated=files.members(f"{directory}/isolated", default=0),
        offline=files.numbered(directory, "cpu") & ~online,
        core_kinds=_core_kinds(root, online),
        priorities=priorities.priorities(directory, by_package.values()),
    )


def _core_kinds(root: Path, online: int) -> dict[str, int]:
    """The CPUs by kind, if there are both."""
    paths = {kind: root / "sys/devices" / name / "cpus" for kind, name in _KINDS.items()}
    found = {kind: files.members(str(path), default=0) & online for kind, path in paths.items()}
    return found if all(found.values()) else {}
