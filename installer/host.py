"""What the host does for us: its systemd, its processes, its sockets.  The only module that runs anything.

`host_root` is where its root is mounted.  Commands run chrooted there; in a pod that takes `hostPID`, or systemctl
would believe that it is not on the host.
"""

import contextlib
import http.client
import os
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from installer import cri_version, files
from installer.cri_version import Runtime
from installer.errors import Failed

COMMAND_DEADLINE_S = 120.0
CALL_DEADLINE_S = 5.0
CONNECTED = "03"  # in /proc/net/unix
# A daemon binds aside and renames, and the kernel keeps the first name.
_RELAY = re.compile(r"(/var)?/run/cri-resmgr/\.?cri-resmgr\.sock(\.\d+)?")


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as systemd sees it; `command` is its ExecStart as written."""

    loaded: bool
    state: str
    pid: int
    command: str

    @property
    def active(self) -> bool:
        """It runs, and has said that it is ready."""
        return self.state in {"active", "reloading"}

    @property
    def wanted(self) -> bool:
        """Nobody has stopped it; whether it gets on is another question."""
        return self.loaded and self.state != "inactive"


class Host:
    """The real one."""

    def __init__(self, root: Path) -> None:
        """`root` is its root directory as we see it."""
        self.root = root

    def unit(self, name: str) -> Unit:
        """What systemd knows of a unit."""
        names = ("LoadState", "ActiveState", "MainPID", "ExecStart")
        text = self.systemctl("show", *(f"--property={one}" for one in names), "--", name)
        lines = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        loaded = lines.get("LoadState") == "loaded"
        return Unit(loaded, lines.get("ActiveState", ""), int(lines.get("MainPID") or 0), lines.get("ExecStart", ""))

    def systemctl(self, *words: str) -> str:
        """What systemctl prints; Failed when it fails."""
        code, text = self.run("systemctl", *words)
        if code:
            raise Failed(f"systemctl {' '.join(words)} ended with {code}: {text.strip()}")
        return text

    def run(self, *command: str) -> tuple[int, str]:
        """Run a command of the host; its exit code, and what it said."""
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                timeout=COMMAND_DEADLINE_S, preexec_fn=self._enter, env=_environment(),
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            raise Failed(f"{' '.join(command)}: {error}; it must work on the host") from error
        return done.returncode, done.stdout.decode(errors="replace")

    def arguments(self, pid: int) -> tuple[str, ...]:
        """A process's command line; empty when there is none."""
        try:
            text = (self.root / f"proc/{pid}/cmdline").read_bytes()
        except OSError:
            return ()
        return tuple(text.decode(errors="replace").rstrip("\0").split("\0"))

    def runtime(self, socket: str) -> Runtime:
        """Who answers CRI's Version call on a socket of the host; Failed when nobody does."""
        try:
            return cri_version.ask(files.inside(self.root, socket), deadline_s=CALL_DEADLINE_S)
        except (OSError, ValueError) as error:
            raise Failed(f"{socket}: no CRI runtime answers: {error}") from error

    def says_healthy(self, port: int) -> bool:
        """The kubelet's own word on 127.0.0.1."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=CALL_DEADLINE_S)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/healthz")
            return connection.getresponse().status == http.client.OK
        return False

    def relay_connections(self) -> int:
        """How many clients are connected to the relay's socket."""
        lines = (self.root / "proc/1/net/unix").read_text(errors="replace").splitlines()
        rows = (line.split(None, 7) for line in lines)
        return sum(len(row) > 7 and row[5] == CONNECTED and bool(_RELAY.fullmatch(row[7])) for row in rows)  # noqa: PLR2004

    def wait(self, condition: Callable[[], bool], deadline_s: float) -> float | None:
        """Ask again and again; the seconds that it took, or None at the deadline."""
        begun_s = time.monotonic()
        while not condition():
            if time.monotonic() - begun_s > deadline_s:
                return None
            time.sleep(0.05)
        return time.monotonic() - begun_s

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)

    def _enter(self) -> None:
        if self.root != Path("/"):
            os.chroot(self.root)
        os.chdir("/")


def _environment() -> dict[str, str]:
    """The host's programs, none of a container's settings."""
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
