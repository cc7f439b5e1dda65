"""Caches that several cores may share, level 2 and up, from each core's `cache` directory.

A cache of level 1 is as private as its core: nobody decides by it, and reading them all would take as long as all the
rest.  Virtual machines and small boards often tell nothing, or half of it; what is told must make sense.
"""

from collections.abc import Iterable

from cri_resmgr.errors import BadInput
from cri_resmgr.host import files
from cri_resmgr.values import cpusets
from cri_resmgr.values.machines import Cache

_SIZE = "a size such as 2048K"
_SHIFTS = {"K": 10, "M": 20, "G": 30}


def caches(directory: str, cores: Iterable[int], online: int) -> list[Cache]:
    """The caches of these cores; `directory` is `devices/system/cpu`. Raises BadInput."""
    found: list[Cache] = []
    known: dict[int, int] = {}  # whose cache we have, by its index
    for core in cores:
        cpu = (core & -core).bit_length() - 1
        own = f"{directory}/cpu{cpu}/cache"
        for index in cpusets.ids(files.numbered(own, "index")):
            if known.get(index, 0) & core:
                continue
            cache = _cache(f"{own}/index{index}", online)
            if cache is not None:
                known[index] = known.get(index, 0) | cache.cpus
                found.append(cache)
    return found


def _cache(path: str, online: int) -> Cache | None:
    level = files.number(f"{path}/level", default=0)
    cpus = files.members(f"{path}/shared_cpu_list", default=0) & online if level > 1 else 0
    if not cpus:
        return None
    return Cache(level, files.text(f"{path}/type") or "Unified", _size_bytes(f"{path}/size"), cpus)


def _size_bytes(path: str) -> int:
    """The size of a cache, 0 if it is not told."""
    found = files.text(path) or "0K"
    digits, unit = found[:-1], found[-1]
    if not digits.isdecimal() or unit not in _SHIFTS:
        raise BadInput(f"{path}: '{found}'; expected {_SIZE}")
    return int(digits) << _SHIFTS[unit]
