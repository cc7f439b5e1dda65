"""Containers that share move where they would be placed better now, and nobody else moves."""

from cri_resmgr.host.grids import grid
from unit.policies.topology_aware.nodes import C4PMEM4, Node, annotated, cpuset, key, make


def test_who_shares_with_many_moves_to_who_shares_with_few():
    node = Node()
    for i in range(8):
        node.run(f"p{i}")
    alone = [f"p{i}" for i in range(8) if node.pool(f"p{i}") != "NUMA node #1"]
    together = [f"p{i}" for i in range(8) if node.pool(f"p{i}") == "NUMA node #1"]
    node.end(*alone)
    assert len(together) == 2
    moved = node.stage.rebalance().neighbours
    assert list(moved) == [key(together[0])]
    assert moved[key(together[0])].reasons[0].startswith("rebalancing: shares CPUs 8-11 of NUMA node #2")
    assert node.stage.rebalance().neighbours == {}


def test_who_had_to_take_a_larger_pool_comes_home():
    node = Node()
    for i, cpu in enumerate((3000, 3000, 3000, 2000)):
        node.run(f"own{i}", cpu=cpu)
    node.run("p", cpu=1500, limit=2000)
    assert node.pool("p") == "socket #0"
    node.end("own0", "own1")
    assert node.stage.rebalance().neighbours[key("p")].holding.pool == "NUMA node #1"


def test_memory_comes_home_too():
    node = Node(grid(nodes=2, cores=4, memory_bytes=100))
    node.run("small", cpu=100, limit=200, memory=60)
    node.run("large", cpu=100, memory=110)
    node.end("large")
    assert node.mems("small") == "0-1"
    moved = node.stage.rebalance().neighbours
    assert moved[key("small")].assignment.cpuset_mems == "1"


def test_guaranteed_containers_and_those_with_cpus_of_their_own_stay():
    node = Node()
    node.run("a", cpu=100)
    node.run("b", cpu=2000)
    node.run("c", cpu=100, namespace="kube-system")
    node.run("d", cpu=100)
    before = node.stage.state
    assert node.stage.rebalance().neighbours == {}
    assert node.stage.state == before


def test_the_system_returns_to_its_reserve_when_there_is_room():
    node = Node()
    node.run("a", cpu=800, limit=900, namespace="kube-system")
    node.run("b", cpu=700, limit=900, namespace="kube-system")
    assert (node.cpus("a"), node.cpus("b")) == ("0", "1-15")
    assert node.stage.rebalance().neighbours == {}
    node.end("a")
    assert node.stage.rebalance().neighbours[key("b")].assignment.cpuset_cpus == "0"


def test_nothing_is_gained_by_a_pool_that_only_comes_earlier():
    node = Node()
    node.run("a")
    node.run("b")
    node.end("a")
    assert node.pool("b") == "NUMA node #2"
    assert node.stage.rebalance().neighbours == {}


def test_what_has_warmed_up_stays_warm():
    node = Node(C4PMEM4)
    node.run("b", annotations=annotated("cold-start", "duration: 1s"))
    node.run("c")
    assert (node.pool("b"), node.mems("b")) == ("socket #1", "7")
    node.stage.revisit(key("b"))
    node.stage.restore(make(C4PMEM4, reserved=cpuset("1")))
    assert (node.pool("b"), node.mems("b")) == ("socket #0", "0,6")
    node.end("c")
    node.stage.restore(make(C4PMEM4, reserved=cpuset("0")))
    assert (node.pool("b"), node.mems("b")) == ("socket #1", "1,7")
    for name in ("c", "d", "e"):
        node.run(name)
    assert [node.pool(name) for name in "cde"] == ["socket #2", "socket #3", "socket #1"]
    node.end("c")
    assert list(node.stage.rebalance().neighbours) == [key("b")]
    assert (node.pool("b"), node.mems("b")) == ("socket #2", "2,4")
