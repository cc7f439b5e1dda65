"""A daemon that places: what it decides is there before a start, after a crash, and taken back by policy none."""

import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import grpc
import pytest

from cri_resmgr.cri import methods
from cri_resmgr.host.grids import grid
from doubles.runtime import FakeRuntime, StatusError
from equipment import sysfs_tree
from equipment.cri import CriClient
from unit.cli.daemons import Daemon, wait_called
from unit.cli.test_daemon_reload import get

UPDATE, START = methods.UPDATE_CONTAINER_RESOURCES, methods.START_CONTAINER
PLACING = "policy: {Active: topology-aware, ReservedResources: {CPU: 1}}\n"
NONE = "policy: {Active: none}\n"
ONE_CPU = {"cpu_shares": 1024, "cpu_quota": 100_000, "cpu_period": 100_000, "memory_limit_in_bytes": 64 << 20}
SHARING = {"cpu_shares": 2}
QOS = {"own": ("/kubepods/pod", ONE_CPU), "shares": ("/kubepods/besteffort/pod", SHARING)}


@pytest.fixture(name="daemon")
def _daemon(tmp_path: Path):
    """On a host with four CPUs, the first of which is reserved."""
    sysfs_tree.write(grid(cores=4), tmp_path / "host")
    with Daemon(
        tmp_path, "--force-config", str(tmp_path / "forced.cfg"), "--host-root", str(tmp_path / "host")
    ) as made:
        made.config.write_text(PLACING)
        yield made


def create(client: CriClient, name: str, kind: str) -> str:
    """A pod of one container that has not been started; the container's id."""
    parent, resources = QOS[kind]
    config = {"metadata": {"name": name, "uid": name, "namespace": "shop"}, "linux": {"cgroup_parent": parent + name}}
    pod_id = client("RunPodSandbox", config=config).pod_sandbox_id
    config = {"metadata": {"name": name}, "linux": {"resources": resources}}
    return client("CreateContainer", pod_sandbox_id=pod_id, config=config).container_id


def run(client: CriClient, name: str, kind: str) -> str:
    container_id = create(client, name, kind)
    client("StartContainer", container_id=container_id)
    return container_id


def fill(client: CriClient) -> None:
    """More containers with a CPU of their own than there are CPUs."""
    for number in range(4):
        run(client, f"x{number}", "own")


def cpus(runtime: FakeRuntime) -> dict[str, str]:
    return {c.config.metadata.name: c.has.cpuset_cpus for c in runtime.containers.values()}


def rows(daemon: Daemon) -> dict[str, tuple[str, str]]:
    with closing(sqlite3.connect(daemon.relay_dir / "state.db")) as connection:
        columns = connection.execute("SELECT name, given_cpuset_cpus, holding_exclusive FROM containers").fetchall()
    return {name: (given, exclusive) for name, given, exclusive in columns}


def test_containers_get_cpus_of_their_own_and_neighbours_leave_them_first(daemon, runtime):
    daemon.start()
    with daemon.client() as client:
        run(client, "s", "shares")
        assert cpus(runtime) == {"s": "1-3"}
        runtime.delays_s[UPDATE] = 0.5
        own = run(client, "x", "own")
        assert cpus(runtime) == {"s": "2-3", "x": "1"}
        client("StopContainer", container_id=own)
        daemon.wait(lambda: cpus(runtime)["s"] == "1-3", "the neighbour to get its CPU back")


def test_a_start_is_forwarded_while_a_neighbour_cannot_be_told_once_its_budget_is_used_up(daemon, runtime):
    daemon.start("--call-budget", "200ms")
    with daemon.client() as client:
        run(client, "s", "shares")
        runtime.refused[UPDATE] = StatusError(2, "not in the mood")
        run(client, "x", "own")
        assert cpus(runtime) == {"s": "1-3", "x": "1"}
        runtime.refused.clear()
        daemon.wait(lambda: cpus(runtime)["s"] == "2-3", "the neighbour to be told at last")
    assert "start.uncleared" in daemon.log()


def test_after_a_crash_everything_is_as_it_was_decided(daemon, runtime):
    daemon.start()
    with daemon.client() as client:
        for name, kind in (("s", "shares"), ("x", "own")):
            run(client, name, kind)
    before, updates = rows(daemon), runtime.calls[UPDATE]
    assert before == {"s": ("2-3", ""), "x": ("1", "1")}
    daemon.kill()
    runtime.key_of("s").has.cpuset_cpus = "0-3"  # what it was just being told has not arrived
    daemon.start()
    daemon.wait(lambda: cpus(runtime) == {"s": "2-3", "x": "1"}, "the runtime to know what was decided")
    assert runtime.calls[UPDATE] == updates + 1
    assert rows(daemon) == before


def test_policy_none_gives_back_what_another_one_gave(daemon, runtime):
    daemon.start()
    with daemon.client() as client:
        for name, kind in (("s", "shares"), ("x", "own")):
            run(client, name, kind)
    assert daemon.stop() == 0
    daemon.config.write_text(NONE)
    daemon.start()
    daemon.wait(lambda: cpus(runtime) == {"s": "0-3", "x": "0-3"}, "everything to be given back")
    assert {c.config.metadata.name: c.has.cpu_shares for c in runtime.containers.values()} == {"s": 2, "x": 1024}


def test_what_does_not_fit_is_refused_with_the_reason_and_passes_where_the_configuration_says_so(daemon, runtime):
    daemon.start()
    with daemon.client() as client:
        with pytest.raises(grpc.RpcError) as error:
            fill(client)
        assert error.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert "cri-resmgr, policy topology-aware" in error.value.details()
        daemon.config.write_text(PLACING + "resource-manager: {onPolicyError: pass}\n")
        daemon.signal(signal.SIGHUP)
        daemon.wait_log("config.applied")
        run(client, "y", "own")
        taken = {cpus(runtime)[name] for name in cpus(runtime) if name != "y"}
        assert not taken & set(cpus(runtime)["y"].split(","))


def test_a_policy_that_does_not_go_with_the_host_is_refused_before_anything_is_made(daemon, runtime):
    daemon.config.write_text("policy: {Active: topology-aware, ReservedResources: {CPU: 64}}\n")
    assert "64" in daemon.refused()
    assert {path.name for path in daemon.root.iterdir()} <= {"log", "runtime.sock", "forced.cfg", "host"}


def test_it_rebalances_as_often_as_it_is_told_to(daemon, runtime):
    watched = daemon.root / "watched.sock"
    daemon.start("--rebalance-interval", "1s", "--metrics-address", f"unix://{watched}")
    daemon.wait(lambda: "cri_resmgr_decisions_total 2\n" in get(watched, "/metrics")[1], "two decisions")


def test_while_a_start_waits_for_a_slow_neighbour_other_calls_pass(daemon, runtime):
    daemon.start()
    with daemon.client() as client:
        run(client, "s", "shares")
        runtime.delays_s[UPDATE] = 1.0
        starting = client.start("StartContainer", container_id=create(client, "x", "own"), deadline_s=60)
        wait_called(runtime, UPDATE)
        assert client("Version").runtime_name == "containerd"
        assert runtime.begun[START] == 1
        starting.result()
        assert cpus(runtime) == {"s": "2-3", "x": "1"}
