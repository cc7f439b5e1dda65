"""A restart changes nothing; a new configuration changes what it must."""

from dataclasses import replace

import pytest

from cri_resmgr.host.grids import grid
from cri_resmgr.policies.contract import CpuLimit
from cri_resmgr.policies.staging import Stage
from cri_resmgr.policies.topology_aware import remembering
from cri_resmgr.values.decisions import HOLDING_NOTHING, Holding
from cri_resmgr.values.resources import NOTHING
from cri_resmgr.values.workloads import Container
from unit.policies.topology_aware.nodes import N4C16, Node, annotated, cpuset, key, make, resources

GIB = 1 << 30


def crowd(node: Node) -> None:
    """One of each kind."""
    node.run("own", cpu=2000, memory=GIB)
    node.run("mixed", cpu=1500)
    node.run("part", cpu=700, limit=900, memory=3 * GIB)
    node.run("system", cpu=100, namespace="kube-system")
    node.run("best")


def without_holdings(node: Node, **fields) -> list[Container]:
    return [
        replace(container, given=NOTHING, holding=HOLDING_NOTHING, **fields)
        for container in node.stage.containers.values()
    ]


def test_a_restart_changes_nothing():
    node = Node()
    crowd(node)
    before = node.stage.state
    assert node.stage.restore() == {}
    assert node.stage.state == before


def test_a_restart_under_the_policys_other_name_changes_nothing():
    node = Node()
    crowd(node)
    before = node.stage.state
    memtier = make(N4C16, maker="make_memtier")
    assert memtier.name == "memtier"
    assert node.stage.restore(memtier) == {}
    assert node.stage.state == before


def test_memory_that_has_moved_up_is_not_forgotten():
    node = Node(grid(nodes=2, cores=4, memory_bytes=100))
    node.run("small", cpu=100, memory=60)
    node.run("large", cpu=100, memory=110)
    assert node.mems("small") == "0-1"
    assert node.stage.restore() == {}


def test_reserved_cpus_are_not_promised_twice_after_a_restart():
    node = Node()
    node.run("a", cpu=600, namespace="kube-system")
    node.stage.restore()
    node.run("b", cpu=600, namespace="kube-system")
    assert (node.cpus("a"), node.cpus("b")) == ("0", "1-15")


def test_what_another_policy_has_decided_is_decided_anew():
    node = Node()
    crowd(node)
    foreign = [
        replace(c, holding=replace(c.holding, policy="balloons", exclusive="1")) for c in node.stage.containers.values()
    ]
    stage = Stage(make(), [(c, node.stage.pods[c.pod_id]) for c in foreign])
    assert stage.containers[key("own")].holding.exclusive == "4-5"
    assert {c.holding.policy for c in stage.containers.values()} == {"topology-aware"}


def test_the_demanding_are_placed_first():
    node = Node()
    node.run("best")
    node.run("small", cpu=1000)
    node.run("large", cpu=3000)
    stage = Stage(make(), [(c, node.stage.pods[c.pod_id]) for c in without_holdings(node)])
    assert stage.containers[key("large")].holding.exclusive == "4-6"
    assert stage.containers[key("small")].holding.exclusive == "8"
    assert list(stage.state.grants) == list(stage.containers)


def test_a_container_that_was_there_before_us_shares_and_keeps_its_weight():
    node = Node()
    crowd(node)
    running = [(c, node.stage.pods[c.pod_id]) for c in without_holdings(node, adopted=True)]
    stage = Stage(make(), running)
    for container in stage.containers.values():
        assert (container.holding.exclusive, container.holding.isolated) == ("", "")
        assert container.holding.shared == container.given.cpuset_cpus
        assert container.given.cpu_shares is None
    assert stage.restore() == {}


def test_a_new_reserve_moves_whoever_has_its_cpus():
    node = Node()
    for name in ("a", "b"):
        node.run(name, cpu=1000)
    assert (node.own("a"), node.own("b")) == ("4", "8")
    changes = node.stage.restore(make(reserved=cpuset("4")))
    assert set(changes) == {key("a")}
    assert node.own("a") == "5"
    assert node.pool("a") == "NUMA node #1"


