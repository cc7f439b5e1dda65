"""The first process of a guest, and what comes with it: systemd, or next to nothing.

With each comes one of the two ways in which runtimes drive control groups, and so different paths below the mount.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Init:
    """A first process, and what comes with it."""

    name: str
    program: str
    cgroup_driver: str
    start_containerd: str
    """A shell command, once the agent answers; it returns."""
    containerd_log: str
    """A command that prints it."""


SYSTEMD = Init(
    "systemd",
    "/lib/systemd/systemd",
    "systemd",
    "systemctl is-system-running --wait || true; systemctl start containerd",
    "journalctl --no-pager --unit containerd",
)
MINIMAL = Init(
    "minimal",
    "/sbin/minimal-init",
    "cgroupfs",
    "containerd --config /etc/containerd/cgroupfs.toml >/var/log/containerd.log 2>&1 </dev/null &",
    "cat /var/log/containerd.log",
)
INITS = {init.name: init for init in (SYSTEMD, MINIMAL)}
