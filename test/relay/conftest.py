"""The processes between which the relay stands."""

import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from relay.backend import UNLIMITED

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
DEADLINE_S = 30
OPTIONS = [*UNLIMITED, ("grpc.use_local_subchannel_pool", 1), ("grpc.default_authority", "localhost")]


class Process:
    """One of our scripts, ready once it has said so."""

    def __init__(self, script: str, *arguments: str) -> None:
        command = [sys.executable, str(HERE / script), *arguments]
        environment = os.environ | {"PYTHONPATH": f"{ROOT}:{HERE.parent}"}
        self._popen = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        self.pid = self._popen.pid
        assert self._popen.stdout
        if self._popen.stdout.readline() != "ready\n":
            raise RuntimeError(f"{script} did not start: {self.stop(signal.SIGKILL)}")

    def kept(self) -> dict[str, int]:
        """What a relay holds right now."""
        assert self._popen.stdout
        self._popen.send_signal(signal.SIGUSR1)
        for line in self._popen.stdout:
            if line.startswith("{"):  # among log lines
                return json.loads(line)
        raise RuntimeError("the relay has ended")

    def tell(self, number: int) -> None:
        self._popen.send_signal(number)

    def wait(self) -> int:
        self.stop(0)
        return self._popen.returncode

    def stop(self, number: int = signal.SIGTERM) -> str:
        """End it; what it wrote to stderr."""
        if self._popen.poll() is None:
            self._popen.send_signal(number)
        try:
            _, errors = self._popen.communicate(timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            _, errors = self._popen.communicate()
        return errors


class Wire:
    """A runtime, a relay in front of it, and channels to both."""

    def __init__(self, directory: Path) -> None:
        self.path, self.runtime_path = str(directory / "relay.sock"), str(directory / "runtime.sock")
        self.runtime = Process("backend.py", self.runtime_path)
        self.relay = Process("served.py", self.path, self.runtime_path)

    def channel(self, *, direct: bool = False) -> grpc.Channel:
        """A connection of its own."""
        return grpc.insecure_channel(f"unix:{self.runtime_path if direct else self.path}", options=OPTIONS)

    def stats(self) -> dict[str, int]:
        """What the runtime has seen, asked for directly."""
        with self.channel(direct=True) as channel:
            return json.loads(channel.unary_unary("/t/Stats")(b"", wait_for_ready=True, timeout=DEADLINE_S))

    def restart_runtime(self) -> None:
        self.runtime.stop()
        self.runtime = Process("backend.py", self.runtime_path)

    def restart_relay(self) -> None:
        """A successor that takes over the path; the old one goes on."""
        self.relay = Process("served.py", self.path, self.runtime_path)

    def stop(self) -> None:
        self.relay.stop(signal.SIGKILL)
        self.runtime.stop(signal.SIGKILL)


def eventually(condition: Callable[[], object], what: str) -> None:
    """Wait until it is so."""
    end_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end_s, f"waited {DEADLINE_S} s for {what}"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def shared_wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """For tests that leave it as it was."""
    wire = Wire(tmp_path_factory.mktemp("w"))
    yield wire
    wire.stop()


@pytest.fixture
def wire(shared_wire: Wire) -> Iterator[Wire]:
    """The shared one, checked afterwards: whatever a test did, nothing of it is left."""
    yield shared_wire
    gc.collect()  # a failed call of grpcio is a cycle that keeps its connection
    eventually(lambda: shared_wire.relay.kept()["links_open"] == 0, f"links to end: {shared_wire.relay.kept()}")
    kept = shared_wire.relay.kept()
    assert (kept["calls_held"], kept["links"], kept["live"]) == (0, 0, 0)
    assert kept["tasks"] == 1


@pytest.fixture
def own_wire(tmp_path: Path) -> Iterator[Wire]:
    """For tests that stop or restart something."""
    wire = Wire(tmp_path)
    yield wire
    wire.stop()
