"""What the daemon refuses: exit code 2, what is wrong, where, and what to do; and nothing is changed."""

import os
import socket
import sqlite3
import threading
from contextlib import closing

import pytest

from cri_resmgr.cri import methods
from cri_resmgr.wire.grpc import UNIMPLEMENTED
from doubles.runtime import StatusError
from unit.cli.daemons import Daemon


def nothing_was_made(daemon: Daemon) -> bool:
    return {path.name for path in daemon.root.iterdir()} <= {"log", "runtime.sock", "forced.cfg"}


# ---- configuration and flags: nothing is touched


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("policy: [", "forced.cfg"),
        ("policy:\n  Active: no-such-policy\n", "no-such-policy"),
        ("polisy: {}\n", "polisy"),
        ("dump:\n  Config: full:((\n", "dump"),
        ("logger:\n  Debug: 7\n  Level: [x]\n", "logger"),
        ("\x00", "forced.cfg"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused_before_anything_is_made(daemon, runtime, text, complaint):
    daemon.config.write_text(text)
    said = daemon.refused("--force-config", str(daemon.config))
    assert complaint in said
    assert nothing_was_made(daemon)


def test_a_configuration_that_is_not_there_is_refused(daemon, runtime):
    said = daemon.refused("--fallback-config", "/nowhere/fallback.cfg")
    assert "/nowhere/fallback.cfg" in said
    assert nothing_was_made(daemon)


@pytest.mark.parametrize(
    ("flag", "value", "why"),
    [
        ("--agent-socket", "/run/agent.sock", "the agent uses -config-socket"),
        ("--external-visualizers", "/srv", "there is one page, and it is built in"),
    ],
)
def test_a_flag_of_a_later_version_is_refused_with_the_reason(daemon, runtime, flag, value, why):
    said = daemon.refused(*([flag, value] if value else [flag]))
    assert flag.strip("-") in said
    assert why in said
    assert nothing_was_made(daemon)


@pytest.mark.parametrize(
    "flags",
    [
        ("--relay-socket", "relative.sock"),
        ("--relay-dir", "relative"),
        ("--call-budget", "0"),
        ("--rebalance-interval", "10ms"),
        ("--force-config", "/a", "--fallback-config", "/b"),
        ("--no-such-flag",),
        ("no-such-verb",),
    ],
)
def test_a_command_line_that_makes_no_sense_is_refused(daemon, runtime, flags):
    assert daemon.refused(*flags)
    assert nothing_was_made(daemon)


def test_a_host_root_without_sys_is_refused(daemon, runtime):
    said = daemon.refused("--host-root", str(daemon.root))
    assert f"there is no {daemon.root}/sys" in said
    assert nothing_was_made(daemon)


# ---- the socket's place


def test_a_second_daemon_is_refused_and_the_first_one_named(daemon, runtime):
    daemon.start()
    with Daemon(daemon.root) as second:
        said = second.refused("--pid-file", str(daemon.root / "pid2"), "--relay-dir", str(daemon.root / "relay2"))
    assert f"already served by process {daemon.pid}" in said
    with Daemon(daemon.root) as second:
        assert f"process {daemon.pid} is alive" in second.refused()
    assert int(daemon.pid_file.read_text()) == daemon.pid
    assert not (daemon.root / "pid2").exists()
    with daemon.client() as client:
        assert client("Version").runtime_name == "containerd"


def test_a_second_daemon_on_the_same_state_is_refused(daemon, runtime):
    daemon.start()
    with Daemon(daemon.root) as second:
        said = second.refused("--pid-file", str(daemon.root / "p2"), "--relay-socket", str(daemon.root / "s2"))
    assert f"in use by pid {daemon.pid}" in said
    assert not (daemon.root / "s2").exists()


def test_a_directory_at_the_sockets_path_stays(daemon, runtime):
    (daemon.socket / "precious").mkdir(parents=True)
    assert "is a directory" in daemon.refused()
    assert (daemon.socket / "precious").is_dir()


def test_a_file_at_the_sockets_path_stays(daemon, runtime):
    daemon.socket.write_text("precious")
    assert "not a socket" in daemon.refused()
    assert daemon.socket.read_text() == "precious"


def test_the_socket_of_another_living_program_stays_and_goes_on(daemon, runtime):
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(daemon.socket))
        other.listen()
        inode = daemon.socket.stat().st_ino
        assert "another program listens" in daemon.refused()
        assert daemon.socket.stat().st_ino == inode
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(daemon.socket))


