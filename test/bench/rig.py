"""A back end, a relay in front of it, and load on either: what every measurement stands on.

Both sockets lead to the same back end, so *direct* and *relayed* differ by the relay and by nothing else.
"""

import contextlib
import json
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from equipment.processes import Processes

DRIVE_DEADLINE_S = 600
READY_DEADLINE_S = 30

DAEMON = (
    f"{shlex.quote(str(Path(sys.executable).with_name('cri-resmgr')))} --runtime-socket {{runtime}}"
    " --relay-socket {relay} --relay-dir {dir}/relay --agent-socket disabled --config-socket disabled"
    " --pid-file {dir}/pid --allow-untested-runtimes"
)
"""The relay to measure; another one is named with the same three words in braces."""


@dataclass(frozen=True)
class Drive:
    """What one run of `drive` has seen."""

    done: int
    """Loads finished: calls, or pods."""
    calls_made: int
    elapsed_s: float
    per_s: float
    p50_ms: float
    call_p50_ms: dict[str, float]
    errors: int
    first_error: str

    @classmethod
    def parse(cls, text: str) -> "Drive":
        """The line that `drive` prints."""
        line: dict[str, Any] = json.loads(text)
        return cls(
            done=line["done"],
            calls_made=line["calls_made"],
            elapsed_s=line["elapsed_s"],
            per_s=line["per_s"],
            p50_ms=line["p50_ms"],
            call_p50_ms={name: times["p50_ms"] for name, times in line["calls"].items()},
            errors=line["errors"],
            first_error=line.get("first_error", ""),
        )


class Rig:
    """One back end and one relay, with their files in `directory`."""

    def __init__(self, directory: Path, programs: Path, relay_command: str) -> None:
        self.direct = directory / "runtime.sock"
        self.relayed = directory / "relay.sock"
        self.programs = programs
        self._processes = Processes(directory)
        filled = relay_command.format(runtime=self.direct, relay=self.relayed, dir=directory)
        self._relay_argv = shlex.split(filled)

    def start_backend(self, *flags: str) -> None:
        """Start the back end and wait until it takes connections."""
        self._processes.start("backend", [self.programs / "backend", "-socket", self.direct, *flags])
        self._await_connect("backend", self.direct)

    def start_relay(self) -> None:
        """Start the relay and wait until it takes connections."""
        # As installed: a daemon that compiles its sources at each start is nobody's.
        self._processes.start("relay", self._relay_argv, env={"PYTHONDONTWRITEBYTECODE": ""})
        self._await_connect("relay", self.relayed)

    def stop_relay(self) -> None:
        """End the relay in order; its files stay."""
        self._processes.stop("relay")

    @property
    def relay_pid(self) -> int:
        """Of the relay."""
        return self._processes.pid("relay")

    def relay_cpu_s(self) -> float:
        """Processor time, user and system, that the relay has used since its start."""
        times = psutil.Process(self.relay_pid).cpu_times()
        return times.user + times.system

    def relay_rss_bytes(self) -> int:
        """Resident memory of the relay now."""
        return psutil.Process(self.relay_pid).memory_info().rss

    def drive(self, path: Path, *flags: str) -> Drive:
        """Put load on one of the sockets."""
        return Drive.parse(self.output("drive", path, *flags))

    def output(self, program: str, path: Path, *flags: str) -> str:
        """What a load generator prints about one of the sockets."""
        done = subprocess.run(
            [self.programs / program, "-socket", path, *flags],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DRIVE_DEADLINE_S,
        )
        if done.returncode:
            relay_log = "\n".join(self._processes.log("relay").splitlines()[-20:])
            raise RuntimeError(
                f"{program} {' '.join(flags)}: {done.stderr.strip()}\n--- end of the relay's log:\n{relay_log}"
            )
        return done.stdout

    def stop(self) -> None:
        """End both."""
        self._processes.stop_all()

    def _await_connect(self, name: str, path: Path) -> None:
        self._processes.wait_for(name, lambda: connects(path), f"{path} to take connections", READY_DEADLINE_S)


def connects(path: Path) -> bool:
    """Somebody listens there."""
    with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
        client.settimeout(5)
        client.connect(str(path))
        return True
    return False


@dataclass(frozen=True)
class Bench:
    """What is measured, and how long."""

    programs: Path
    relay_command: str = DAEMON
    rounds: int = 5
    seconds: float = 1.5

    @contextlib.contextmanager
    def rig(self, *backend_flags: str, relay: bool = True) -> Iterator[Rig]:
        """A rig of its own for each measurement: none finds what another has left."""
        with tempfile.TemporaryDirectory(prefix="bench-") as directory:
            rig = Rig(Path(directory), self.programs, self.relay_command)
            try:
                rig.start_backend(*backend_flags)
                if relay:
                    rig.start_relay()
                yield rig
            finally:
                rig.stop()
