"""`cri-resmgr explain`: everything that is known about a container, beside a daemon that runs or does not."""

import json
import os
from pathlib import Path

import pytest

from cri_resmgr.cli import main as main_
from cri_resmgr.cli.inspecting import stored
from cri_resmgr.errors import BadInput, Degraded
from cri_resmgr.state import schema
from cri_resmgr.values.decisions import Candidate, Holding
from cri_resmgr.values.hints import Hint
from cri_resmgr.values.resources import Assignment, Resources
from cri_resmgr.values.workloads import Container, Pod, State
from unit.cli.stores import kept

POD = Pod("sandbox-1", "web", "shop", "uid-1", cgroup_parent="/kubepods/burstable/poduid-1")
SAME_NAME = Pod("sandbox-2", "web", "test", "uid-2", cgroup_parent="/kubepods/poduid-2")
DB = Pod("sandbox-3", "database", "shop", "uid-3")
APP = Container(
    "sandbox-1",
    "app",
    1,
    id="0123456789abcdef",
    state=State.RUNNING,
    asked=Resources(
        cpu_shares=512, cpu_quota_us=200_000, cpu_period_us=100_000, memory_limit_bytes=1 << 30, cpuset_mems="0"
    ),
    given=Assignment(cpuset_cpus="4-7", cpuset_mems="1"),
    told=Assignment(cpuset_cpus="4-7"),
    holding=Holding("topology-aware", "NUMA node #1", shared="4-7", memo="opaque"),
    hints=(Hint("/sys/devices/pci0000:00", cpus=0b11, nodes=0b1),),
    reasons=("burstable: shares the CPUs of a pool", "database:db took CPUs 2-3 for itself"),
    candidates=(
        Candidate("NUMA node #1", {"shared": 3500.0, "hints": 0.5}, "chosen"),
        Candidate("socket #0", {"shared": 7250.0, "kind": "all"}, "a deeper pool is preferred"),
    ),
)
LOG = Container("sandbox-1", "log", 0, id="log", state=State.CREATED)


@pytest.fixture(name="explain")
def make_explain(tmp_path, capsys):
    def run(*arguments, pods=(POD, SAME_NAME, DB), containers=(APP, LOG)):
        with kept(tmp_path, pods, containers):
            status = main_.main(["explain", "--relay-dir", str(tmp_path), *arguments])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


def names(answer):
    status, out, err = answer
    assert (status, err) == (0, "")
    return [said["container"] for said in json.loads(out)]


def test_programs_get_everything_that_is_known(explain):
    status, out, err = explain("-output=json", "web:app")
    assert (status, err) == (0, "")
    assert json.loads(out) == [
        {
            "container": "shop/web:app",
            "id": "0123456789abcdef",
            "attempt": 1,
            "state": "running",
            "adopted": False,
            "requirements": {
                "qos": "Burstable",
                "cpu_request_millicpu": 500,
                "cpu_limit_millicpu": 2000,
                "memory_request_bytes": 0,
                "memory_limit_bytes": 1 << 30,
                "problems": [],
            },
            "asked": {
                "cpu_period_us": 100_000,
                "cpu_quota_us": 200_000,
                "cpu_shares": 512,
                "memory_limit_bytes": 1 << 30,
                "oom_score_adj": 0,
                "cpuset_cpus": "",
                "cpuset_mems": "0",
                "memory_swap_limit_bytes": 0,
            },
            "given": {
                "cpuset_cpus": "4-7",
                "cpuset_mems": "1",
                "cpu_shares": None,
                "cpu_quota_us": None,
                "cpu_period_us": None,
                "memory_limit_bytes": None,
            },
            "adjustment": None,
            "effective": {
                "cpu_period_us": 100_000,
                "cpu_quota_us": 200_000,
                "cpu_shares": 512,
                "memory_limit_bytes": 1 << 30,
                "oom_score_adj": 0,
                "cpuset_cpus": "4-7",
                "cpuset_mems": "1",
                "memory_swap_limit_bytes": 0,
            },
            "pending": True,
            "holding": {
                "policy": "topology-aware",
                "pool": "NUMA node #1",
                "exclusive": "",
                "isolated": "",
                "shared": "4-7",
            },
            "reasons": ["burstable: shares the CPUs of a pool", "database:db took CPUs 2-3 for itself"],
            "candidates": [
                {"pool": "NUMA node #1", "scores": {"shared": 3500.0, "hints": 0.5}, "verdict": "chosen"},
                {
                    "pool": "socket #0",
                    "scores": {"shared": 7250.0, "kind": "all"},
                    "verdict": "a deeper pool is preferred",
                },
            ],
            "hints": [{"provider": "/sys/devices/pci0000:00", "cpus": "0-1", "nodes": "0", "packages": ""}],
        }
    ]