def test_less_to_have_moves_whoever_is_outside():
    node = Node()
    for name in ("a", "b", "c"):
        node.run(name, cpu=100, limit=200)
    node.stage.restore(make(available=cpuset("0-7"), reserved=cpuset("0")))
    assert [node.cpus(name) for name in "abc"] == ["4-7", "1-3", "4-7"]


def test_other_options_move_nobody_but_say_what_they_say():
    node = Node()
    node.run("a", cpu=1000, memory=GIB)
    changes = node.stage.restore(make(pin_memory=False, prefer_shared_cpus=True))
    assert changes[key("a")].holding == node.container("a").holding
    assert (node.cpus("a"), node.container("a").given.cpuset_mems) == ("4", None)


def test_what_fits_nowhere_runs_all_the_same_and_nothing_is_promised_to_it():
    node = Node()
    node.run("own", cpu=3000)
    node.run("part", cpu=2500, limit=3000)
    changes = node.stage.restore(make(available=cpuset("0-2"), reserved=cpuset("0")))
    assert (node.own("own"), node.cpus("own"), node.pool("own")) == ("", "1-2", "root")
    assert node.cpus("part") == "1-2"
    assert "it runs already, and nothing could be promised to it" in changes[key("own")].reasons
    assert any("no pool can hold it; short of 1000m of CPU: root" in reason for reason in changes[key("own")].reasons)
    assert changes[key("own")].candidates[0].verdict.startswith("short of")
    assert node.stage.restore() == {}


def test_it_is_placed_as_soon_as_it_fits():
    node = Node()
    node.run("own", cpu=3000)
    node.stage.restore(make(available=cpuset("0-2"), reserved=cpuset("0")))
    node.resize("own", cpu=2500)
    assert node.own("own") == ""
    node.resize("own", cpu=2000)
    assert (node.own("own"), node.pool("own")) == ("1-2", "NUMA node #0")


def test_it_is_placed_by_a_resize_that_asks_for_the_same_and_where_a_newcomer_would_be():
    node = Node()
    node.run("a", cpu=3000)
    node.run("b", cpu=3000)
    node.stage.restore(make(available=cpuset("0-7"), reserved=cpuset("0-2")))
    assert (node.own("a"), node.own("b"), node.pool("b")) == ("4-6", "", "root")
    node.end("a")
    node.resize("b", cpu=3000)
    assert (node.own("b"), node.pool("b")) == ("4-6", "NUMA node #1")


def test_a_reserve_that_has_shrunk_does_not_promise_more_than_it_has():
    node = Node(reserved=cpuset("0-1"))
    for name in ("a", "b"):
        node.run(name, cpu=900, namespace="kube-system")
    node.stage.restore(make(reserved=cpuset("0")))
    assert (node.cpus("a"), node.cpus("b")) == ("0", "1-15")


def test_memory_that_is_no_longer_there_is_not_promised():
    node = Node(grid(nodes=2, cores=4, memory_bytes=100))
    node.run("p", cpu=100, memory=60)
    assert node.mems("p") == "1"
    node.stage.restore(make(grid(nodes=2, cores=4, memory_bytes=50)))
    assert node.mems("p") == "0-1"


def test_rebalancing_places_it_too():
    node = Node()
    node.run("a", cpu=1000)
    node.run("b", cpu=2000)
    node.stage.restore(make(available=cpuset("0-2"), reserved=cpuset("0")))
    assert (node.own("a"), node.own("b")) == ("", "1-2")
    assert node.cpus("a") == "0"
    node.end("b")
    assert set(node.stage.rebalance().neighbours) == {key("a")}
    assert node.own("a") == "1"


def test_a_system_container_that_fits_nowhere_stays_on_the_reserve():
    node = Node(reserved=cpuset("0-3"))
    node.run("system", cpu=3000, namespace="kube-system")
    node.stage.restore(make(available=cpuset("0-2"), reserved=cpuset("0")))
    assert (node.cpus("system"), node.pool("system")) == ("0", "root")


