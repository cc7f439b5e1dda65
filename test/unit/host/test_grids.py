"""Machines from a few numbers are regular, and what cannot be is refused by the argument's name."""

import pytest

from cri_resmgr.errors import BadInput
from cri_resmgr.host.grids import MemoryNode, grid
from cri_resmgr.values import cpusets
from cri_resmgr.values.machines import Cache, Core, Die, MemoryKind, Package

GIB = 1 << 30


def lists(sets) -> list[str]:
    return [cpusets.text(part.cpus) for part in sets]


def rows(machine) -> list[list[int]]:
    return [list(node.distances.values()) for node in machine.nodes]


def test_counts_are_per_the_level_above():
    machine = grid(packages=2, dies=2, nodes=2, cores=2, threads=2)
    assert cpusets.text(machine.online) == "0-31"
    assert machine.packages == (Package(0, 0xFFFF, 0b1111, (0, 1)), Package(1, 0xFFFF << 16, 0b11110000, (0, 1)))
    assert lists(machine.dies) == ["0-7", "8-15", "16-23", "24-31"]
    assert machine.dies[3] == Die(1, 1, 0xFF << 24, 0b11000000)
    assert lists(machine.nodes) == ["0-3", "4-7", "8-11", "12-15", "16-19", "20-23", "24-27", "28-31"]
    assert [(node.package, node.die) for node in machine.nodes] == [(0, 0)] * 2 + [(0, 1)] * 2 + [(1, 0)] * 2 + [
        (1, 1)
    ] * 2
    assert len(machine.cores) == 16
    assert machine.cores[15] == Core(15, 1, 1, 0b11 << 30)


def test_the_smallest_machine_is_one_cpu_with_its_memory():
    machine = grid()
    assert (machine.online, len(machine.cores), len(machine.packages)) == (1, 1, 1)
    assert [(node.cpus, node.memory_bytes, node.distances) for node in machine.nodes] == [(1, 2 * GIB, {0: 10})]
    assert (machine.core_kinds, machine.priorities, machine.isolated, machine.offline) == ({}, {}, 0, 0)


def test_siblings_are_neighbours_or_in_the_second_half():
    assert lists(grid(cores=3, threads=2).cores) == ["0-1", "2-3", "4-5"]
    assert lists(grid(cores=3, threads=2, numbering="linux").cores) == ["0,3", "1,4", "2,5"]
    two_nodes = grid(nodes=2, cores=2, threads=2, numbering="linux")
    assert lists(two_nodes.nodes) == ["0-1,4-5", "2-3,6-7"]


def test_a_die_has_one_level_3_cache_and_a_core_one_of_level_2():
    machine = grid(dies=2, cores=2, threads=2)
    assert [(cache.level, cpusets.text(cache.cpus)) for cache in machine.caches] == [
        (2, "0-1"),
        (2, "2-3"),
        (2, "4-5"),
        (2, "6-7"),
        (3, "0-3"),
        (3, "4-7"),
    ]
    assert machine.caches[-1] == Cache(3, "Unified", 16 << 20, 0xF0)


def test_what_is_offline_belongs_to_nothing():
    machine = grid(packages=2, cores=2, threads=2, offline=cpusets.parse("1,4-7"), isolated=cpusets.parse("0-1"))
    assert cpusets.text(machine.offline) == "1,4-7"
    assert cpusets.text(machine.online) == "0,2-3"
    assert cpusets.text(machine.isolated) == "0"
    assert lists(machine.cores) == ["0", "2-3"]
    assert [package.id for package in machine.packages] == [0]
    assert len(machine.dies) == 1
    assert [cpusets.text(cache.cpus) for cache in machine.caches] == ["0", "2-3", "0,2-3"]
    emptied = machine.nodes[1]
    assert (emptied.cpus, emptied.memory_bytes, emptied.kind) == (0, 2 * GIB, MemoryKind.DRAM)
    assert (emptied.package, emptied.die) == (None, None)


def test_memory_is_the_same_everywhere_or_told_for_each_node():
    assert [node.memory_bytes for node in grid(nodes=2, memory_bytes=GIB).nodes] == [GIB, GIB]
    some = grid(nodes=2, memory_bytes=[3 * GIB, 0]).nodes
    assert [(node.memory_bytes, node.normal) for node in some] == [(3 * GIB, True), (0, False)]


def test_distances_are_what_firmware_usually_says():
    assert rows(grid(packages=2, nodes=2)) == [[10, 11, 21, 21], [11, 10, 21, 21], [21, 21, 10, 11], [21, 21, 11, 10]]


