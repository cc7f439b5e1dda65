"""The life of the daemon as a process: it starts, relays, remembers, drains, and leaves nothing behind."""

import os
import signal
import socket
import sqlite3
import stat
from contextlib import closing

import grpc
import pytest

from cri_resmgr.cri import methods
from doubles.runtime import FakeRuntime, served
from unit.cli.daemons import Daemon, run_pod, wait_called

SLOW_S = 2.0
SECRET = "c2VjcmV0LXRva2Vu"  # noqa: S105 - nobody's


def rows(daemon: Daemon) -> list[tuple]:
    """What the store says of containers."""
    with closing(sqlite3.connect(daemon.relay_dir / "state.db")) as connection:
        return connection.execute("SELECT id, state, asked_cpu_shares, adopted FROM containers").fetchall()


# ---- coming


def test_a_kubelet_reaches_the_runtime_through_the_daemon(daemon, runtime):
    daemon.start()
    with daemon.client() as client:
        assert client("Version").runtime_name == "containerd"
        pod_id, container_id = run_pod(client)
    assert (set(runtime.pods), set(runtime.containers)) == ({pod_id}, {container_id})


def test_while_it_runs_pid_file_socket_and_lock_are_there_with_their_modes(daemon, runtime):
    daemon.start()
    assert int(daemon.pid_file.read_text()) == daemon.pid
    modes = {name: stat.filemode((daemon.root / name).stat().st_mode) for name in ("relay.sock", "pid", "relay")}
    assert modes == {"relay.sock": "srw-rw----", "pid": "-rw-r--r--", "relay": "drwx--x---"}
    assert int((daemon.root / "relay.sock.lock").read_text()) == daemon.pid


def test_it_waits_for_a_runtime_that_is_not_there_yet_and_clients_wait_with_it(daemon):
    daemon.begin()
    daemon.wait_log("runtime.awaited")
    with daemon.client() as client:
        early = client.start("Version", deadline_s=60)
        with served(FakeRuntime(), daemon.runtime_socket):
            assert early.result().runtime_name == "containerd"
    told = [daemon.log().index(event) for event in ("runtime.awaited", "runtime.met", "daemon.ready")]
    assert told == sorted(told)


def test_it_can_be_stopped_while_it_waits_for_the_runtime(daemon):
    daemon.begin()
    daemon.wait_log("runtime.awaited")
    assert daemon.stop() == 0
    assert not daemon.socket.exists()
    assert not daemon.pid_file.exists()


def test_the_socket_of_a_dead_daemon_is_taken_over(daemon, runtime):
    daemon.start()
    daemon.kill()
    assert daemon.socket.exists()
    daemon.start()
    with daemon.client() as client:
        assert client("Version").runtime_name == "containerd"


@pytest.mark.parametrize("left", [b"", b"\n", b"999999999\n"], ids=["empty", "blank", "of-the-dead"])
def test_a_pid_file_that_names_nobody_who_lives_is_taken_over(daemon, runtime, left):
    daemon.pid_file.write_bytes(left)
    daemon.start()
    assert int(daemon.pid_file.read_text()) == daemon.pid


def test_directories_that_are_missing_are_made(daemon, runtime):
    deep = daemon.root / "a" / "b"
    flags = ("--relay-socket", str(deep / "x.sock"), "--relay-dir", str(deep / "state"), "--pid-file", str(deep / "p"))
    daemon.start(*flags)
    assert stat.filemode((deep / "x.sock").stat().st_mode) == "srw-rw----"
    assert daemon.stop() == 0


# ---- remembering


def test_what_runs_is_in_the_store_and_survives_a_crash(daemon, runtime):
    daemon.start()
    with daemon.client() as client:
        _, container_id = run_pod(client)
    daemon.wait(lambda: [row[1] for row in rows(daemon)] == ["running"], "the store to know")
    daemon.kill()
    daemon.start()
    daemon.wait(lambda: daemon.log().count("reconcile.done") == 2, "the second comparison with the runtime")
    assert daemon.stop() == 0
    assert rows(daemon) == [(container_id, "running", 512, 0)]


def test_what_ran_before_us_is_adopted(daemon, runtime):
    daemon.start("--relay-dir", str(daemon.root / "other"))
    with daemon.client() as client:
        _, container_id = run_pod(client)
    daemon.kill()
    daemon.start()
    daemon.wait(lambda: rows(daemon), "the container to be adopted")
    assert daemon.stop() == 0
    assert rows(daemon) == [(container_id, "running", 512, 1)]


def test_a_damaged_store_is_moved_aside_and_rebuilt_from_the_runtime(daemon, runtime):
    daemon.start()
    with daemon.client() as client:
        _, container_id = run_pod(client)
    assert daemon.stop() == 0
    (daemon.relay_dir / "state.db").write_bytes(b"no database at all" * 1000)
    daemon.start()
    daemon.wait(lambda: rows(daemon), "the store to be rebuilt")
    assert daemon.stop() == 0
    (aside,) = daemon.relay_dir.glob("state.db.corrupt-*")
    assert aside.read_bytes().startswith(b"no database")
    assert "store.corrupt" in daemon.log()
    assert [row[0] for row in rows(daemon)] == [container_id]


