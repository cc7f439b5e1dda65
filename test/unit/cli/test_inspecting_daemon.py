"""`status` and `explain` beside a daemon that works: they see what it has decided, and `simulate` foretells it."""

import json

import pytest

from cri_resmgr.cli import main as main_
from cri_resmgr.host.grids import grid
from equipment import sysfs_tree
from unit.cli.daemons import Daemon

MACHINE = grid(packages=2, nodes=2, cores=2, threads=2)
CONFIG = "policy:\n  Active: topology-aware\n  ReservedResources: {CPU: 750m}\n"
WHOLE = {"cpu_shares": 2048, "cpu_quota": 200_000, "cpu_period": 100_000, "memory_limit_in_bytes": 1 << 28}
SCENARIO = """
- create: {pod: db, containers: [{name: c, limits: {cpu: 2, memory: 256Mi}}]}
- create: {pod: web, containers: [{name: c, limits: {cpu: 2, memory: 256Mi}}]}
"""


def run_guaranteed(client, name: str) -> None:
    config = {
        "metadata": {"name": name, "uid": name, "namespace": "shop"},
        "linux": {"cgroup_parent": f"/kubepods/pod{name}"},
    }
    pod_id = client("RunPodSandbox", config=config).pod_sandbox_id
    config = {"metadata": {"name": "c"}, "linux": {"resources": WHOLE}}
    container_id = client("CreateContainer", pod_sandbox_id=pod_id, config=config).container_id
    client("StartContainer", container_id=container_id)


@pytest.fixture(name="working")
def make_working(daemon: Daemon, runtime, tmp_path):
    """A daemon with two pods on a machine of sixteen CPUs."""
    sysfs_tree.write(MACHINE, tmp_path / "host")
    daemon.config.write_text(CONFIG)
    daemon.start("--force-config", str(daemon.config), "--host-root", str(tmp_path / "host"))
    with daemon.client() as client:
        for name in ("db", "web"):
            run_guaranteed(client, name)
    return daemon


@pytest.fixture(name="asked")
def make_asked(capsys):
    def asked(*arguments):
        assert main_.main(arguments) == 0
        printed = capsys.readouterr()
        assert printed.err == ""
        return json.loads(printed.out)

    return asked


def test_status_and_explain_tell_what_a_working_daemon_has_decided(working, asked):
    status = asked("status", "--relay-dir", str(working.relay_dir), "--output=json")
    assert (status["daemon"]["pid"], status["policy"]["active"]) == (working.pid, "topology-aware")
    assert status["machine"]["cpus"] == "0-15"
    assert (status["containers"]["alive"], status["containers"]["unplaced"]) == (["shop/db:c", "shop/web:c"], [])
    explained = [
        asked("explain", "--relay-dir", str(working.relay_dir), "--output=json", name)[0] for name in ("db", "web")
    ]
    pools = {pool["name"]: pool for pool in status["pools"]}
    for said in explained:
        assert said["holding"]["exclusive"] == said["effective"]["cpuset_cpus"]
        assert said["container"] in pools[said["holding"]["pool"]]["members"]
        assert said["candidates"][0]["pool"] == said["holding"]["pool"]
        assert said["reasons"]
        assert not said["pending"]


def test_a_simulation_foretells_what_the_daemon_does(working, asked, tmp_path):
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(SCENARIO)
    (tmp_path / "machine.yaml").write_text("hostRoot: host\n")
    flags = "-machine", str(tmp_path / "machine.yaml"), "-config", str(working.config), "-output=json"
    foretold = asked("simulate", *flags, str(scenario))[-1]["containers"]
    for name in ("db", "web"):
        (said,) = asked("explain", "--relay-dir", str(working.relay_dir), "--output=json", f"shop/{name}:c")
        container = foretold[f"{name}:c"]
        assert (container["cpus"], container["mems"]) == (
            said["effective"]["cpuset_cpus"],
            said["effective"]["cpuset_mems"],
        )
        assert container["shares"] == said["effective"]["cpu_shares"]
        assert {kind: container[kind] for kind in ("exclusive", "isolated", "shared", "pool")} == {
            kind: said["holding"][kind] for kind in ("exclusive", "isolated", "shared", "pool")
        }