def test_people_get_the_same_in_words(explain):
    status, out, err = explain("web:app")
    assert (status, err) == (0, "")
    assert (
        out
        == """\
shop/web:app
  state       running, attempt 1, the runtime has not been told the latest,
              0123456789abc
  wants       Burstable, 500m to 2 CPU, up to 1Gi memory
  holds       4-7 shared in NUMA node #1, by policy topology-aware
  because     burstable: shares the CPUs of a pool
              database:db took CPUs 2-3 for itself
  near        /sys/devices/pci0000:00: cpus 0-1, nodes 0

          asked          has
  CPUs    -              4-7
  memory  0              1
  shares  512            512
  quota   200000/100000  200000/100000

  candidate     shared  hints  kind  verdict
  NUMA node #1  3500    0.5          chosen
  socket #0     7250           all   a deeper pool is preferred
"""
    )


def test_a_container_of_which_little_is_known_is_shown_with_that(explain):
    _, out, _ = explain("web:log")
    assert (
        out
        == """\
shop/web:log
  state       created, log
  wants       Burstable, 0 CPU, 0 memory
  holds       nothing

          asked  has
  CPUs    -      -
  memory  -      -
  shares  -      -
  quota   -      -
"""
    )


def test_several_containers_are_told_apart_by_an_empty_line(explain):
    _, out, _ = explain("shop/web")
    assert [part.splitlines()[0] for part in out.split("\n\n") if part.startswith("shop/")] == [
        "shop/web:app",
        "shop/web:log",
    ]


@pytest.mark.parametrize(
    ("holding", "words"),
    [
        (Holding("p", "socket #0", exclusive="2-3", shared="4-7"), "2-3 its own, 4-7 shared in socket #0, by policy p"),
        (Holding("p", isolated="8"), "8 its own, isolated in no pool, by policy p"),
        (Holding("p", "root"), "nothing in root, by policy p"),
    ],
)
def test_what_is_held_is_said_in_words(explain, holding, words):
    held = Container("sandbox-1", "app", 0, holding=holding, adopted=True)
    _, out, _ = explain("web:app", containers=[held])
    assert f"  holds       {words}\n" in out
    assert "adopted: it was there before us" in out


def test_an_annotation_that_was_of_no_use_is_told(explain):
    pod = Pod("sandbox-1", "web", "shop", "uid-1", annotations={"intel.com/resources": "no JSON"})
    _, out, _ = explain("web:log", pods=[pod])
    assert "  ignored     annotation intel.com/resources is not used: " in out


# ---- who is meant


OTHER = Container("sandbox-2", "app", 0, id="other", state=State.RUNNING)


def test_a_pod_without_a_container_means_all_of_them(explain):
    assert names(explain("-output=json", "web")) == ["shop/web:app", "shop/web:log"]


def test_a_namespace_tells_pods_of_one_name_apart(explain):
    containers = APP, LOG, OTHER
    assert names(explain("-output=json", "web:app", containers=containers)) == ["shop/web:app", "test/web:app"]
    assert names(explain("-output=json", "test/web:app", containers=containers)) == ["test/web:app"]


def test_an_instance_that_lives_is_meant_and_not_the_one_before(explain):
    ended = Container("sandbox-1", "app", 0, id="ended", state=State.EXITED)
    _, out, _ = explain("-output=json", "web:app", containers=[ended, APP])
    assert [said["attempt"] for said in json.loads(out)] == [1]


