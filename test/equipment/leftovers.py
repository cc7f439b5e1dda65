"""What a container runtime leaves behind when it ends without its pods, or is killed: found and taken away.

Everything is recognised by the runtime's own directory, so other runtimes on the machine are never touched:
monitors (shims, conmon) carry it in their command line, and the root file system of a container is an overlay of
directories below it, whichever parent the container has by now.
"""

import contextlib
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from equipment import cgroups
from equipment.mounts import unmount_below
from equipment.processes import wait_for

# Where containerd and CRI-O keep a directory for each container.
_CONTAINER_DIRECTORIES = ("state/io.containerd.runtime.v2.task/k8s.io/*", "run/overlay-containers/*")
# Shims of every containerd listen in one directory; 1.6 notes where in `address`, 2.x in `bootstrap.json`.
_SHIM_NOTES = ("address", "bootstrap.json")
_SHIM_SOCKET = re.compile(r"/run/containerd/s/[0-9a-f]{64}")
_SHARED_CGROUP = re.compile(r"crio(-conmon)?(-[0-9a-f]{64})?|k8s\.io|test-pods")
_END_DEADLINE_S = 30


def remove(root: Path, *, alone: bool) -> None:
    """Kill the monitors and containers of the runtime in `root`, and remove their mounts and cgroups.

    `alone`: no other test runtime lives, so cgroups that they share go as well.
    """
    containers = {path.name for pattern in _CONTAINER_DIRECTORIES for path in root.glob(pattern)}
    sockets = {match for path in _shim_notes(root) for match in _SHIM_SOCKET.findall(path.read_text())}
    # The monitors first: one that lives would note the end of its container in the files that are going.
    for belongs in (_is_monitor, _is_container):
        _kill_all(root, belongs)
    for shim_socket in sockets:
        Path(shim_socket).unlink(missing_ok=True)
    unmount_below(root)
    _remove_cgroups(containers, shared=alone)


def _shim_notes(root: Path) -> Iterator[Path]:
    for name in _SHIM_NOTES:
        yield from root.glob(f"{_CONTAINER_DIRECTORIES[0]}/{name}")


def _kill_all(root: Path, belongs: Callable[[int, Path], bool]) -> None:
    def kill() -> bool:
        """Again and again: a container may fork while we look."""
        found = [pid for pid in _processes() if belongs(pid, root)]
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not found

    wait_for(kill, f"the end of the containers in {root}", _END_DEADLINE_S)


def _processes() -> Iterator[int]:
    for path in Path("/proc").iterdir():
        if path.name.isdecimal() and int(path.name) != os.getpid():
            yield int(path.name)


def _is_monitor(pid: int, root: Path) -> bool:
    with contextlib.suppress(OSError):
        program, *arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        monitor = Path(os.fsdecode(program)).name.startswith(("containerd-shim", "conmon"))
        return monitor and any(argument.startswith(os.fsencode(f"{root}/")) for argument in arguments)
    return False


def _is_container(pid: int, root: Path) -> bool:
    """The mount at `/`, as the process sees it, is an overlay with its directories below `root`."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines():
            if line.split()[4] == "/":
                return f"upperdir={root}/" in line
    return False


def _remove_cgroups(containers: set[str], *, shared: bool) -> None:
    for tree in cgroups.trees():
        for directory in (Path(name) for name, _, _ in os.walk(tree, topdown=False)):
            own = any(container in directory.name for container in containers)
            if own or (shared and _SHARED_CGROUP.fullmatch(directory.name)):
                with contextlib.suppress(OSError):  # a process is in it, so it is somebody else's
                    directory.rmdir()