@pytest.mark.parametrize("kind", ["file", "missing-parent-is-a-file", "too-long"])
def test_a_place_where_no_socket_can_be_is_refused(daemon, runtime, kind):
    (daemon.root / "file").write_text("x")
    path = {"file": "file/x.sock", "missing-parent-is-a-file": "file/a/b/x.sock", "too-long": "x" * 120}[kind]
    said = daemon.refused("--relay-socket", str(daemon.root / path))
    assert path in said
    assert not daemon.pid_file.exists()


def test_a_lock_that_cannot_be_made_is_refused(daemon, runtime):
    (daemon.root / "relay.sock.lock").mkdir()
    assert "relay.sock.lock" in daemon.refused()


# ---- the PID file's place


@pytest.mark.parametrize("left", [b"precious notes\n", b"-1\n", b"12 34\n", b"\xff\xfe\x00", b"0\n", b"9" * 100])
def test_a_pid_file_that_is_none_of_ours_stays(daemon, runtime, left):
    daemon.pid_file.write_bytes(left)
    said = daemon.refused()
    assert "holds no process id" in said
    assert daemon.pid_file.read_bytes() == left
    assert not daemon.socket.exists()


def test_a_pid_file_of_a_living_process_stays(daemon, runtime):
    daemon.pid_file.write_text(f"{os.getpid()}\n")
    assert f"process {os.getpid()} is alive" in daemon.refused()
    assert daemon.pid_file.read_text() == f"{os.getpid()}\n"


def test_a_directory_in_place_of_the_pid_file_stays(daemon, runtime):
    daemon.pid_file.mkdir()
    assert "--pid-file" in daemon.refused()
    assert daemon.pid_file.is_dir()


# ---- the runtime


def test_a_runtime_that_nobody_has_tested_is_refused_with_the_flag_that_takes_it(daemon, runtime):
    runtime.name = "frakti"
    said = daemon.refused()
    assert "'frakti'" in said
    assert "--allow-untested-runtimes" in said
    assert not daemon.socket.exists()
    assert not daemon.pid_file.exists()


def test_an_untested_runtime_is_taken_when_the_user_says_so(daemon, runtime):
    runtime.name = "frakti"
    daemon.start("--allow-untested-runtimes")
    assert "runtime.untested" in daemon.log()
    with daemon.client() as client:
        assert client("Version").runtime_name == "frakti"


def test_a_server_without_cri_is_refused(daemon, runtime):
    runtime.refused[methods.VERSION] = StatusError(UNIMPLEMENTED, "unknown service runtime.v1.RuntimeService")
    said = daemon.refused()
    assert "does not speak CRI v1" in said
    assert "unknown service" in said
    assert "with its CRI plugin enabled?" in said


def test_a_server_that_answers_nonsense_is_refused(daemon, runtime):
    runtime.answer = lambda *_: b"\xff\xff\xff"
    assert "does not speak CRI v1" in daemon.refused()


def test_a_server_of_another_protocol_is_refused(daemon):
    with closing(socket.socket(socket.AF_UNIX)) as docker:
        docker.bind(str(daemon.runtime_socket))
        docker.listen()
        docker.settimeout(60)

        def answer():
            connection, _ = docker.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\r\n400 Bad Request")
                connection.settimeout(60)
                while connection.recv(4096):
                    pass

        thread = threading.Thread(target=answer)
        thread.start()
        said = daemon.refused()
        thread.join()
    assert "does not speak CRI v1" in said
    assert "not HTTP/2" in said


# ---- the state


def test_state_of_a_newer_version_stays_untouched(daemon, runtime):
    daemon.start()
    assert daemon.stop() == 0
    store = daemon.relay_dir / "state.db"
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
    before = store.read_bytes()
    said = daemon.refused()
    assert "schema version 99" in said
    assert "install the version that wrote it" in said
    assert store.read_bytes() == before
    assert not daemon.socket.exists()


def test_a_file_in_place_of_the_state_directory_stays(daemon, runtime):
    daemon.relay_dir.write_text("precious")
    assert "not a directory" in daemon.refused()
    assert daemon.relay_dir.read_text() == "precious"


def test_a_state_directory_that_others_may_write_to_is_refused(daemon, runtime):
    daemon.relay_dir.mkdir()
    daemon.relay_dir.chmod(0o777)
    assert "chmod go-w" in daemon.refused()
    assert not list(daemon.relay_dir.iterdir())


# ---- where it is watched


def test_a_place_where_it_cannot_be_watched_is_refused(daemon, runtime):
    taken = daemon.root / "taken"
    taken.mkdir()
    said = daemon.refused("--metrics-address", f"unix://{taken}")
    assert str(taken) in said
    assert "another place" in said


def test_after_a_refusal_the_right_input_works(daemon, runtime):
    daemon.refused("--host-root", str(daemon.root))
    daemon.start("--host-root", "/")
    with daemon.client() as client:
        assert client("Version").runtime_name == "containerd"
