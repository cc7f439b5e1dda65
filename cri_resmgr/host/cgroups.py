"""What control groups say about CPUs and memory nodes, in both versions; read only.

A configuration may name a group instead of a set of CPUs, and the drift watch compares what a container really has
with what was decided.

    version   cpuset's tree             asked for                     in effect
    1         /sys/fs/cgroup/cpuset     cpuset.cpus                   cpuset.effective_cpus
    2         /sys/fs/cgroup            cpuset.cpus, empty: parent's  cpuset.cpus.effective
"""

from dataclasses import dataclass
from pathlib import Path

from cri_resmgr.errors import BadInput
from cri_resmgr.host import files

MOUNT = Path("/sys/fs/cgroup")
_V1_FILES = ("cpuset.effective_cpus", "cpuset.effective_mems")
_V2_FILES = ("cpuset.cpus.effective", "cpuset.mems.effective")


@dataclass(frozen=True, slots=True)
class Effective:
    """What a process may use: sets as in `values.cpusets`, and the version of the tree that says so, 1 or 2."""

    cpus: int
    mems: int
    version: int


def constraint_cpus(directory: str, *, mount: Path = MOUNT) -> int:
    """The CPUs of a control group: of an absolute directory, or of one below the mount or version 1's cpuset tree.

    A group of version 2 that asks for none has those in effect. Raises BadInput.
    """
    below = directory.lstrip("/")
    candidates = [mount / below, mount / "cpuset" / below]
    if directory.startswith("/"):
        candidates.insert(0, Path(directory))
    found = next((str(path) for path in candidates if (path / "cpuset.cpus").exists()), None)
    if found is None:
        raise BadInput(
            f'failed to find cpuset.cpus for CPU cgroup constraint "{directory}" in {", ".join(map(str, candidates))}; '
            "name a control group that exists, or the CPUs themselves"
        )
    cpus = files.members(f"{found}/cpuset.cpus") or files.members(f"{found}/cpuset.cpus.effective", default=0)
    if not cpus:
        raise BadInput(f"{found}/cpuset.cpus: it is empty; expected {files.LIST}")
    return cpus


def effective_of(pid: int, *, root: Path = Path("/")) -> Effective | None:
    """What the control group of a process lets it use; None if the process has ended, or no cpuset is in use.

    A group of version 2 that its parent hands no cpuset down to has what the parent has.
    """
    groups = _groups(files.text(str(root / f"proc/{pid}/cgroup")) or "")
    mount = root / MOUNT.relative_to("/")
    if "cpuset" in groups:
        return _effective(mount / "cpuset" / groups["cpuset"], _V1_FILES, version=1)
    if "" not in groups or not (mount / groups[""]).is_dir():
        return None
    own = Path(groups[""])
    found = (_effective(mount / group, _V2_FILES, version=2) for group in (own, *own.parents))
    return next(filter(None, found), None)


def _groups(text: str) -> dict[str, str]:
    """The group by controller, relative to its tree; that of version 2 under ``."""
    lines = [line.split(":", 2) for line in text.splitlines()]
    return {name: group.lstrip("/") for _, controllers, group in lines for name in controllers.split(",")}


def _effective(directory: Path, names: tuple[str, str], *, version: int) -> Effective | None:
    cpus, mems = (files.members(str(directory / name), default=0) for name in names)
    return Effective(cpus, mems, version) if cpus else None
