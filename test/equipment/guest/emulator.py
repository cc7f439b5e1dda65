"""QEMU as a process of ours: what its monitor is told, and jobs for the agent in the guest.

Both are sockets with a JSON object on each line.  The monitor answers in order; the agent when a job is done.
"""

import itertools
import json
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from equipment.guest import JobFailed, Lost
from equipment.guest.command import Places
from equipment.processes import POLL_S, Processes

NAME = "qemu"
CONNECT_DEADLINE_S = 30
MONITOR_DEADLINE_S = 120
GRACE_S = 60
"""How much longer than a job's own deadline its answer may take, under emulation and load, until the guest is Lost."""


class Monitor:
    """QMP: one command after another."""

    def __init__(self, connected: socket.socket) -> None:
        """Take over a connection; it begins with a greeting."""
        connected.settimeout(MONITOR_DEADLINE_S)
        self._socket = connected
        self._lines = connected.makefile("r")
        self._next()
        self("qmp_capabilities")

    def __call__(self, command: str, **arguments: Any) -> Any:
        """What QEMU returns for the command; raises JobFailed when it refuses, Lost when it is gone."""
        request = {"execute": command, "arguments": {name.replace("_", "-"): each for name, each in arguments.items()}}
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise Lost(f"the monitor is gone before {command}: {error}") from error
        while True:
            answer = self._next()
            if "error" in answer:
                raise JobFailed(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def close(self) -> None:
        """Let go of the connection."""
        self._lines.close()
        self._socket.close()

    def _next(self) -> Any:
        """The next answer or event."""
        try:
            line = self._lines.readline()
        except OSError as error:
            raise Lost(f"the monitor does not answer: {error}") from error
        if not line:
            raise Lost("the monitor has ended")
        return json.loads(line)


class Jobs:
    """The host's end of the agent; any thread may ask."""

    def __init__(self, connected: socket.socket, *, grace_s: float = GRACE_S) -> None:
        """Take over a connection."""
        self._socket, self._grace_s = connected, grace_s
        self._numbers = itertools.count(1)
        self._answers: dict[int, Any] = {}
        self._changed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, name="jobs", daemon=True)
        self._reader.start()

    def __call__(self, do: str, *, deadline_s: float = 60, **fields: Any) -> Any:
        """The agent's answer; raises JobFailed when the agent could not do it, Lost when it says nothing."""
        number = next(self._numbers)
        job = {"id": number, "do": do, "deadline_s": deadline_s, **fields}
        try:
            self._socket.sendall(json.dumps(job).encode() + b"\n")
        except OSError as error:
            raise Lost(f"the guest is gone before {_short(job)}: {error}") from error
        with self._changed:
            self._changed.wait_for(lambda: number in self._answers or self._ended, deadline_s + self._grace_s)
            answer = self._answers.pop(number, None)
        if answer is None:
            raise Lost(f"the guest {'has ended' if self._ended else 'does not answer'} during {_short(job)}")
        if "error" in answer:
            raise JobFailed(f"{_short(job)}: {answer['error']}")
        return answer

    def close(self) -> None:
        """Let go of the connection."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._socket.close()

    def _read(self) -> None:
        with self._socket.makefile("rb") as lines:
            for line in lines:
                answer = json.loads(line)
                with self._changed:
                    self._answers[answer["id"]] = answer
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class Emulator:
    """One QEMU, from `start` to `close`; its directory is `places.run`."""

    def __init__(self, places: Places) -> None:
        """Take over the directory from an earlier run; nothing runs yet."""
        self.places = places
        self._processes = Processes(places.run)
        self.monitor: Monitor
        self.jobs: Jobs
        self._open: list[Monitor | Jobs] = []

    def start(self, argv: Sequence[str]) -> None:
        """Start it and connect to both of its sockets; raises Lost with QEMU's words when it ends at once."""
        for left in (self.places.monitor, self.places.jobs, self.places.console):
            left.unlink(missing_ok=True)
        # QEMU ends with the thread that has started it: a killed run leaves no machine that computes for nobody.
        self._processes.start(NAME, ["setpriv", "--pdeathsig", "KILL", *argv])
        self.monitor = Monitor(self._connect(self.places.monitor))
        self._open.append(self.monitor)
        self.jobs = Jobs(self._connect(self.places.jobs))
        self._open.append(self.jobs)

    def close(self) -> None:
        """End it, however far it has come, and give the directory free."""
        for each in self._open:
            each.close()
        self._open = []
        self._processes.kill(NAME)
        self._processes.stop_all()

    def _connect(self, path: Path) -> socket.socket:
        end_s = time.monotonic() + CONNECT_DEADLINE_S
        while True:
            client = socket.socket(socket.AF_UNIX)
            try:
                client.connect(str(path))
            except OSError as error:
                client.close()
                if not self._processes.alive(NAME) or time.monotonic() > end_s:
                    raise Lost(f"no QEMU at {path}: {error}\n{self._processes.log(NAME)[-2000:]}") from error
                time.sleep(POLL_S)
            else:
                return client


def _short(job: dict[str, Any]) -> str:
    return json.dumps(job)[:300]
