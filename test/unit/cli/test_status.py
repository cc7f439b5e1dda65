"""`cri-resmgr status`: how the node stands, from the store and the policy that made it."""

import json

import pytest

from cri_resmgr.cli import main as main_
from cri_resmgr.cli.inspecting import stored, summing
from cri_resmgr.cli.site import NOWHERE
from cri_resmgr.config.settings import CpuConstraint, PolicySettings, Settings
from cri_resmgr.errors import BadInput
from cri_resmgr.host.grids import grid
from cri_resmgr.policies import registry
from cri_resmgr.policies.contract import Pool, Restored
from cri_resmgr.values.decisions import Holding
from cri_resmgr.values.events import Event, Kind
from cri_resmgr.values.resources import Assignment
from cri_resmgr.values.workloads import Container, Pod, State
from unit.cli.stores import kept

MACHINE = grid(packages=2, cores=2, threads=2, isolated=0b10)
PODS = [Pod("sandbox-1", "web", "shop", "uid-1"), Pod("sandbox-2", "db", "shop", "uid-2")]
SETTINGS = Settings(
    policy=PolicySettings("halves", reserved=CpuConstraint(millicpu=750), available=CpuConstraint(cpuset="0-7")),
    source="/etc/cri-resmgr/fallback.cfg",
    digest="abc",
)


class Halves:
    """Two pools below a root; its state is what it was begun with."""

    name = "halves"

    def __init__(self, context):
        self.context = context

    def restore(self, running):
        return Restored(tuple((c.key, pod.name) for c, pod in running))

    def pools(self, state):
        left = 8000 - 1000 * len(state)
        return (
            Pool("all", "", "0-7", "0-1", "0,3-7", "2", "0", left, 4 << 30),
            Pool("socket #0", "all", "0-3", "0", "3", "2", "0", 1500, 2 << 30),
            Pool("socket #1", "all", "4-7", "1", "4-7", "", "", 4000, 2 << 30),
        )

    def warnings(self, state):
        return [f"{len(state)} hold, and {self.context.reserved.millicpu}m are reserved"]


def container(name, pod=1, **fields):
    return Container(f"sandbox-{pod}", name, 0, id=name, state=fields.pop("state", State.RUNNING), **fields)


HELD = container("app", holding=Holding("halves", "socket #0", exclusive="2"))
CONTAINERS = [
    HELD,
    container("log", given=Assignment(cpuset_cpus="3"), holding=Holding("halves", "socket #0", shared="3")),
    container("main", pod=2, adopted=True),
    container("old", pod=2, state=State.EXITED),
]
EVENTS = [
    Event(
        Kind.POLICY_REFUSED, "2 CPUs are missing", 1_000_000_000.0, 1_000_000_060.0, 3, "shop", "web", "uid-1", "app"
    ),
    Event(Kind.POLICY_WARNING, "the reserve is small", 1_000_000_100.0, 1_000_000_100.0),
]


@pytest.fixture(name="status")
def make_status(tmp_path, capsys, monkeypatch):
    entry = registry.Entry("Two halves.", __name__)
    monkeypatch.setattr(registry, "POLICIES", {**registry.POLICIES, "halves": entry})
    monkeypatch.setattr(registry.Entry, "make", lambda _self, context: Halves(context))

    def run(*arguments, pods=PODS, containers=CONTAINERS, machine=MACHINE, settings=SETTINGS, events=EVENTS):
        with kept(tmp_path, pods, containers, machine=machine, settings=settings, events=events):
            pass
        status = main_.main(["status", "--relay-dir", str(tmp_path), *arguments])
        printed = capsys.readouterr()
        return status, printed.out.replace(str(tmp_path), "DIR"), printed.err

    return run


def said(answer):
    status, out, err = answer
    assert (status, err) == (0, "")
    return json.loads(out)


def test_programs_get_policy_machine_pools_and_what_is_amiss(status):
    found = said(status("-output=json"))
    assert found["daemon"] == {"pid": None, "store": "DIR/state.db"}
    assert found["policy"]["active"] == "halves"
    assert found["policy"]["reserved"] == {"cpuset": None, "cgroup": None, "millicpu": 750}
    assert (found["policy"]["source"], found["policy"]["digest"]) == ("/etc/cri-resmgr/fallback.cfg", "abc")
    assert found["machine"] == {
        "packages": 2,
        "dies": 2,
        "cores": 4,
        "cpus": "0-7",
        "isolated": "1",
        "offline": "",
        "nodes": [
            {"id": 0, "cpus": "0-3", "memory_bytes": 2 << 30, "kind": "dram"},
            {"id": 1, "cpus": "4-7", "memory_bytes": 2 << 30, "kind": "dram"},
        ],
    }
    assert found["pools"][1] == {
        "name": "socket #0",
        "parent": "all",
        "cpus": "0-3",
        "mems": "0",
        "shared": "3",
        "exclusive": "2",
        "reserved": "0",
        "free_millicpu": 1500,
        "free_memory_bytes": 2 << 30,
        "members": ["shop/web:app", "shop/web:log"],
    }
    assert found["containers"] == {
        "alive": ["shop/web:app", "shop/web:log", "shop/db:main"],
        "adopted": ["shop/db:main"],
        "unplaced": ["shop/db:main"],
        "pending": ["shop/web:log"],
    }
    assert [(event["kind"], event["count"], event["subject"]) for event in found["events"]] == [
        ("PolicyRefused", 3, "shop/web:app"),
        ("PolicyWarning", 1, ""),
    ]
    assert found["warnings"] == ["2 hold, and 750m are reserved"]
    assert found["problems"] == []


