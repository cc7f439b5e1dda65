"""The predecessor's unit tests of this policy: the tree, the filter for memory, affinities, containers that move."""

from collections import Counter

import pytest

from cri_resmgr.host.assembling import assembled
from cri_resmgr.host.distances import extended
from cri_resmgr.host.grids import grid
from cri_resmgr.policies.allocating import Allocator
from cri_resmgr.policies.contract import Context
from cri_resmgr.policies.topology_aware import asking, attracting
from cri_resmgr.policies.topology_aware.capacity import capacity
from cri_resmgr.policies.topology_aware.growing import grown
from cri_resmgr.policies.topology_aware.limits import limits
from cri_resmgr.policies.topology_aware.ordering import ranked
from cri_resmgr.policies.topology_aware.scoring import Score, scores
from cri_resmgr.policies.topology_aware.settings import Settings
from cri_resmgr.policies.topology_aware.state import Draft, empty
from cri_resmgr.policies.topology_aware.tree import Tree
from cri_resmgr.values import cpusets
from cri_resmgr.values.machines import Machine, MemoryKind
from cri_resmgr.values.machines import Node as MemoryNode
from cri_resmgr.values.workloads import Container, Pod
from unit.policies.topology_aware.nodes import O1, Node, resources

GIB = 1 << 30


def server() -> Machine:
    """112 CPUs, those of node i being i modulo 4; nodes 0 and 2 are a package, 1 and 3 are; PMEM is near 0 and 2."""
    cpus = [cpusets.of(range(i, 112, 4)) for i in range(4)]
    rows = extended([[10, 21, 11, 21], [21, 10, 21, 11], [11, 21, 10, 21], [21, 11, 21, 10]], [(0, 17), (2, 17)])
    parts = [(cpus[i], 32 * GIB, MemoryKind.DRAM) for i in range(4)] + [(0, 126 * GIB, MemoryKind.PMEM)] * 2
    return assembled(
        dies={(0, 0): cpus[0] | cpus[2], (1, 0): cpus[1] | cpus[3]},
        cores=[1 << i | 1 << i + 56 for i in range(56)],
        nodes=[MemoryNode(i, *part, distances=dict(enumerate(rows[i]))) for i, part in enumerate(parts)],
        isolated=cpusets.parse("4-7,60-63"),
    )


SERVER = server()
DESKTOP = grid(cores=10, threads=2)
FOUR_SOCKETS = grid(packages=4, cores=18, threads=2)


def tree_of(machine: Machine) -> Tree:
    allocator = Allocator(machine)
    return grown(machine, limits(Context(machine, reserved=O1), allocator), allocator)


@pytest.mark.parametrize(
    ("machine", "sizes"),
    [
        (DESKTOP, {"socket #0": 20}),
        (
            SERVER,
            {
                "NUMA node #0": 28,
                "NUMA node #2": 28,
                "socket #0": 56,
                "NUMA node #1": 28,
                "NUMA node #3": 28,
                "socket #1": 56,
                "root": 112,
            },
        ),
        (FOUR_SOCKETS, {"socket #0": 36, "socket #1": 36, "socket #2": 36, "socket #3": 36, "root": 144}),
    ],
    ids=["desktop", "server", "4-socket-server-nosnc"],
)
def test_pool_creation(machine, sizes):
    tree = tree_of(machine)
    assert [(pool.index, pool.name) for pool in tree.pools] == list(enumerate(sizes))
    assert [pool.cpus.bit_count() for pool in tree.pools] == list(sizes.values())
    assert tree.root.reserved == 1


def test_pool_creation_finds_isolated_cpus_and_pmem():
    tree = tree_of(SERVER)
    leaf = tree.named("NUMA node #2")
    assert (leaf.isolated.bit_count(), leaf.sharable.bit_count()) == (2, 26)
    assert {pool.name: pool.nodes for pool in tree.pools if pool.nodes[0]} == {
        "NUMA node #0": (1 << 4, 1 << 0, 0),
        "NUMA node #2": (1 << 5, 1 << 2, 0),
        "socket #0": (3 << 4, 0b101, 0),
        "root": (3 << 4, 0b1111, 0),
    }


def looked_at(*, cpu: int, memory: int, pulls: dict[str, int] | None = None) -> list[Score]:
    """The pools of the server for a Guaranteed container, the best first."""
    tree = tree_of(SERVER)
    draft = Draft(tree, empty(tree))
    terms = asking.terms(Settings(), SERVER, tree=tree, pinnable_handlers=frozenset({""}))
    container = Container("p", "c", 0, asked=resources(cpu=cpu, limit=cpu, memory=memory))
    request = asking.request(container, Pod("p", "p", "default", "p", "/kubepods/podp"), terms)
    felt = attracting.spread(draft, Counter({tree.named(name).index: weight for name, weight in (pulls or {}).items()}))
    wish = next(request.wishes(warm=False))
    return ranked(scores(draft, request, wish, capacity=capacity(draft), pulls=felt), request)


@pytest.mark.parametrize(("cpu", "is_leaf"), [(25_000, True), (29_000, False)])
def test_workload_placement_by_cpu(cpu, is_leaf):
    pool = looked_at(cpu=cpu, memory=10_000)[0].pool
    assert (pool.first == pool.index) is is_leaf


def test_workload_placement_by_memory():
    found = looked_at(cpu=28_000, memory=190 * 10**9)
    assert {score.pool.name for score in found if score.short_bytes <= 0} == {"socket #0", "root"}


@pytest.mark.parametrize(
    ("pulls", "pool"),
    [
        ({}, "NUMA node #2"),
        ({"NUMA node #1": 1}, "NUMA node #1"),
        ({"socket #1": 1}, "socket #1"),
        ({"socket #1": 1, "NUMA node #1": 1}, "NUMA node #1"),
        ({"NUMA node #1": 1, "NUMA node #3": 1}, "socket #1"),
        ({"NUMA node #1": 2, "NUMA node #3": 1}, "socket #1"),
        ({"NUMA node #1": 3, "NUMA node #3": 1}, "NUMA node #1"),
        ({"NUMA node #0": 2, "NUMA node #3": 2, "socket #1": 1}, "root"),
        ({"NUMA node #0": 1, "NUMA node #3": 1, "socket #1": 1}, "root"),
        ({"NUMA node #0": 1, "NUMA node #3": 1, "socket #1": 2}, "socket #1"),
    ],
    ids=str,
)
def test_affinities(pulls, pool):
    assert looked_at(cpu=3000, memory=10_000, pulls=pulls)[0].pool.name == pool


def homes(node: Node) -> list[str]:
    return [grant.home.name for grant in node.stage.state.grants.values()]


def test_container_move_is_not_needed_by_the_small():
    node = Node(SERVER)
    for i in range(3):
        node.run(f"p{i}", memory=1000)
    leaves = [pool.name for pool in tree_of(SERVER).pools if pool.first == pool.index]
    assert set(homes(node)) <= set(leaves)


def test_container_move_makes_room_for_the_large():
    node = Node(SERVER)
    node.run("p0", memory=1000)
    assert homes(node) == ["NUMA node #2"]
    moved = node.run("p1", memory=190 * 10**9).neighbours
    assert list(moved) == ["p0/c0/0"]
    node.run("p2", memory=140 * 10**9)
    assert [node.pool(f"p{i}") for i in range(3)] == ["NUMA node #2", "socket #0", "socket #0"]
    assert homes(node) == ["socket #0"] * 3
    assert [node.mems(f"p{i}") for i in range(3)] == ["0,2,4-5"] * 3
