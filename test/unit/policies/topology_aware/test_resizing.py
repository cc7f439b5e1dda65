"""A resize by the kubelet changes as little as it can."""

import pytest

from cri_resmgr.host.grids import grid
from cri_resmgr.policies.contract import PolicyRefusal
from cri_resmgr.values.hints import Hint
from unit.policies.topology_aware.nodes import C4PMEM4, Node, annotated, cpuset, key

GIB = 1 << 30
ISOLATED = annotated("prefer-isolated-cpus", "true")


def test_a_part_grows_and_shrinks_where_it_is():
    node = Node()
    node.run("p", cpu=500)
    for cpu in (900, 3500, 100):
        decision = node.resize("p", cpu=cpu, limit=cpu)
        assert (node.pool("p"), decision.neighbours) == ("NUMA node #1", {})
        assert node.free_millicpu("NUMA node #1") == 4000 - cpu


def test_a_part_that_no_longer_fits_moves():
    node = Node()
    node.run("a", cpu=500)
    node.run("b", cpu=3000, limit=4000)
    node.run("c", cpu=3000)
    node.resize("a", cpu=4500, limit=5000)
    assert (node.pool("a"), node.cpus("a")) == ("socket #0", "1-7")


def test_cpus_of_its_own_grow_around_those_that_it_has():
    node = Node()
    node.run("p", cpu=1000)
    for cpu, own, pool in (
        (2000, "4-5", "NUMA node #1"),
        (3000, "4-6", "NUMA node #1"),
        (4000, "4-7", "NUMA node #1"),
        (6000, "2-7", "socket #0"),
        (8000, "2-9", "root"),
    ):
        node.resize("p", cpu=cpu)
        assert (node.own("p"), node.pool("p")) == (own, pool)


def test_cpus_of_its_own_shrink_to_some_that_it_has_threads_that_are_alone_last():
    node = Node()
    node.run("p", cpu=5000)
    for cpu, own in ((5000, "8-12"), (4000, "8-11"), (3000, "8-10"), (1000, "10")):
        node.resize("p", cpu=cpu)
        assert node.own("p") == own


def test_neighbours_make_room_and_come_back():
    node = Node()
    node.run("q")
    node.run("p", cpu=1000)
    assert (node.own("p"), node.cpus("q")) == ("4", "5-7")
    assert set(node.resize("p", cpu=3000).neighbours) == {key("q")}
    assert node.cpus("q") == "7"
    assert set(node.resize("p", cpu=2000).neighbours) == {key("q")}
    assert node.cpus("q") == "6-7"


def test_a_rest_comes_and_goes():
    node = Node()
    node.run("p", cpu=1000)
    node.resize("p", cpu=1500)
    assert (node.own("p"), node.cpus("p"), node.container("p").given.cpu_shares) == ("4", "4-7", 512)
    node.resize("p", cpu=1000)
    assert (node.own("p"), node.cpus("p"), node.container("p").given.cpu_shares) == ("4", "4", None)


def test_a_part_becomes_cpus_of_its_own_and_back():
    node = Node()
    node.run("p", cpu=500)
    node.resize("p", cpu=2000)
    assert (node.own("p"), node.pool("p")) == ("4-5", "NUMA node #1")
    node.resize("p", cpu=500)
    assert (node.own("p"), node.cpus("p")) == ("", "4-7")


def test_whoever_cannot_grow_where_it_is_keeps_its_cpus_and_gets_more_from_around():
    node = Node(grid(nodes=2, cores=2, threads=2))
    node.run("p", cpu=1000)
    for name, cpu in (("q", 1500), ("r", 600)):
        node.run(name, cpu=cpu, limit=4000)
    assert [node.pool(name) for name in "pqr"] == ["NUMA node #1", "NUMA node #0", "NUMA node #1"]
    node.resize("p", cpu=4000)
    assert (node.own("p"), node.pool("p")) == ("1,4-6", "socket #0")
    assert (node.cpus("q"), node.cpus("r")) == ("2-3", "7")


def test_it_rather_gets_them_from_where_nobody_has_to_move():
    node = Node()
    for name in ("a", "b", "c", "d"):
        node.run(name)
    node.run("p", cpu=1000)
    node.resize("p", cpu=5000)
    assert (node.own("p"), node.pool("p")) == ("2-6", "socket #0")
    node.resize("p", cpu=6000)
    assert node.pool("p") == "root"
    assert [node.pool(name) for name in "abcd"] == [f"NUMA node #{i}" for i in (1, 2, 3, 0)]


def test_isolated_cpus_grow_by_isolated_ones_only():
    node = Node(grid(packages=2, nodes=2, cores=2, threads=2, isolated=0b111 << 8))
    node.run("p", cpu=1000, annotations=ISOLATED)
    for cpu, isolated, exclusive in ((3000, "8-10", ""), (2000, "8-9", ""), (4000, "", "2-5")):
        node.resize("p", cpu=cpu)
        assert (node.container("p").holding.isolated, node.container("p").holding.exclusive) == (isolated, exclusive)