def test_memory_only_nodes_come_last_and_are_as_far_as_the_node_that_they_are_near_and_further():
    machine = grid(
        packages=2, memory_nodes=[MemoryNode(4 * GIB, MemoryKind.PMEM, 1, 17), MemoryNode(GIB, MemoryKind.HBM, 0, 12)]
    )
    assert [(node.id, node.cpus, node.memory_bytes, node.kind, node.package) for node in machine.nodes[2:]] == [
        (2, 0, 4 * GIB, MemoryKind.PMEM, None),
        (3, 0, GIB, MemoryKind.HBM, None),
    ]
    assert rows(machine) == [[10, 21, 28, 12], [21, 10, 17, 23], [28, 17, 10, 28], [12, 23, 28, 10]]
    assert [package.nodes for package in machine.packages] == [1, 2]


def test_two_memory_nodes_near_the_same_node_are_as_far_apart_as_the_farther_is_from_it():
    pair = [MemoryNode(GIB, MemoryKind.PMEM, 0, distance) for distance in (17, 28)]
    assert rows(grid(memory_nodes=pair)) == [[10, 17, 28], [17, 10, 28], [28, 28, 10]]


def test_a_matrix_may_be_for_the_nodes_with_cpus_or_for_all():
    near = [MemoryNode(GIB, MemoryKind.PMEM, 1, 20)]
    assert rows(grid(nodes=2, distances=[[10, 40], [40, 10]], memory_nodes=near)) == [
        [10, 40, 50],
        [40, 10, 20],
        [50, 20, 10],
    ]
    every = [[10, 40, 31], [40, 10, 32], [31, 32, 10]]
    assert rows(grid(nodes=2, distances=every, memory_nodes=near)) == every


def test_there_and_back_is_one_distance():
    assert rows(grid(nodes=2, distances=[[10, 20], [31, 10]])) == [[10, 25], [25, 10]]


def test_no_distance_is_beyond_what_firmware_can_say():
    far = [MemoryNode(GIB, MemoryKind.PMEM, 0, 200)]
    assert max(map(max, rows(grid(packages=2, distances=[[10, 200], [200, 10]], memory_nodes=far)))) == 254


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"packages": 0}, "packages is 0; it must be 1 or more"),
        ({"dies": -1}, "dies is -1"),
        ({"nodes": 0}, "nodes is 0"),
        ({"cores": 0}, "cores is 0"),
        ({"threads": 0}, "threads is 0"),
        ({"cores": 8193}, "make 8193 CPUs; 8192 is the most"),
        ({"packages": 1025}, "more than 1024 nodes"),
        ({"isolated": 0b100, "cores": 2}, "isolated is 2; there are CPUs 0 to 1 only"),
        ({"offline": 0b1000, "cores": 2}, "offline is 3"),
        ({"offline": 0b11, "cores": 2}, "offline has all CPUs"),
        ({"numbering": "odd"}, "numbering is 'odd'; it must be adjacent or linux"),
        ({"memory_bytes": -1}, "memory_bytes has -1"),
        ({"memory_bytes": [1, 2, 3], "nodes": 2}, "memory_bytes has 3 values for 2 nodes"),
        ({"distances": [[10, 11]]}, "distances must be a square matrix with 1 rows"),
        ({"distances": [[10]], "nodes": 2}, "distances must be a square matrix with 2 rows"),
        ({"distances": [[11]]}, "distances has 11 from node 0 to 0"),
        ({"distances": [[10, 10], [10, 10]], "nodes": 2}, "distances has 10 from node 0 to 1"),
        ({"distances": [[10, 255], [255, 10]], "nodes": 2}, "distances has 255 from node 0 to 1"),
        ({"memory_nodes": [MemoryNode(GIB, MemoryKind.HBM, 1, 11)]}, "memory_nodes[0].near is 1"),
        (
            {"memory_nodes": [MemoryNode(GIB, MemoryKind.HBM, 0, 10)]},
            "memory_nodes[0].distance is 10; it must be 11 to 254",
        ),
        ({"memory_nodes": [MemoryNode(0, MemoryKind.HBM, 0, 11)]}, "memory_nodes[0].memory_bytes is 0"),
    ],
)
def test_what_cannot_be_is_refused_by_the_arguments_name(arguments, message):
    with pytest.raises(BadInput) as refused:
        grid(**arguments)
    assert message in str(refused.value)