def test_people_get_the_same_in_words(status):
    code, out, err = status()
    assert (code, err) == (0, "")
    assert (
        out
        == """\
daemon      not running
store       DIR/state.db
policy      halves, available CPUs 0-7, reserved 750m CPU,
            /etc/cri-resmgr/fallback.cfg
machine     2 packages, 2 nodes, CPUs 0-7, 4Gi, isolated 1
containers  3
adopted     shop/db:main
unplaced    shop/db:main
pending     shop/web:log
warning     2 hold, and 750m are reserved

pool         CPUs  own  shared  reserved  free   memory  containers
all          0-7   2    0,3-7   0         6      4Gi
  socket #0  0-3   2    3       0         1500m  2Gi     shop/web:app, shop/web:log
  socket #1  4-7   -    4-7     -         4      2Gi

last, UTC                     event          about
2001-09-09 01:47:40  3 times  PolicyRefused  shop/web:app  2 CPUs are missing
2001-09-09 01:48:20           PolicyWarning                the reserve is small
"""
    )


def test_the_policy_is_begun_with_what_it_has_given_and_with_nothing_else(status):
    strangers = [container("x", holding=Holding("another", "p")), container("y")]
    assert said(status("-output=json", containers=[HELD, *strangers]))["pools"][0]["free_millicpu"] == 7000


def test_many_members_are_counted(status):
    containers = [container(f"c{n}", holding=Holding("halves", "all")) for n in range(5)]
    _, out, _ = status(containers=containers)
    assert "shop/web:c0, shop/web:c1, shop/web:c2 and 2 more\n" in out


def test_a_node_with_policy_none_has_no_pools_and_nobody_is_unplaced(status):
    code, out, _ = status(machine=None, settings=None, events=[])
    assert code == 0
    assert (
        out
        == """\
daemon      not running
store       DIR/state.db
policy      none, built-in defaults
containers  3
adopted     shop/db:main
pending     shop/web:log
"""
    )


def test_a_policy_that_cannot_be_made_here_is_a_problem_and_the_rest_is_told(status, monkeypatch):
    def refuse(_self, _context):
        raise BadInput("reserves more than there is; reserve less")

    monkeypatch.setattr(registry.Entry, "make", refuse)
    found = said(status("-output=json"))
    assert (found["problems"], found["pools"]) == (["policy: reserves more than there is; reserve less"], [])
    _, out, _ = status()
    assert "problem     policy: reserves more than there is; reserve less\n" in out


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (CpuConstraint(cgroup="/system"), "reserved CPUs of cgroup /system"),
        (CpuConstraint(cpuset="3"), "reserved CPUs 3"),
        (CpuConstraint(millicpu=2000), "reserved 2 CPU"),
    ],
)
def test_each_form_of_a_limit_is_told(status, limit, words):
    _, out, _ = status(settings=Settings(policy=PolicySettings("none", reserved=limit)), machine=None)
    assert f"policy      none, {words}, built-in defaults\n" in out


def test_a_set_of_a_control_group_is_looked_up(tmp_path, monkeypatch):
    monkeypatch.setattr(registry.Entry, "make", lambda _self, context: Halves(context))
    settings = Settings(policy=PolicySettings("none", available=CpuConstraint(cgroup="/system")))
    asked = []
    with kept(tmp_path, machine=MACHINE, settings=settings) as _:
        monkeypatch.setattr(Halves, "warnings", lambda self, _state: [f"{self.context.available.cpus:b}"])
        found = summing.summed(stored.read(tmp_path), cgroup_cpus=lambda name: asked.append(name) or 0b101)
    assert (asked, found["warnings"]) == (["/system"], ["101"])


def test_a_running_daemon_is_told_by_its_process(tmp_path, capsys):
    with kept(tmp_path):
        assert main_.main(["status", "--relay-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("daemon      process ")


def test_what_nobody_understands_counts_as_not_said(tmp_path):
    with kept(tmp_path) as store:
        store.set("settings", "{}")
        store.set("machine", "no machine")
        found = stored.read(tmp_path)
    assert (found.settings, found.machine) == (Settings(), None)


def test_a_machine_at_which_nobody_has_looked_is_none(tmp_path):
    with kept(tmp_path, machine=NOWHERE):
        assert stored.read(tmp_path).machine is None


@pytest.mark.parametrize("arguments", [("web",), ("-output=xml",)])
def test_a_wrong_use_is_refused_with_the_right_one(status, arguments):
    code, _, err = status(*arguments)
    assert code == 2
    assert "write cri-resmgr status [--relay-dir DIR]" in err
