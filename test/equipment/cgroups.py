"""Control groups of test nodes: a root of their own for each, and what a container got.

Both forms of host are served: version 2 with its one tree, and version 1 with a tree for each controller (and one
without any, `systemd`, which the kubelet insists on).  A *node's root* is a directory of the same name in every tree.
"""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
V2_CONTROLLERS = ("cpu", "cpuset", "io", "memory", "pids")


def is_v2(mount: Path = MOUNT) -> bool:
    """The host has the one tree of version 2 (a `unified` beside version 1 does not count)."""
    return (mount / "cgroup.controllers").exists()


def trees(mount: Path = MOUNT) -> list[Path]:
    """The top directory of every tree; `cpu` is often a link to `cpu,cpuacct`, which counts once."""
    if is_v2(mount):
        return [mount]
    return sorted({path.resolve() for path in mount.iterdir() if path.is_dir()})


def make_root(name: str, mount: Path = MOUNT) -> list[Path]:
    """The directory `name` in every tree, usable at once: with CPUs and memory nodes, or controllers."""
    directories = [tree / name for tree in trees(mount)]
    for directory in directories:
        directory.mkdir(exist_ok=True)
        # An empty cpuset of version 1 accepts no process.
        for file in ("cpuset.cpus", "cpuset.mems"):
            if not is_v2(mount) and (directory / file).exists():
                (directory / file).write_text((directory.parent / file).read_text())
    if is_v2(mount):
        available = (mount / "cgroup.controllers").read_text().split()
        wanted = [f"+{controller}" for controller in V2_CONTROLLERS if controller in available]
        (mount / "cgroup.subtree_control").write_text(" ".join(wanted))
    return directories


def remove_root(name: str, mount: Path = MOUNT) -> None:
    """Remove `name` and all below it; what still holds a process stays."""
    for tree in trees(mount):
        for directory, _, _ in os.walk(tree / name, topdown=False):
            with contextlib.suppress(OSError):
                Path(directory).rmdir()


def processes_below(name: str, mount: Path = MOUNT) -> set[int]:
    """Process ids in `name` or below it, in any tree."""
    found: set[int] = set()
    for tree in trees(mount):
        for file in (tree / name).rglob("cgroup.procs"):
            with contextlib.suppress(OSError):  # removed meanwhile, or threaded
                found.update(map(int, file.read_text().split()))
    return found


@dataclass(frozen=True)
class ContainerCgroup:
    """What the kernel holds a container to."""

    cpuset_cpus: str
    """Empty: not restricted (version 2 only)."""
    cpuset_mems: str
    cpu_shares: int
    cpu_quota_us: int
    """For each period of 100 ms; -1: no limit."""
    memory_limit_bytes: int | None
    cpus_allowed: str
    """`Cpus_allowed_list` of its first process: what is true whatever the files say."""


def container_pid(container_id: str) -> int:
    """The lowest process id in the control group of a container, also of one in a sandbox node."""
    for directory in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        with contextlib.suppress(OSError):
            if container_id in (directory / "cgroup").read_text():
                return int(directory.name)
    raise LookupError(f"no process in the control group of container {container_id}; has it ended?")


def container_cgroup(container_id: str) -> ContainerCgroup:
    """What the kernel holds the running container `container_id` to."""
    pid = container_pid(container_id)
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    allowed = next(line.split()[1] for line in status if line.startswith("Cpus_allowed_list"))
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    if is_v2():
        return _read_v2(MOUNT / lines[-1].partition("::")[2].lstrip("/"), allowed)
    paths = {
        controller: MOUNT / controller / path.lstrip("/")
        for _, controllers, path in (line.split(":", 2) for line in lines)
        for controller in controllers.split(",")
    }
    return _read_v1(paths, allowed)


def _read_v1(paths: dict[str, Path], allowed: str) -> ContainerCgroup:
    limit = int((paths["memory"] / "memory.limit_in_bytes").read_text())
    return ContainerCgroup(
        cpuset_cpus=(paths["cpuset"] / "cpuset.cpus").read_text().strip(),
        cpuset_mems=(paths["cpuset"] / "cpuset.mems").read_text().strip(),
        cpu_shares=int((paths["cpu"] / "cpu.shares").read_text()),
        cpu_quota_us=int((paths["cpu"] / "cpu.cfs_quota_us").read_text()),
        memory_limit_bytes=limit if limit < 2**62 else None,  # "no limit" is the largest number of whole pages
        cpus_allowed=allowed,
    )


def _read_v2(path: Path, allowed: str) -> ContainerCgroup:
    quota, period_us = (path / "cpu.max").read_text().split()
    limit = (path / "memory.max").read_text().strip()
    weight = int((path / "cpu.weight").read_text())
    return ContainerCgroup(
        cpuset_cpus=(path / "cpuset.cpus").read_text().strip(),
        cpuset_mems=(path / "cpuset.mems").read_text().strip(),
        # The reverse of runc's weight = 1 + (shares - 2) * 9999 / 262142, so off by up to 26.
        cpu_shares=2 + (weight - 1) * 262142 // 9999,
        cpu_quota_us=-1 if quota == "max" else int(quota) * 100_000 // int(period_us),
        memory_limit_bytes=None if limit == "max" else int(limit),
        cpus_allowed=allowed,
    )
