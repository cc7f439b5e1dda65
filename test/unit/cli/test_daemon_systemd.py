"""What the daemon says to systemd, and that it goes on with the socket that systemd kept."""

import array
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from doubles.runtime import FakeRuntime, served
from unit.cli.daemons import Daemon, run_pod

NAMED = "FDNAME="
# What systemd does between fork and exec: the kept descriptor becomes number 3, and the variables name the process.
AS_SYSTEMD_STARTS = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3);"
    "os.environ |= {'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '1', 'LISTEN_FDNAMES': sys.argv[2]};"
    "os.execv(sys.argv[3], sys.argv[3:])"
)


class Systemd:
    """The service manager's end of sd_notify(3): what it was told, and what it keeps."""

    def __init__(self, path: Path) -> None:
        self.environment = {"NOTIFY_SOCKET": str(path)}
        self.told: list[str] = []
        self.kept: dict[str, socket.socket] = {}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))

    def receive(self) -> None:
        """Take one message."""
        data, ancillary, _, _ = self._socket.recvmsg(4096, socket.CMSG_SPACE(4))
        lines = data.decode().split("\n")
        self.told += lines
        for _, kind, payload in ancillary:
            if kind == socket.SCM_RIGHTS:
                fd = array.array("i", payload)[0]
                (name,) = (line.removeprefix(NAMED) for line in lines if line.startswith(NAMED))
                self.kept[name] = socket.socket(fileno=fd)

    def until(self, condition: Callable[[], object]) -> None:
        """Listen until something has been said."""
        self._socket.settimeout(60)
        while not condition():
            self.receive()

    def drained(self) -> list[str]:
        """Everything that has been said."""
        self._socket.settimeout(0)
        with suppress(BlockingIOError):
            while True:
                self.receive()
        return self.told

    def close(self) -> None:
        for kept in self.kept.values():
            kept.close()
        self._socket.close()


@pytest.fixture(name="systemd")
def _systemd(tmp_path):
    made = Systemd(tmp_path / "notify")
    yield made
    made.close()


def with_kept(daemon: Daemon, systemd: Systemd) -> Daemon:
    """Start the daemon as systemd does, with the descriptor that it keeps."""
    ((name, kept),) = systemd.kept.items()
    wrapper = (sys.executable, "-c", AS_SYSTEMD_STARTS, str(kept.fileno()), name)
    return daemon.begin(env=systemd.environment, wrapper=wrapper, fds=(kept.fileno(),))


def test_it_says_when_it_is_ready_and_when_it_stops(daemon, runtime, systemd):
    daemon.start(env=systemd.environment)
    systemd.until(lambda: "READY=1" in systemd.told)
    assert "STATUS=policy none" in systemd.told
    assert "STOPPING=1" not in systemd.told
    assert daemon.stop() == 0
    assert systemd.drained().index("READY=1") < systemd.told.index("STOPPING=1")


def test_it_is_not_ready_before_the_runtime_is_and_asks_for_more_time(daemon, systemd):
    daemon.begin(env=systemd.environment)
    systemd.until(lambda: any(line.startswith("EXTEND_TIMEOUT_USEC=") for line in systemd.told))
    systemd.until(lambda: any(f"waiting for {daemon.runtime_socket}" in line for line in systemd.told))
    assert "READY=1" not in systemd.told
    with served(FakeRuntime(), daemon.runtime_socket):
        systemd.until(lambda: "READY=1" in systemd.told)


def test_it_tells_the_watchdog_that_it_lives(daemon, runtime, systemd):
    daemon.start(env=systemd.environment | {"WATCHDOG_USEC": "300000"})
    systemd.until(lambda: systemd.told.count("WATCHDOG=1") >= 5)


def test_a_watchdog_for_somebody_else_is_none_of_its_business(daemon, runtime, systemd):
    daemon.start(env=systemd.environment | {"WATCHDOG_USEC": "300000", "WATCHDOG_PID": "1"})
    with daemon.client() as client:
        run_pod(client)
    assert daemon.stop() == 0
    assert "WATCHDOG=1" not in systemd.drained()


def test_it_reports_a_reload_from_beginning_to_end(daemon, runtime, systemd):
    daemon.config.write_text("")
    daemon.start("--force-config", str(daemon.config), env=systemd.environment)
    systemd.until(lambda: "READY=1" in systemd.told)
    daemon.config.write_text("policy: [")
    daemon.signal(1)
    systemd.until(lambda: systemd.told.count("READY=1") == 2)
    assert "RELOADING=1" in systemd.told
    assert any(line.startswith("MONOTONIC_USEC=") for line in systemd.told)


def test_the_descriptor_is_given_away_before_anything_is_served(daemon, systemd):
    daemon.begin(env=systemd.environment)
    systemd.until(lambda: systemd.kept)
    assert {"FDSTORE=1", "FDPOLL=0"} <= set(systemd.told)
    status = daemon.socket.stat()
    assert list(systemd.kept) == [f"relay-{status.st_dev}-{status.st_ino}"]


def test_clients_that_come_between_a_crash_and_the_next_start_are_served(daemon, runtime, systemd):
    daemon.start(env=systemd.environment)
    systemd.until(lambda: systemd.kept)
    inode = daemon.socket.stat().st_ino
    daemon.kill()
    with daemon.client() as client:
        waiting = client.start("Version", deadline_s=60)
        with_kept(daemon, systemd)
        assert waiting.result().runtime_name == "containerd"
    assert daemon.socket.stat().st_ino == inode
    assert "kept=True" in daemon.log()
    assert systemd.drained().count("FDSTORE=1") == 1


def test_under_systemd_the_path_stays_for_the_next_start(daemon, runtime, systemd):
    daemon.start(env=systemd.environment)
    assert daemon.stop() == 0
    assert daemon.socket.is_socket()
    assert not daemon.pid_file.exists()


def test_a_kept_socket_that_is_not_at_the_path_any_more_is_given_back(daemon, runtime, systemd):
    daemon.start(env=systemd.environment)
    systemd.until(lambda: systemd.kept)
    name = next(iter(systemd.kept))
    daemon.kill()
    daemon.socket.unlink()
    with_kept(daemon, systemd)
    systemd.until(lambda: f"{NAMED}{name}" in systemd.told and "FDSTOREREMOVE=1" in systemd.told)
    systemd.until(lambda: len(systemd.kept) == 2)
    with daemon.client() as client:
        assert client("Version", deadline_s=60).runtime_name == "containerd"


def test_descriptors_for_somebody_else_are_left_alone(daemon, runtime, systemd):
    daemon.start(env=systemd.environment | {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "x"})
    assert "kept=False" in daemon.log()
    with daemon.client() as client:
        assert client("Version").runtime_name == "containerd"


def test_a_service_manager_that_is_gone_keeps_nobody_from_working(daemon, runtime):
    daemon.start(env={"NOTIFY_SOCKET": str(daemon.root / "nobody"), "WATCHDOG_USEC": "50000"})
    with daemon.client() as client:
        assert client("Version").runtime_name == "containerd"
    assert daemon.stop() == 0
