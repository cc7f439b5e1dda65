"""NUMA nodes: what memory there is, what it is made of, and how far away."""

from pathlib import Path

import pytest

from cri_resmgr.errors import BadInput
from cri_resmgr.host.grids import MemoryNode, grid
from cri_resmgr.host.topology import discover
from cri_resmgr.values.machines import MemoryKind
from equipment.sysfs_tree import NODE, put, write


def refusal(root: Path) -> str:
    with pytest.raises(BadInput) as refused:
        discover(root)
    return str(refused.value)


def test_a_node_may_have_cpus_and_no_memory(tmp_path):
    machine = grid(nodes=2, memory_bytes=[4 << 30, 0])
    found = discover(write(machine, tmp_path))
    assert [(node.cpus, node.memory_bytes, node.normal) for node in found.nodes] == [(1, 4 << 30, True), (2, 0, False)]


def test_a_node_with_nothing_is_left_out_and_nobody_is_far_from_it(tree):
    put(tree, {f"{NODE}/node3/meminfo": "Node 3 MemTotal: 0 kB", f"{NODE}/node3/cpulist": ""})
    found = discover(tree)
    assert [(node.id, list(node.distances)) for node in found.nodes] == [(0, [0, 1, 2]), (1, [0, 1, 2]), (2, [0, 1, 2])]
    assert found.packages[1].nodes == 0b100


def test_small_memory_without_cpus_is_hbm_and_other_is_pmem(tmp_path):
    near = [MemoryNode(size, MemoryKind.DRAM, 0, 17) for size in ((2 << 30) - 1024, 2 << 30, 64 << 30)]
    machine = grid(packages=2, memory_bytes=[1 << 30, 3 << 30], memory_nodes=near)
    kinds = [node.kind for node in discover(write(machine, tmp_path)).nodes]
    assert kinds == [MemoryKind.DRAM, MemoryKind.DRAM, MemoryKind.HBM, MemoryKind.PMEM, MemoryKind.PMEM]


def test_all_memory_is_dram_where_none_is_beside_cpus(tmp_path):
    machine = grid(memory_bytes=0, memory_nodes=[MemoryNode(1 << 30, MemoryKind.DRAM, 0, 17)])
    assert [node.kind for node in discover(write(machine, tmp_path)).nodes] == [MemoryKind.DRAM] * 2


def test_memory_beside_cpus_that_are_all_offline_is_still_dram(tmp_path):
    machine = grid(packages=2, cores=2, offline=0b1100, memory_bytes=[1 << 30, 8 << 30])
    assert discover(write(machine, tmp_path)).nodes[1].kind is MemoryKind.DRAM


def test_memory_that_is_only_movable_is_not_normal(tree):
    put(tree, {f"{NODE}/has_normal_memory": "0-2"})
    assert [node.normal for node in discover(tree).nodes] == [True, True, True, False]
    (tree / NODE / "has_normal_memory").unlink()
    assert all(node.normal for node in discover(tree).nodes)


def test_distances_that_are_not_symmetric_are_averaged(tree):
    put(tree, {f"{NODE}/node0/distance": "10 15 21 31"})
    found = discover(tree)
    assert found.nodes[0].distances == {0: 10, 1: 13, 2: 21, 3: 26}
    assert found.nodes[3].distances[0] == 26


def test_nodes_may_have_gaps_in_their_numbers(tree):
    (tree / NODE / "node3").rename(tree / NODE / "node8")
    found = discover(tree)
    assert [node.id for node in found.nodes] == [0, 1, 2, 8]
    assert found.nodes[0].distances == {0: 10, 1: 11, 2: 21, 8: 21}
    assert found.dies[1].nodes == 0b100000100


def test_a_node_that_spans_packages_is_in_both_and_says_the_first(tree):
    for node in (1, 2, 3):
        for file in (tree / NODE / f"node{node}").iterdir():
            file.unlink() if file.is_file() else file.rmdir()
        (tree / NODE / f"node{node}").rmdir()
    put(tree, {f"{NODE}/node0/cpulist": "0-15", f"{NODE}/node0/distance": "10"})
    found = discover(tree)
    assert [package.nodes for package in found.packages] == [1, 1]
    assert (found.nodes[0].package, found.nodes[0].die) == (0, 0)


def test_a_kernel_without_numa_has_one_node_with_all_memory(tree):
    (tree / NODE).rename(tree / "elsewhere")
    put(tree, {"proc/meminfo": "MemTotal:       16384 kB\nMemFree:        1 kB"})
    (node,) = discover(tree).nodes
    assert (node.id, node.cpus, node.memory_bytes, node.distances) == (0, 0xFFFF, 16 << 20, {0: 10})
    assert (node.kind, node.normal, node.package) == (MemoryKind.DRAM, True, 0)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("node1/cpulist", None, "No such file or directory; expected a list such as 0-3,8"),
        ("node1/cpulist", "3-7", "'3-7'; expected CPUs of this node only, 3 is another's already"),
        ("node1/cpulist", "x", "'x'; expected a list such as 0-3,8"),
        ("node1/distance", None, "No such file or directory; expected 4 distances"),
        ("node1/distance", "10 11 21", "'10 11 21'; expected 4 distances, one for each node there is"),
        ("node1/distance", "10 11 21 -1", "expected 4 distances"),
        ("node1/meminfo", None, "No such file or directory; expected a line such as 'MemTotal: 16384 kB'"),
        ("node1/meminfo", "Node 1 MemFree: 1 kB", "no total of memory; expected a line such as 'MemTotal: 16384 kB'"),
        ("node1/meminfo", "Node 1 MemTotal: many kB", "no total of memory"),
        ("node1/meminfo", "Node 1 MemTotal: 1 GB", "no total of memory"),
        ("has_normal_memory", "yes", "'yes'; expected a list such as 0-3,8"),
    ],
)
def test_a_file_of_a_node_that_is_missing_or_contradicts_is_named(tree, file, content, message):
    path = tree / NODE / file
    path.unlink()
    if content is not None:
        path.write_text(content)
    assert refusal(tree).startswith(f"{path}: ")
    assert message in refusal(tree)


def test_a_machine_without_numa_and_without_procfs_is_told_which_file_is_missing(tree):
    (tree / NODE).rename(tree / "elsewhere")
    assert refusal(tree).startswith(f"{tree}/proc/meminfo: No such file or directory")
