"""A runtime and a kubelet from the future, both in grpc-go, with and without the relay between them.

`future check` calls methods, streams, metadata, statuses and message sizes that the relay has never heard of, and the
eight intercepted calls with fields that no CRI has.  What it sees through the relay must be what it sees directly.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import build
from equipment.processes import Processes, wait_for
from equipment.relay import Relay

pytestmark = [pytest.mark.needs_go, pytest.mark.timeout(600)]

CHECK_DEADLINE_S = 240
GROWING, FIXED = "0", "65535"
PINGED = "4 intercepted calls of 8 MiB"
"""A case that a test of its own is about."""


class Future:
    """The server of the future as a process, and its client."""

    def __init__(self, directory: Path) -> None:
        self.socket = directory / "runtime.sock"
        self._program = build.programs() / "future"
        self._processes = Processes(directory)

    def serve(self, window: str = GROWING) -> None:
        self._processes.start("future", [self._program, "serve", "-socket", self.socket, "-window", window])
        self._processes.wait_for("future", self.socket.exists, f"{self.socket}")

    def wait_gone(self) -> None:
        wait_for(lambda: not self._processes.alive("future"), "the server to end by itself")

    def call(self, verb: str, socket: Path, window: str = GROWING, case: str = "") -> dict[str, Any]:
        done = subprocess.run(
            [self._program, verb, "-socket", socket, "-window", window, "-case", case],
            check=False,
            capture_output=True,
            text=True,
            timeout=CHECK_DEADLINE_S,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def stop(self) -> None:
        self._processes.stop_all()


@pytest.fixture
def future(tmp_path: Path) -> Iterator[Future]:
    server = Future(tmp_path)
    try:
        yield server
    finally:
        server.stop()


def differences(direct: dict[str, Any], relayed: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {
        name: (direct.get(name), relayed.get(name))
        for name in direct | relayed
        if direct.get(name) != relayed.get(name)
    }


@pytest.mark.parametrize(
    ("server_window", "client_window"),
    [
        pytest.param(GROWING, GROWING, id="windows that grow"),
        pytest.param(FIXED, FIXED, id="fixed windows"),
        pytest.param(FIXED, GROWING, id="fixed at the server", marks=pytest.mark.slow),
        pytest.param(GROWING, FIXED, id="fixed at the client", marks=pytest.mark.slow),
    ],
)
def test_each_call_of_the_future_ends_through_the_relay_as_it_ends_directly(
    future: Future, tmp_path: Path, server_window: str, client_window: str
) -> None:
    future.serve(server_window)
    direct = future.call("check", future.socket, client_window)
    assert direct["mix of 200 callers"]["result"]["wrong"] == {}, "the battery itself is broken"
    with Relay(future.socket, tmp_path / "relay", "--allow-untested-runtimes") as relay:
        relayed = future.call("check", relay.socket, client_window)
        assert relay.alive
        assert "Traceback" not in relay.log()
    assert differences(direct, relayed) == {}


def test_a_long_reply_that_was_held_does_not_cost_the_connection(future: Future, tmp_path: Path) -> None:
    future.serve()
    with Relay(future.socket, tmp_path / "relay", "--allow-untested-runtimes") as relay:
        for _ in range(3):
            assert future.call("check", relay.socket, case=PINGED)[PINGED]["connections_lost"] == 0


def test_a_runtime_that_stops_gracefully_lets_calls_through_the_relay_finish(future: Future, tmp_path: Path) -> None:
    future.serve()
    direct = future.call("drain", future.socket)
    future.wait_gone()
    future.serve()
    with Relay(future.socket, tmp_path / "relay", "--allow-untested-runtimes") as relay:
        assert future.call("drain", relay.socket) == direct
        future.wait_gone()
        assert relay.alive
        future.serve()
        assert future.call("drain", relay.socket) == direct, "the next runtime on the same socket is served again"
    assert direct["drain"]["result"]["ends"] == {"OK after 1 replies": 20, "OK after 31 replies": 1}