# ---- leaving


def test_a_call_that_is_under_way_is_finished_before_the_daemon_leaves(daemon, runtime):
    runtime.delays_s[methods.STOP_CONTAINER] = SLOW_S
    daemon.start()
    with daemon.client() as client:
        _, container_id = run_pod(client)
        slow = client.start("StopContainer", container_id=container_id)
        wait_called(runtime, methods.STOP_CONTAINER)
        assert daemon.stop() == 0
        assert slow.result() is not None
    assert [row[:2] for row in rows(daemon)] == [(container_id, "exited")]


def test_a_call_that_does_not_end_is_cut_off_and_its_client_told_to_try_again(daemon, runtime):
    runtime.delays_s[methods.STOP_CONTAINER] = 20
    daemon.start()
    with daemon.client() as client:
        slow = client.start("StopContainer", container_id="x", deadline_s=120)
        wait_called(runtime, methods.STOP_CONTAINER)
        assert daemon.stop() == 0
        with pytest.raises(grpc.RpcError) as error:
            slow.result()
    assert error.value.code() is grpc.StatusCode.UNAVAILABLE
    runtime.delays_s.clear()


def test_a_client_that_says_nothing_does_not_keep_the_daemon(daemon, runtime):
    daemon.start()
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(daemon.socket))
        assert daemon.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_after_the_end_nothing_is_left_but_what_is_remembered(daemon, runtime, number):
    daemon.start()
    daemon.signal(number)
    assert daemon.ended() == 0
    assert "daemon.stopped" in daemon.log()
    left = {path.name for path in daemon.root.iterdir()} - {"log", "runtime.sock"}
    assert left == {"relay", "relay.sock.lock"}
    assert {path.name for path in daemon.relay_dir.iterdir()} == {"state.db", "state.db.lock"}


def test_what_a_successor_has_put_in_place_is_not_removed(daemon, runtime):
    daemon.start()
    aside = daemon.root / "successor.sock"
    with socket.socket(socket.AF_UNIX) as successor:
        successor.bind(str(aside))
        aside.rename(daemon.socket)
        daemon.pid_file.write_text(f"{os.getpid()}\n")
        assert daemon.stop() == 0
    assert daemon.socket.is_socket()
    assert daemon.pid_file.read_text() == f"{os.getpid()}\n"


def test_a_pid_file_that_somebody_has_spoilt_does_not_spoil_the_end(daemon, runtime):
    daemon.start()
    daemon.pid_file.write_bytes(b"\xff\xfe")
    assert daemon.stop() == 0


# ---- the runtime's absences


def test_when_the_runtime_comes_back_the_next_call_works(daemon):
    fake = FakeRuntime()
    with served(fake, daemon.runtime_socket):
        daemon.start()
        with daemon.client() as client:
            run_pod(client)
    with daemon.client() as client:
        with pytest.raises(grpc.RpcError) as error:
            client("Version")
        assert error.value.code() is grpc.StatusCode.UNAVAILABLE
    with served(fake, daemon.runtime_socket), daemon.client() as client:
        assert client("Version", deadline_s=60).runtime_name == "containerd"
        run_pod(client, "second")


def test_an_error_of_the_runtime_reaches_the_kubelet_as_it_is(daemon, runtime):
    daemon.start()
    with daemon.client() as client:
        with pytest.raises(grpc.RpcError) as error:
            client("StartContainer", container_id="nobody")
        assert error.value.code() is grpc.StatusCode.NOT_FOUND
        assert "container nobody: not found" in error.value.details()
        assert client("Version").runtime_name == "containerd"


# ---- the log


@pytest.mark.parametrize("level", ["info", "debug"])
def test_whatever_is_logged_or_dumped_no_secret_is(daemon, runtime, level):
    daemon.config.write_text("dump:\n  Config: full:.*\n")
    daemon.start("--force-config", str(daemon.config), "--logger-level", level, "--logger-debug", "*")
    with daemon.client() as client:
        pod_id, _ = run_pod(client)
        environment = [{"key": "TOKEN", "value": SECRET.encode()}]
        config = {"metadata": {"name": "s"}, "envs": environment}
        client("CreateContainer", pod_sandbox_id=pod_id, config=config)
        with pytest.raises(grpc.RpcError):
            client("PullImage", image={"image": "web"}, auth={"username": "u", "password": SECRET})
    daemon.wait_log("PullImage")
    assert daemon.stop() == 0
    assert "CreateContainer" in daemon.log()
    assert SECRET not in daemon.log()


def test_a_signal_that_reads_a_forced_configuration_without_one_changes_nothing(daemon, runtime):
    daemon.start()
    daemon.signal(signal.SIGHUP)
    daemon.wait_log("config.unchanged")
    with daemon.client() as client:
        assert client("Version").runtime_name == "containerd"
