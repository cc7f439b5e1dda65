"""A forced configuration is read again on a signal: all of it is applied, or everything is as before and said so."""

import json
import signal
import socket
from pathlib import Path

import pytest

from unit.cli.daemons import Daemon

METRICS = "instrumentation:\n  HTTPEndpoint: unix://{}\n  PrometheusExport: true\n"


@pytest.fixture(name="daemon")
def _daemon(tmp_path):
    with Daemon(tmp_path, "--force-config", str(tmp_path / "forced.cfg")) as made:
        made.config.write_text("policy:\n  Active: none\n")
        yield made


def get(path: Path, target: str) -> tuple[int, str]:
    """Status and body."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(path))
        client.sendall(f"GET {target} HTTP/1.1\r\n\r\n".encode())
        answer = b""
        while chunk := client.recv(1 << 16):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()


def reload(daemon: Daemon, text: str | None, *, expecting: str, by: signal.Signals = signal.SIGHUP) -> None:
    """Change the file, send the signal and wait for the verdict."""
    before = daemon.log().count(expecting)
    if text is None:
        daemon.config.unlink()
    else:
        daemon.config.write_text(text)
    daemon.signal(by)
    daemon.wait(lambda: daemon.log().count(expecting) > before, f"{expecting} in the log")


def test_a_new_configuration_takes_effect(daemon, runtime):
    daemon.start()
    watched = daemon.root / "watched.sock"
    reload(daemon, METRICS.format(watched), expecting="config.applied")
    assert get(watched, "/healthz")[0] == 200
    assert "cri_resmgr_" in get(watched, "/metrics")[1]
    reload(daemon, "", expecting="config.applied")
    assert not watched.exists()


def test_a_dump_begins_and_ends_with_the_configuration(daemon, runtime):
    daemon.start()
    dump = daemon.root / "dump"
    with daemon.client() as client:
        client("ListPodSandbox")
        reload(daemon, f"dump:\n  Config: full:.*\n  File: {dump}\n", expecting="config.applied")
        client("ListPodSandbox")
        daemon.wait(lambda: dump.exists() and "ListPodSandbox" in dump.read_text(), "the dump")
        reload(daemon, "dump:\n  Config: off:.*\n", expecting="config.applied")
        size = dump.stat().st_size
        client("ListPodSandbox")
        assert daemon.stop() == 0
    assert dump.stat().st_size == size


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("policy: [", "forced.cfg"),
        ("policy:\n  Active: no-such-policy\n", "no-such-policy"),
        (None, "forced.cfg"),
        (METRICS.format("/proc/no/such.sock"), "/proc/no/such.sock"),
    ],
)
def test_a_configuration_that_cannot_be_used_leaves_everything_as_it_was(daemon, runtime, text, complaint):
    watched = daemon.root / "watched.sock"
    daemon.config.write_text(METRICS.format(watched))
    daemon.start()
    reload(daemon, text, expecting="config.rejected")
    assert complaint in daemon.log()
    status, body = get(watched, "/healthz")
    assert status == 503
    assert any(complaint in reason for reason in json.loads(body)["reasons"])
    with daemon.client() as client:
        assert client("Version").runtime_name == "containerd"
    reload(daemon, METRICS.format(watched), expecting="config.applied")
    assert get(watched, "/healthz")[0] == 200
    assert daemon.stop() == 0


def test_a_log_file_that_cannot_be_opened_leaves_the_rest_of_the_configuration_as_it_was(daemon, runtime):
    watched, moved = daemon.root / "watched.sock", daemon.root / "moved.sock"
    daemon.config.write_text(METRICS.format(watched))
    daemon.start()
    text = METRICS.format(moved) + "logger:\n  Klog:\n    logtostderr: false\n    log_file: /proc/no/such/file\n"
    reload(daemon, text, expecting="config.rejected")
    assert get(watched, "/healthz")[0] == 503
    assert not moved.exists()


def test_another_signal_may_be_chosen(daemon, runtime):
    daemon.start("--force-config-signal", "SIGUSR2")
    daemon.signal(signal.SIGHUP)
    daemon.wait_log("config.unchanged")
    reload(daemon, "", expecting="config.applied", by=signal.SIGUSR2)


def test_signals_that_come_faster_than_they_can_be_followed_hurt_nobody(daemon, runtime):
    daemon.start()
    for _ in range(50):
        daemon.signal(signal.SIGHUP)
    reload(daemon, "", expecting="config.applied")
    with daemon.client() as client:
        assert client("Version").runtime_name == "containerd"
    assert daemon.stop() == 0


def test_the_configuration_of_the_last_start_is_known_at_the_next_unless_it_has_changed(daemon, runtime):
    daemon.start()
    assert "config.read" in daemon.log()
    assert daemon.stop() == 0
    daemon.start()
    assert "config.known" in daemon.log()
    assert daemon.stop() == 0
    daemon.config.write_text("policy: [")
    assert "forced.cfg" in daemon.refused()
