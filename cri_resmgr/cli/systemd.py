"""What the daemon says to systemd, and what systemd kept for it (sd_notify(3), sd_listen_fds(3), FDSTORE).

Without systemd every message goes nowhere.
"""

import array
import contextlib
import os
import socket
from collections.abc import MutableMapping
from dataclasses import dataclass

FIRST_FD = 3
MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class ServiceManager:
    """The service manager's notification socket, and how often it wants to hear from us."""

    address: str = ""
    watchdog_s: float | None = None

    def __bool__(self) -> bool:
        return bool(self.address)

    def notify(self, *lines: str, fd: int | None = None) -> None:
        """Send assignments such as `READY=1`, with a descriptor if one goes along."""
        if not self.address:
            return
        ancillary = [] if fd is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.sendmsg(["\n".join(lines).encode()], ancillary, 0, self.address)

    def keep(self, name: str, fd: int) -> None:
        """Keep a descriptor for the next start."""
        self.notify("FDSTORE=1", f"FDNAME={name}", "FDPOLL=0", fd=fd)

    def forget(self, name: str) -> None:
        """Close the kept descriptor of that name."""
        self.notify("FDSTOREREMOVE=1", f"FDNAME={name}")

    def extend(self, seconds: float) -> None:
        """Ask for more time, while starting or stopping."""
        self.notify(f"EXTEND_TIMEOUT_USEC={int(seconds * MICROSECONDS)}")


def service_manager(environment: MutableMapping[str, str]) -> ServiceManager:
    """The service manager as the environment tells; its variables are removed, so that children do not speak for us."""
    address = environment.pop("NOTIFY_SOCKET", "")
    watchdog_us = environment.pop("WATCHDOG_USEC", "")
    pid = environment.pop("WATCHDOG_PID", "")
    mine = not pid or pid == str(os.getpid())
    watchdog_s = int(watchdog_us) / MICROSECONDS if watchdog_us and mine else None
    return ServiceManager("\0" + address[1:] if address.startswith("@") else address, watchdog_s)


def kept_sockets(environment: MutableMapping[str, str]) -> dict[str, socket.socket]:
    """The sockets that systemd kept, by name."""
    pid = environment.pop("LISTEN_PID", "")
    count = int(environment.pop("LISTEN_FDS", "0"))
    names = environment.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()):
        return {}
    kept = {}
    for place in range(count):
        fd = FIRST_FD + place
        os.set_inheritable(fd, False)
        kept[names[place] if place < len(names) else f"fd{place}"] = socket.socket(fileno=fd)
    return kept
