"""The daemon under test as a process of its own, between a runtime and whoever connects.

with Relay(runtime.socket, tmp_path) as relay:
    CriClient(relay.socket)
"""

import contextlib
import socket
import sys
from pathlib import Path

from equipment.processes import Processes

START_DEADLINE_S = 30
_DAEMON = "cri-resmgr"


class Relay:
    """One daemon with all its files in `root`; `flags` are added to those that say where things are."""

    def __init__(self, runtime_socket: Path, root: Path, *flags: str) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.socket = root / "relay.sock"
        self.root = root
        self._processes = Processes(root)
        self._command = [
            Path(sys.executable).with_name("cri-resmgr"),
            *("--runtime-socket", runtime_socket),
            *("--relay-socket", self.socket),
            *("--relay-dir", root / "relay"),
            *("--agent-socket", "disabled"),
            *("--config-socket", "disabled"),
            *("--pid-file", root / "pid"),
            *flags,
        ]

    @property
    def pid(self) -> int:
        """Of the daemon."""
        return self._processes.pid(_DAEMON)

    @property
    def alive(self) -> bool:
        """It runs."""
        return self._processes.alive(_DAEMON)

    def start(self) -> None:
        """Start the daemon and wait until it takes connections."""
        self._processes.start(_DAEMON, self._command)
        self.wait_ready()

    def wait_ready(self, deadline_s: float = START_DEADLINE_S) -> None:
        """Wait until it takes connections: the socket's file alone may be one that a dead daemon has left."""
        self._processes.wait_for(_DAEMON, self._connects, "the relay to take connections", deadline_s)

    def stop(self) -> None:
        """End the daemon as `systemctl stop` does; its files stay."""
        self._processes.stop(_DAEMON)

    def kill(self) -> None:
        """End the daemon as a crash would."""
        self._processes.kill(_DAEMON)

    def restart(self) -> None:
        """End the daemon in order, start it again."""
        self.stop()
        self.start()

    def log(self) -> str:
        """What the daemon has said, over all its starts."""
        return self._processes.log(_DAEMON)

    def __enter__(self) -> "Relay":
        try:
            self.start()
        except BaseException:
            self._processes.stop_all()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._processes.stop_all()

    def _connects(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
            client.settimeout(5)
            client.connect(str(self.socket))
            return True
        return False
