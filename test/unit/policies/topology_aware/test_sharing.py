"""Shared sets shrink and grow, and are never too small for those who share."""

import pytest

from cri_resmgr.policies.contract import PolicyRefusal
from unit.policies.topology_aware.nodes import C4PMEM4, Node, cpuset, key


def test_who_shares_leaves_cpus_that_somebody_gets_and_comes_back():
    node = Node()
    for name in ("a", "b", "c", "d"):
        node.run(name)
    assert [node.cpus(name) for name in "abcd"] == ["4-7", "8-11", "12-15", "1-3"]
    decision = node.run("own", cpu=2000)
    assert node.own("own") == "4-5"
    assert {name: change.assignment.cpuset_cpus for name, change in decision.neighbours.items()} == {key("a"): "6-7"}
    gone = node.stage.exit(key("own"))
    assert {name: change.assignment.cpuset_cpus for name, change in gone.neighbours.items()} == {key("a"): "4-7"}


def test_whoever_shares_in_a_larger_pool_leaves_them_too():
    node = Node()
    node.run("wide", cpu=9000, limit=10000)
    node.run("socket", cpu=5000, limit=6000)
    assert (node.pool("wide"), node.pool("socket")) == ("root", "socket #0")
    assert set(node.run("own", cpu=1000).neighbours) == {key("wide"), key("socket")}
    assert (node.own("own"), node.cpus("wide"), node.cpus("socket")) == ("1", "2-15", "2-7")
    with pytest.raises(PolicyRefusal):
        node.run("more", cpu=1000)


def test_who_has_cpus_of_its_own_only_is_nobodys_neighbour():
    node = Node()
    node.run("a", cpu=1000)
    assert node.run("b", cpu=13000).neighbours == {}
    assert node.own("b") == "1-3,6-15"


def test_a_mixed_container_competes_on_the_shared_set_with_its_rest():
    node = Node()
    assert node.run("mixed", cpu=1500).neighbours == {}
    assert node.container("mixed").given.cpu_shares == 512
    assert (node.own("mixed"), node.cpus("mixed")) == ("4", "4-7")
    node.run("own", cpu=1000)
    node.run("shared", cpu=500)
    assert [node.container(name).given.cpu_shares for name in ("own", "shared")] == [None, None]


def test_a_mixed_containers_shared_part_moves_with_the_set():
    node = Node(available=cpuset("4-8"), reserved=cpuset("8"))
    node.run("mixed", cpu=1500)
    assert node.run("own", cpu=1000).neighbours[key("mixed")].assignment.cpuset_cpus == "4,6-7"


def test_slices_of_a_large_pool_spare_parts_that_need_all_they_have():
    """The predecessor empties the set of the first container, which then overlaps somebody's own CPU."""
    node = Node(C4PMEM4)
    node.run("a", cpu=200)
    node.run("b", cpu=200)
    assert (node.cpus("a"), node.cpus("b")) == ("1", "2")
    node.run("mixed", cpu=1200)
    assert (node.pool("mixed"), node.own("mixed")) == ("root", "3")
    assert (node.cpus("a"), node.cpus("b"), node.cpus("mixed")) == ("1", "2", "1-3")


def test_where_sparing_everybody_leaves_too_little_some_move_up():
    node = Node()
    for name in ("a", "b", "c", "d"):
        node.run(name)
    decision = node.run("own", cpu=12000)
    moved = {name: (change.holding.pool, change.assignment.cpuset_cpus) for name, change in decision.neighbours.items()}
    shared = "1,6-7"
    assert node.own("own") == "2-5,8-15"
    assert moved == {
        key("a"): ("NUMA node #1", "6-7"),
        key("b"): ("root", shared),
        key("c"): ("root", shared),
        key("d"): ("NUMA node #0", "1"),
    }


def test_the_heaviest_moves_up_first_so_that_few_do():
    node = Node(available=cpuset("0-3,8-11"))
    for name, cpu in (("a", 1100), ("b", 600), ("c", 300), ("d", 500)):
        node.run(name, cpu=cpu, limit=4000)
    assert [node.pool(name) for name in "abcd"] == ["NUMA node #2", "NUMA node #0", "NUMA node #2", "NUMA node #0"]
    node.run("own", cpu=4000)
    assert node.own("own") == "2-3,8-9"
    assert [node.pool(name) for name in "abcd"] == ["NUMA node #2", "root", "NUMA node #2", "NUMA node #0"]


def test_a_pool_may_be_used_up_when_nothing_else_is_left():
    node = Node()
    node.run("all", cpu=15000)
    assert (node.own("all"), node.pool("all")) == ("1-15", "root")


def test_the_last_cpu_stays_for_those_who_share():
    node = Node()
    node.run("best-effort")
    with pytest.raises(PolicyRefusal, match="short of 1000m of CPU: root;"):
        node.run("all", cpu=15000)
    node.run("nearly", cpu=14000)
    assert node.cpus("best-effort")


def test_what_is_promised_stays_too():
    node = Node()
    node.run("shared", cpu=1001, limit=2000)
    with pytest.raises(PolicyRefusal):
        node.run("own", cpu=14000)
    node.run("own", cpu=13000)


def test_who_needs_nothing_finds_no_place_only_where_nothing_is_shared():
    node = Node(available=cpuset("0-1"))
    node.run("own", cpu=1000)
    with pytest.raises(PolicyRefusal, match=r"BestEffort.*short of 1000m of CPU: root.*End something that holds CPUs"):
        node.run("best-effort")


def test_who_needs_nothing_stays_away_from_where_next_to_nothing_is_left():
    node = Node(C4PMEM4, available=cpuset("0-2"))
    for name, cpu in (("a", 999), ("b", 100), ("c", 100)):
        node.run(name, cpu=cpu, limit=1000)
    assert [node.pool(name) for name in "abc"] == ["socket #1", "socket #2", "socket #2"]
    node.run("best-effort")
    assert node.pool("best-effort") == "socket #2"


def test_reserved_cpus_are_no_way_out():
    node = Node(available=cpuset("0-1"))
    node.run("own", cpu=1000)
    assert node.cpus("own") == "1"
    with pytest.raises(PolicyRefusal):
        node.run("more", cpu=1000)


def test_a_pool_that_would_be_used_up_is_taken_before_anybody_has_to_move():
    node = Node(available=cpuset("0-1,4-7"))
    node.run("a")
    node.run("b", cpu=100)
    assert (node.pool("a"), node.pool("b")) == ("NUMA node #1", "NUMA node #0")
    node.end("a")
    node.run("own", cpu=4000)
    assert (node.own("own"), node.cpus("b")) == ("4-7", "1")
