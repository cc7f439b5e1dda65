"""How fast CPUs are within their package, from `cpufreq`: by base frequency, and by what energy is traded for.

Where a package has CPUs of several base frequencies, those with the lowest are LOW and the others HIGH.  Where it has
several energy performance preferences, these decide instead, since somebody has set them: whoever prefers performance
no more than the worst does is LOW, the others are HIGH.  A CPU that tells nothing stays NORMAL.

Speed Select shows in base frequencies; its own device is not asked.
"""

from collections.abc import Iterable, Mapping

from cri_resmgr.host import files
from cri_resmgr.values import cpusets
from cri_resmgr.values.machines import Priority

_PREFERENCES = ("power", "balance_power", "balance_performance", "performance")  # worst first


def priorities(directory: str, packages: Iterable[int]) -> dict[Priority, int]:
    """The online CPUs by priority, empty if all are NORMAL; `packages` has the CPUs of each.

    `directory` is `devices/system/cpu`. Raises BadInput.
    """
    found = dict.fromkeys(Priority, 0)
    for cpus in packages:
        high, low = _split(_preferences(directory, cpus)) or _split(_base_khz(directory, cpus)) or (0, 0)
        found[Priority.HIGH] |= high
        found[Priority.NORMAL] |= cpus & ~high & ~low
        found[Priority.LOW] |= low
    return {priority: cpus for priority, cpus in found.items() if cpus} if found[Priority.HIGH] else {}


def _preferences(directory: str, cpus: int) -> dict[int, int]:
    paths = {cpu: f"{directory}/cpu{cpu}/cpufreq/energy_performance_preference" for cpu in cpusets.ids(cpus)}
    words = {cpu: files.text(path) for cpu, path in paths.items()}
    return {cpu: _PREFERENCES.index(word) for cpu, word in words.items() if word in _PREFERENCES}


def _base_khz(directory: str, cpus: int) -> dict[int, int]:
    paths = {cpu: f"{directory}/cpu{cpu}/cpufreq/base_frequency" for cpu in cpusets.ids(cpus)}
    told = {cpu: files.number(path, default=0) for cpu, path in paths.items()}
    return {cpu: khz for cpu, khz in told.items() if khz}


def _split(scores: Mapping[int, int]) -> tuple[int, int] | None:
    """The CPUs above the lowest score, and those with it; None if all score the same."""
    if len(set(scores.values())) < 2:  # noqa: PLR2004 - nothing to tell apart
        return None
    lowest = min(scores.values())
    high = cpusets.of(cpu for cpu, score in scores.items() if score > lowest)
    return high, cpusets.of(scores) & ~high
