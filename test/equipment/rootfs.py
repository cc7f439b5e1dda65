"""A Debian root file system with systemd, containerd and Python: made once by mmdebstrap, then only read.

Sandboxes put an overlay over it.  It is kept under a name that follows from the package list, so a changed list makes
a new one.
"""

import subprocess
from pathlib import Path

from equipment import Unavailable, cache, machine

SUITE = "bookworm"
PACKAGES = (
    "systemd-sysv",
    "dbus",
    "containerd",
    "runc",
    "containernetworking-plugins",
    "iproute2",
    "procps",
    "kmod",
    "util-linux",
    "python3",  # runs our daemon
)
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")
DEADLINE_S = 1800


def rootfs(packages: tuple[str, ...] = PACKAGES) -> Path:
    """The root file system with these packages; raises Unavailable where it cannot be made."""
    digest = cache.key(SUITE, *packages, *LEFT_OUT)
    return cache.entry("rootfs", digest, lambda place: _bootstrap(place, packages), about="2 min")


def _bootstrap(place: Path, packages: tuple[str, ...]) -> None:
    machine.ensure_apt("mmdebstrap")
    # No mirror is named, so the machine's own apt sources are used.  Root mode mounts in a name space of its own:
    # an interrupted run leaves no mounts below `place`.
    done = subprocess.run(
        ["mmdebstrap", "--variant=minbase", "--mode=root", "--format=directory", f"--include={','.join(packages)}",
         *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT), SUITE, place],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    if done.returncode:
        raise Unavailable(f"mmdebstrap failed; do apt-get update and apt-get install work?\n{done.stderr[-4000:]}")