def test_an_isolated_cpu_that_nobody_asked_for_is_given_up_for_several_ordinary_ones():
    node = Node(grid(packages=2, nodes=2, cores=2, threads=2, isolated=0b11 << 8))
    node.run("p", cpu=1000)
    assert node.container("p").holding.isolated == "8"
    node.resize("p", cpu=2000)
    assert (node.container("p").holding.isolated, node.container("p").holding.exclusive) == ("", "10-11")


def test_ordinary_cpus_stay_although_isolated_ones_have_become_free():
    node = Node(grid(packages=2, nodes=2, cores=2, threads=2, isolated=0b11 << 8))
    for name in ("a", "b"):
        node.run(name, cpu=1000)
    node.run("p", cpu=1000)
    assert node.container("p").holding.exclusive == "4"
    node.end("a", "b")
    node.resize("p", cpu=1500)
    assert (node.own("p"), node.cpus("p")) == ("4", "4-7")


def test_isolated_cpus_are_not_added_to_ordinary_ones():
    node = Node(grid(packages=2, nodes=2, cores=2, threads=2, isolated=0b11 << 8))
    near = (Hint("/devices/x", nodes=0b100),)
    for name in ("a", "b", "p"):
        node.run(name, cpu=1000, annotations=ISOLATED, hints=near)
    assert (node.own("a"), node.own("b"), node.container("p").holding.exclusive) == ("8", "9", "10")
    node.end("a", "b")
    node.resize("p", cpu=2000)
    assert (node.container("p").holding.isolated, node.own("p")) == ("", "10-11")
    node.resize("p", cpu=4000)
    assert (node.container("p").holding.isolated, node.own("p")) == ("", "10-13")


def test_whoever_has_a_pool_to_itself_keeps_it_when_only_its_memory_changes():
    node = Node()
    node.run("p", cpu=3000)
    node.resize("p", cpu=4000)
    node.resize("p", cpu=4000, memory=GIB)
    assert (node.own("p"), node.pool("p"), node.mems("p")) == ("4-7", "NUMA node #1", "1")


def test_memory_stays_where_it_is_or_moves_up_with_the_cpus_staying():
    node = Node()
    node.run("p", cpu=1000, memory=GIB)
    for memory, mems in ((2 * GIB, "1"), (3 * GIB, "0-1"), (GIB, "0-1")):
        node.resize("p", cpu=1000, memory=memory)
        assert (node.own("p"), node.mems("p")) == ("4", mems)


def test_a_warm_container_does_not_start_cold_again():
    node = Node(C4PMEM4)
    node.run("p", cpu=500, memory=GIB, annotations=annotated("cold-start", "duration: 1s"))
    node.resize("p", cpu=500, memory=2 * GIB)
    assert node.mems("p") == "7"
    node.stage.revisit(key("p"))
    node.resize("p", cpu=500, memory=3 * GIB)
    assert node.mems("p") == "1,7"


def test_not_even_when_it_has_to_move():
    node = Node(C4PMEM4, available=cpuset("0-2"))
    node.run("p", cpu=500, annotations=annotated("cold-start", "duration: 1s"))
    node.run("q", cpu=600)
    node.run("r", cpu=300)
    assert [node.pool(name) for name in "pqr"] == ["socket #1", "socket #2", "socket #1"]
    node.stage.revisit(key("p"))
    assert node.resize("p", cpu=900).revisit_after_start_s == 0
    assert (node.pool("p"), node.mems("p")) == ("root", "0-7")


def test_a_reserved_container_stays_on_the_reserve_as_long_as_that_holds_it():
    node = Node()
    node.run("p", cpu=100, namespace="kube-system")
    for cpu, cpus in ((1000, "0"), (1001, "1-15"), (700, "0")):
        node.resize("p", cpu=cpu)
        assert (node.cpus("p"), node.pool("p")) == (cpus, "root")


def test_a_resize_that_changes_nothing_changes_nothing():
    node = Node()
    node.run("p", cpu=1500, memory=GIB)
    before = node.stage.state
    decision = node.resize("p", cpu=1500, memory=GIB)
    assert node.stage.state == before
    assert (decision.neighbours, decision.candidates) == ({}, ())
    assert decision.assignment == node.container("p").given


@pytest.mark.parametrize("asked", [{"cpu": 15000}, {"cpu": 2000, "memory": 9 * GIB}])
def test_a_resize_that_does_not_fit_is_refused_and_all_stays(asked):
    node = Node()
    node.run("p", cpu=2000, memory=GIB)
    node.run("q")
    before, containers = node.stage.state, dict(node.stage.containers)
    with pytest.raises(PolicyRefusal):
        node.resize("p", **asked)
    assert node.stage.state == before
    assert dict(node.stage.containers) == containers


def test_a_container_that_nobody_knew_is_placed():
    node = Node(available=cpuset("0-7"))
    node.run("p", cpu=1000)
    policy, container, pod = node.stage.policy, node.container("p"), node.stage.pods["p"]
    empty = policy.restore(()).state
    decision, state = policy.update(empty, container, pod)
    assert decision.assignment == container.given
    assert state == node.stage.state
    assert policy.revisit(empty, container, pod)[1] == state
