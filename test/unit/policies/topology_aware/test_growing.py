"""The tree follows from the machine, however odd that is."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.host.assembling import assembled
from cri_resmgr.host.grids import MemoryNode, grid
from cri_resmgr.policies.allocating import Allocator
from cri_resmgr.policies.contract import Context
from cri_resmgr.policies.topology_aware.growing import grown
from cri_resmgr.policies.topology_aware.limits import limits
from cri_resmgr.policies.topology_aware.tree import Pool, Tree
from cri_resmgr.values import cpusets
from cri_resmgr.values.machines import Machine, MemoryKind, Node
from unit.policies.topology_aware.nodes import O1, cpuset

DRAM, PMEM, HBM = MemoryKind.DRAM, MemoryKind.PMEM, MemoryKind.HBM


def tree_of(machine: Machine, *, available=None, reserved=O1) -> Tree:
    allocator = Allocator(machine)
    return grown(machine, limits(Context(machine, available=available, reserved=reserved), allocator), allocator)


def names(machine: Machine) -> list[str]:
    return [pool.name for pool in tree_of(machine).pools]


@pytest.mark.parametrize(
    ("counts", "pools"),
    [
        ({}, ["socket #0"]),
        ({"nodes": 2}, ["NUMA node #0", "NUMA node #1", "socket #0"]),
        ({"packages": 2}, ["socket #0", "socket #1", "root"]),
        ({"dies": 2}, ["die #0/0", "die #0/1", "socket #0"]),
        (
            {"packages": 2, "dies": 2, "nodes": 2},
            [
                *("NUMA node #0", "NUMA node #1", "die #0/0", "NUMA node #2", "NUMA node #3", "die #0/1", "socket #0"),
                *("NUMA node #4", "NUMA node #5", "die #1/0", "NUMA node #6", "NUMA node #7", "die #1/1", "socket #1"),
                "root",
            ],
        ),
    ],
)
def test_there_are_pools_where_there_is_a_choice(counts, pools):
    assert names(grid(**counts, cores=4)) == pools


@given(
    st.fixed_dictionaries({name: st.integers(1, 3) for name in ("packages", "dies", "nodes", "cores", "threads")}),
    st.integers(0, 2**12 - 1),
)
def test_children_come_first_and_are_disjoint_parts_of_what_is_around_them(counts, isolated):
    count = counts["packages"] * counts["dies"] * counts["nodes"] * counts["cores"] * counts["threads"]
    machine = grid(**counts, isolated=isolated & (1 << count) - 1 & ~1)
    pools = tree_of(machine, reserved=cpuset("0")).pools if count > 1 else ()
    for pool in pools:
        below = pools[pool.first : pool.index]
        assert {other.index for other in pools if pool.index in other.ancestors} == {other.index for other in below}
        assert pool.depth == len(pool.ancestors)
        assert pool.parent == (pool.ancestors[0] if pool.ancestors else -1)
        children = [other for other in below if other.parent == pool.index]
        assert sum(child.cpus for child in children) in {0, pool.cpus}
        assert pool.apart == (0 if children else pool.sharable)
        assert not pool.sharable & pool.isolated
        assert not pool.cpus & pool.reserved & (pool.sharable | pool.isolated)


def test_only_available_cpus_count_and_pools_without_any_stay():
    tree = tree_of(grid(nodes=2, cores=4), available=cpuset("1-3"), reserved=cpuset("1"))
    assert [(pool.name, cpusets.text(pool.cpus), cpusets.text(pool.sharable)) for pool in tree.pools] == [
        ("NUMA node #0", "1-3", "2-3"),
        ("NUMA node #1", "", ""),
        ("socket #0", "1-3", "2-3"),
    ]


def named(tree: Tree, name: str) -> Pool:
    pool = tree.named(name)
    assert pool is not None
    return pool


def test_memory_only_nodes_go_to_the_closest_node_and_among_equals_to_the_poorest_of_their_kind():
    equals = [
        [10, 11, 17, 17, 17],
        [11, 10, 17, 17, 17],
        [17, 17, 10, 28, 28],
        [17, 17, 28, 10, 28],
        [17] * 2 + [28] * 2 + [10],
    ]
    memory = [MemoryNode(100, PMEM, 0, 17), MemoryNode(100, PMEM, 0, 17), MemoryNode(100, HBM, 0, 17)]
    tree = tree_of(grid(nodes=2, cores=2, distances=equals, memory_nodes=memory))
    assert named(tree, "NUMA node #0").nodes == (1 << 2, 1 << 0, 1 << 4)
    assert named(tree, "NUMA node #1").nodes == (1 << 3, 1 << 1, 0)
    assert tree.root.memory_bytes == (200, 4 << 30, 100)


def test_memory_only_dram_is_memory_like_any_other():
    tree = tree_of(grid(nodes=2, cores=2, memory_nodes=[MemoryNode(100, DRAM, 1, 17)]))
    assert named(tree, "NUMA node #1").nodes == (0, 0b110, 0)


def test_a_pool_without_memory_has_its_home_around_it():
    tree = tree_of(grid(packages=2, nodes=2, cores=2, memory_bytes=[0, 0, 100, 0]))
    homes = {pool.name: tree.pools[pool.home].name for pool in tree.pools}
    assert homes == {
        "NUMA node #0": "root",
        "NUMA node #1": "root",
        "socket #0": "root",
        "NUMA node #2": "NUMA node #2",
        "NUMA node #3": "socket #1",
        "socket #1": "socket #1",
        "root": "root",
    }


def test_without_numa_packages_are_pools_and_memory_is_everywhere():
    machine = assembled(
        dies={(0, 0): 0b11, (1, 0): 0b1100}, cores=[1, 2, 4, 8], nodes=[Node(0, 0b1111, 100, distances={0: 10})]
    )
    tree = tree_of(machine)
    assert [pool.name for pool in tree.pools] == ["socket #0", "socket #1", "root"]
    assert [tree.pools[pool.home].name for pool in tree.pools] == ["root", "root", "root"]


def test_dies_that_share_a_node_are_no_pools():
    machine = assembled(
        dies={(0, 0): 0b11, (0, 1): 0b1100}, cores=[1, 2, 4, 8], nodes=[Node(0, 0b1111, 100, distances={0: 10})]
    )
    assert names(machine) == ["socket #0"]


def test_memory_of_nodes_that_no_cpu_is_near_belongs_to_the_whole():
    machine = replace(grid(packages=2, cores=2), nodes=(Node(0, 0, 100, distances={0: 10}),))
    assert [pool.memory_bytes for pool in tree_of(machine).pools] == [(0, 0, 0), (0, 0, 0), (0, 100, 0)]


def test_mems_are_of_the_wanted_tiers_or_else_dram_or_else_whatever_there_is():
    tree = tree_of(grid(memory_nodes=[MemoryNode(9, PMEM, 0, 17), MemoryNode(9, HBM, 0, 17)], cores=2))
    assert [tree.root.mems(wanted) for wanted in [(0,), (1,), (2,), (0, 2)]] == [0b010, 0b001, 0b100, 0b110]
    poor = tree_of(grid(cores=2, memory_bytes=0, memory_nodes=[MemoryNode(9, HBM, 0, 17)]))
    assert poor.root.mems((0,)) == 0b10
    assert tree_of(grid(cores=2)).root.mems((0, 2)) == 1
