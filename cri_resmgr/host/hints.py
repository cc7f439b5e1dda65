"""Where on the machine a container's devices and volumes are: topology hints.

    host path ── stat ──► device number ──► /sys/dev/block/M:m ──► its directory below /sys/devices,
                                                                   and upwards, until one tells:
                                                                   local_cpulist, numa_node

A device made of others says nothing itself: the `slaves` of device mapper and md are followed, and so is a VFIO group
to the devices in its IOMMU group.  Paths that are only read, or that every container has, say nothing about where it
works best; nor does a device that is equally near to all CPUs, which is how the kernel puts that it does not know.

Hints are advice: what cannot be read gives none, and no error.  File systems may take their time over a `stat`: this
is not for the event loop.
"""

import contextlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from cri_resmgr.errors import BadInput
from cri_resmgr.host import files
from cri_resmgr.values.hints import Hint

_COMMON = (
    "/.cri-resmgr",
    "/dev/termination-log",
    "/etc/",
    "/lib/",
    "/lib64/",
    "/usr/lib/",
    "/usr/lib32/",
    "/usr/lib64/",
)
_KUBELETS = re.compile(r"/pods/[0-9a-fA-F-]+/volumes/kubernetes\.io~(configmap|secret|projected|downward-api)/")
_VFIO = "devices/virtual/vfio"


class Mount(Protocol):
    """A path of the host that a container sees; `host_path` is "" where something else provides it."""

    @property
    def host_path(self) -> str:
        """Absolute, as the host names it."""

    @property
    def container_path(self) -> str:
        """Absolute, as the container names it."""

    @property
    def readonly(self) -> bool:
        """The container cannot write there."""


class Device(Protocol):
    """A device node of the host that a container may use."""

    @property
    def host_path(self) -> str:
        """Absolute, as the host names it."""

    @property
    def container_path(self) -> str:
        """Absolute, as the container names it."""

    @property
    def permissions(self) -> str:
        """Letters of `rwm`."""


def hints(mounts: Iterable[Mount], devices: Iterable[Device], *, root: Path = Path("/")) -> tuple[Hint, ...]:
    """What is known about the places of these mounts and devices, each place once, in the order of the paths."""
    used: list[Mount | Device] = [mount for mount in mounts if not mount.readonly]
    used += [device for device in devices if {"w", "m"} & set(device.permissions)]
    paths = dict.fromkeys(one.host_path for one in used if not _is_common(one))
    root = root.resolve()
    places = dict.fromkeys(place for path in paths if (place := _place(path, root)))
    online = _members(root / "sys/devices/system/cpu/online")
    told = (hint for place in places for hint in _hints(place, root, online))
    return tuple({hint.provider: hint for hint in told}.values())


def _is_common(one: Mount | Device) -> bool:
    paths = (one.host_path, one.container_path)
    return not one.host_path or any(path.startswith(_COMMON) or _KUBELETS.search(path) for path in paths)


def _place(path: str, root: Path) -> Path | None:
    """The directory in sysfs of a device node, or of the device that a file is on."""
    with contextlib.suppress(OSError):
        found = (root / path.lstrip("/")).stat()
        kind = "char" if stat.S_ISCHR(found.st_mode) else "block"
        number = found.st_rdev if kind == "char" or stat.S_ISBLK(found.st_mode) else found.st_dev
        if major := os.major(number):  # 0 is no device: tmpfs, overlay
            return (root / f"sys/dev/{kind}/{major}:{os.minor(number)}").resolve(strict=True)
    return None


def _hints(device: Path, root: Path, online: int) -> Iterator[Hint]:
    """What a device's directory says, or the nearest above it, or those of the devices that it is made of.

    A node without CPUs is no node that the kernel knows: firmware has put the number of a package there.
    """
    provider, nodes = "", 0
    for directory in _upwards(device, root / "sys/devices"):
        if parts := _parts(directory, root / "sys"):
            for part in parts:
                yield from _hints(part, root, online)
            return
        cpus = _members(directory / "local_cpulist")
        if online and not online & ~cpus:
            continue
        node = _node(directory / "numa_node")
        provider = provider or (f"/{directory.relative_to(root)}" if node or cpus else "")
        nodes = nodes or node
        if cpus:
            yield Hint(provider, cpus, nodes)
            return
    if nodes:
        yield Hint(provider, packages=nodes)


def _upwards(directory: Path, top: Path) -> Iterator[Path]:
    while top in directory.parents:
        yield directory
        directory = directory.parent


def _parts(directory: Path, sysfs: Path) -> list[Path]:
    """The devices that a device is made of, none for nearly all."""
    if directory.parent == sysfs / _VFIO:
        inside = sysfs / "kernel/iommu_groups" / directory.name / "devices"
    else:
        inside = directory / "slaves"
    with contextlib.suppress(OSError):
        return sorted(path.resolve() for path in inside.iterdir())
    return []


def _members(path: Path) -> int:
    with contextlib.suppress(BadInput):
        return files.members(str(path), default=0)
    return 0


def _node(path: Path) -> int:
    """The node in a file as a set: -1, and what is no number, are none."""
    with contextlib.suppress(BadInput):
        number = files.number(str(path), default=-1)
        return 1 << number if number >= 0 else 0
    return 0