def resized(node: Node, name: str, **asked) -> Stage:
    """What follows from a resize that nobody decided about."""
    wish = replace(node.container(name), asked=node.container(name).asked.merged(resources(**asked)))
    containers = {**node.stage.containers, key(name): wish}
    return Stage(make(), [(c, node.stage.pods[c.pod_id]) for c in containers.values()])


def test_a_resize_that_nobody_saw_is_made_up_for():
    node = Node()
    node.run("p", cpu=1000)
    stage = resized(node, "p", cpu=2000, limit=2000)
    assert stage.containers[key("p")].holding.exclusive == "4-5"
    assert stage.restore() == {}


def test_one_that_does_not_fit_changes_nothing():
    node = Node()
    node.run("p", cpu=1000, memory=GIB)
    node.run("q", cpu=2500, limit=2600)
    stage = resized(node, "p", cpu=14000, limit=14000)
    assert stage.containers[key("p")].given == node.container("p").given
    assert stage.restore() == {}


@pytest.mark.parametrize(
    "holding",
    [
        {"memo": ""},
        {"memo": "[]"},
        {"memo": "{}"},
        {"memo": '{"home": "root"}'},
        {"memo": '{"home": "root", "bytes": [0, 0], "part": 0, "asked": [0, 0, 0], "marks": []}'},
        {"memo": '{"home": "root", "bytes": [0, 0, 0], "part": 0, "asked": [0], "marks": []}'},
        {"exclusive": "what"},
        {"exclusive": "99"},
        {"isolated": "5"},
        {"exclusive": "8"},
        {"pool": "NUMA node #9"},
        {"policy": "topology-unaware"},
    ],
    ids=str,
)
def test_a_holding_that_makes_no_sense_counts_as_none(holding):
    node = Node()
    node.run("p", cpu=2000)
    odd = replace(node.container("p"), holding=replace(node.container("p").holding, **holding))
    stage = Stage(make(), [(odd, node.stage.pods["p"])])
    assert stage.containers[key("p")].holding == node.container("p").holding


def test_of_two_that_say_they_have_the_same_cpu_the_older_has_it():
    node = Node()
    node.run("a", cpu=1000)
    twin = replace(node.container("a"), attempt=1)
    twin = Container(twin.pod_id, twin.name, 1, asked=twin.asked, given=twin.given, holding=twin.holding)
    stage = Stage(make(), [(c, node.stage.pods["a"]) for c in (node.container("a"), twin)])
    assert [c.holding.exclusive for c in stage.containers.values()] == ["4", "5"]


@pytest.mark.parametrize("marks", [["reserved"], ["cold"], []])
def test_a_memo_is_one_line_of_json_and_says_what_the_sets_do_not(marks):
    node = Node()
    node.run("p", cpu=1500, memory=GIB)
    grant = replace(node.stage.state.grants[key("p")], **dict.fromkeys(marks, True))
    assert remembering.read(Holding("topology-aware", memo=remembering.memo(grant))) == {
        "part": 500,
        "asked": [1500, GIB, GIB],
        "home": "NUMA node #1",
        "bytes": [0, GIB, 0],
        "tiers": [1],
        "marks": marks,
    }


def test_a_machine_with_other_numbers_restores_what_it_can():
    node = Node()
    node.run("p", cpu=3000)
    node.run("q", cpu=100, limit=200)
    smaller = grid(packages=1, nodes=2, cores=2, threads=2)
    node.stage.restore(make(smaller, reserved=CpuLimit(millicpu=750)))
    assert (node.own("p"), node.cpus("q")) == ("4-6", "1-3")


def test_annotations_decide_about_newcomers_not_about_those_who_run():
    node = Node()
    node.run("p", cpu=1000)
    pods = {"p": replace(node.stage.pods["p"], annotations=annotated("prefer-shared-cpus", "true"))}
    stage = Stage(make(), [(node.container("p"), pods["p"])])
    assert stage.containers[key("p")].holding.exclusive == "4"
