"""Which CPUs share a package, a die and a core, by each CPU's `topology` directory.

Every online CPU is asked, although one per core would do: a tree that contradicts itself is found out here and the
file is named, instead of a CPU being given away twice later.
"""

from collections.abc import Mapping

from cri_resmgr.errors import BadInput
from cri_resmgr.host import files
from cri_resmgr.host.assembling import DieKey
from cri_resmgr.values import cpusets


def dies(directory: str, online: int) -> dict[DieKey, int]:
    """The online CPUs by package and die; `directory` is `devices/system/cpu`. Raises BadInput.

    Firmware that says nothing makes package -1 of everything, which is 0 here; without `die_id` there is one die.
    """
    found: dict[DieKey, int] = {}
    for cpu in cpusets.ids(online):
        topology = f"{directory}/cpu{cpu}/topology"
        key = max(files.number(f"{topology}/physical_package_id"), 0), files.number(f"{topology}/die_id", default=0)
        found[key] = found.get(key, 0) | 1 << cpu
    return found


def cores(directory: str, dies: Mapping[DieKey, int]) -> list[int]:
    """The online CPUs of each core; `dies` are all online CPUs. Raises BadInput."""
    online = sum(dies.values())  # disjoint: the sum is the union
    return [core for cpus in dies.values() for core in _cores_of_die(directory, cpus, online)]


def _cores_of_die(directory: str, cpus: int, online: int) -> list[int]:
    found: dict[int, int] = {}  # by the lowest CPU
    seen = 0
    for cpu in cpusets.ids(cpus):
        path = f"{directory}/cpu{cpu}/topology/thread_siblings_list"
        told = files.members(path)
        siblings = told & online
        lowest = siblings & -siblings
        if lowest == 1 << cpu and not siblings & (seen | ~cpus):
            found[lowest] = siblings
            seen |= siblings
        elif found.get(lowest) != siblings or not siblings & 1 << cpu:
            raise BadInput(
                f"{path}: '{cpusets.text(told)}'; expected the CPUs of one core, {cpu} among them, "
                "all on the same die and with the same list"
            )
    return list(found.values())