def test_the_latest_instance_is_meant_when_none_lives(explain):
    ended = [Container("sandbox-1", "app", n, id=f"ended-{n}", state=State.EXITED) for n in range(2)]
    _, out, _ = explain("-output=json", "web", containers=[*ended, LOG])
    assert [(said["container"], said["attempt"]) for said in json.loads(out)] == [
        ("shop/web:log", 0),
        ("shop/web:app", 1),
    ]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("wbe", "there is no pod 'wbe' on this node; nearest: web; "),
        ("shop/wbe", "there is no pod 'shop/wbe' on this node; nearest: shop/web, shop/database, test/web; "),
        ("zzz", "there is no pod 'zzz' on this node; there are 2: database, web; "),
        ("web:ap", "there is no container in web 'ap' on this node; nearest: app; "),
        ("database:x", "there is no container in database 'x' on this node; there is none at all; "),
        ("database", "there is no container in database '' on this node; there is none at all; "),
    ],
)
def test_a_name_that_nobody_has_gives_the_nearest(explain, target, message):
    status, out, err = explain(target)
    assert (status, out) == (2, "")
    assert err == f"cri-resmgr: {message}'cri-resmgr status' has all names\n"


@pytest.mark.parametrize("arguments", [(), ("a", "b"), ("-output=xml", "a")])
def test_a_wrong_use_is_refused_with_the_right_one(explain, arguments):
    status, _, err = explain(*arguments)
    assert status == 2
    assert "write cri-resmgr explain [--relay-dir DIR]" in err


# ---- the store


def test_a_daemon_that_writes_is_not_disturbed_and_its_last_word_is_read(tmp_path):
    with kept(tmp_path, [POD], [APP]):
        found = stored.read(tmp_path)
        assert found.pid == os.getpid()
        assert found.pods == {"sandbox-1": POD}
        assert found.containers == {APP.key: APP}
    assert stored.read(tmp_path).pid == 0


def test_reading_leaves_no_trace_behind_a_daemon_that_has_ended(tmp_path):
    with kept(tmp_path, [POD], [APP]):
        pass
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert stored.read(tmp_path).containers == {APP.key: APP}
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_a_killed_daemon_has_left_in_the_log_is_read(tmp_path):
    running, killed = tmp_path / "running", tmp_path / "killed"
    with kept(running, [POD], [APP]):
        killed.mkdir()
        for path in running.iterdir():
            (killed / path.name).write_bytes(path.read_bytes())
    assert (killed / "state.db-wal").stat().st_size
    assert stored.read(killed).containers == {APP.key: APP}


def test_a_directory_without_a_store_is_refused_with_the_flag_to_set(tmp_path):
    with pytest.raises(BadInput, match=r"state\.db; has the daemon run here\? name its directory with --relay-dir"):
        stored.read(tmp_path)


@pytest.mark.parametrize(("version", "remedy"), [(1, "start the daemon of this version once"), (99, "use the program")])
def test_a_store_of_another_version_is_refused_with_what_to_do(tmp_path, version, remedy):
    with kept(tmp_path) as store, store._working() as connection:
        connection.execute(schema.PUT_META, (schema.VERSION_KEY, str(version)))
    with pytest.raises(BadInput, match=rf"has schema version {version}, this program reads version [0-9]+; {remedy}"):
        stored.read(tmp_path)


def test_a_damaged_store_is_said_to_be_so(tmp_path):
    (tmp_path / "state.db").write_bytes(b"no database" * 1000)
    with pytest.raises(Degraded, match="cannot be read: file is not a database; ask again, or start the daemon"):
        stored.read(tmp_path)


def test_a_row_that_nobody_can_have_written_is_damage(tmp_path):
    with kept(tmp_path, [POD], [APP]) as store, store._working() as connection:
        connection.execute("UPDATE containers SET labels = '[]'")
    with pytest.raises(Degraded, match="cannot be read: row"):
        stored.read(tmp_path)


def test_a_store_that_may_not_be_read_is_for_root(tmp_path, monkeypatch):
    with kept(tmp_path):
        pass

    def refuse(*_arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(BadInput, match=r"state\.db cannot be read: Permission denied; ask as root"):
        stored.read(tmp_path)
