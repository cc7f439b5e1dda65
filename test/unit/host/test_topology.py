"""What sysfs says is what the machine is; what it cannot mean is refused by the file's name."""

import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cri_resmgr.errors import BadInput
from cri_resmgr.host.grids import MemoryNode, grid
from cri_resmgr.host.topology import discover
from cri_resmgr.values import cpusets
from cri_resmgr.values.machines import Cache, MemoryKind
from equipment.sysfs_tree import CPU, put, write

CAPTURED = Path(__file__).parents[2] / "data" / "sysfs"
PMEM = [MemoryNode(2 << 30, MemoryKind.PMEM, near, 17) for near in (2, 3, 0, 1)]


def refusal(root: Path) -> str:
    with pytest.raises(BadInput) as refused:
        discover(root)
    return str(refused.value)


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("n4c16", {"packages": 2, "nodes": 2, "cores": 2, "threads": 2}),
        ("n4d4c16", {"packages": 2, "dies": 2, "cores": 2, "threads": 2}),
        ("n4c8", {"packages": 2, "nodes": 2, "cores": 1, "threads": 2}),
        ("c4pmem4", {"packages": 4, "memory_nodes": PMEM}),
    ],
)
def test_a_captured_machine_is_the_grid_that_qemu_was_told_to_make(name, numbers, tmp_path):
    with tarfile.open(CAPTURED / f"{name}.tgz") as tar:
        tar.extractall(tmp_path, filter="data")
    found = discover(tmp_path)
    sizes = {node.id: node.memory_bytes for node in found.nodes}
    told = grid(**numbers)
    # A guest's kernel takes its share of the memory first, so sizes are the only thing that differs.
    assert all(0.85 < sizes[node.id] / (node.memory_bytes / (2 if node.cpus else 1)) < 1 for node in told.nodes)
    extras = [
        MemoryNode(sizes[i], extra.kind, extra.near, extra.distance)
        for i, extra in enumerate(numbers.get("memory_nodes", ()), 4)
    ]
    assert found == grid(**numbers | {"memory_bytes": [sizes[i] for i in range(4)], "memory_nodes": extras})


@st.composite
def machines(draw):
    """Grids as a kernel could show them: what a node's memory is made of follows from its size."""
    most = {"packages": 3, "dies": 2, "nodes": 2, "cores": 3, "threads": 2}
    counts = {name: draw(st.integers(1, count)) for name, count in most.items()}
    cpu_nodes = counts["packages"] * counts["dies"] * counts["nodes"]
    cpus = cpu_nodes * counts["cores"] * counts["threads"]
    sizes = [kib << 10 for kib in draw(st.lists(st.integers(1, 1 << 30), min_size=cpu_nodes, max_size=cpu_nodes))]
    average = sum(sizes) / cpu_nodes
    extras = []
    for near in draw(st.lists(st.integers(0, cpu_nodes - 1), max_size=3)):
        size = draw(st.integers(1, 1 << 31)) << 10
        kind = MemoryKind.HBM if size < average else MemoryKind.PMEM
        extras.append(MemoryNode(size, kind, near, draw(st.integers(11, 100))))
    return grid(
        **counts,
        memory_bytes=sizes,
        isolated=draw(st.integers(0, (1 << cpus) - 1)),
        offline=draw(st.integers(0, (1 << cpus) - 2)),
        numbering=draw(st.sampled_from(["adjacent", "linux"])),
        memory_nodes=extras,
    )


@settings(max_examples=40)  # each writes up to a thousand files
@given(machine=machines())
def test_a_machine_that_is_written_out_is_discovered_as_the_same(machine, tmp_path_factory):
    assert discover(write(machine, tmp_path_factory.mktemp("machine"))) == machine


def test_this_machine_is_discovered_and_every_cpu_has_its_place():
    found = discover()
    assert found.online
    for parts in (found.packages, found.dies, found.cores, found.nodes):
        assert sum(part.cpus for part in parts) == found.online


# -- CPUs


def test_offline_cpus_are_known_and_have_no_place(tmp_path):
    machine = grid(packages=2, cores=2, threads=2, offline=cpusets.parse("1,6-7"))
    found = discover(write(machine, tmp_path))
    assert cpusets.text(found.offline) == "1,6-7"
    assert [cpusets.text(package.cpus) for package in found.packages] == ["0,2-3", "4-5"]


def test_only_online_cpus_are_isolated(tree):
    put(tree, {f"{CPU}/isolated": "2-3,99"})
    assert cpusets.text(discover(tree).isolated) == "2-3"


def test_a_kernel_without_isolation_isolates_nothing(tree):
    (tree / CPU / "isolated").unlink()
    assert discover(tree).isolated == 0


def test_dies_count_from_0_in_each_package_however_the_kernel_numbers_them(tree):
    per_package = {0: 4, 1: 4, 2: 6, 3: 6}  # by node
    put(tree, {f"{CPU}/cpu{cpu}/topology/die_id": per_package[cpu // 4] + cpu // 4 for cpu in range(16)})
    assert [(die.package, die.id, cpusets.text(die.cpus)) for die in discover(tree).dies] == [
        (0, 0, "0-3"),
        (0, 1, "4-7"),
        (1, 0, "8-11"),
        (1, 1, "12-15"),
    ]


def test_without_die_ids_a_package_is_one_die(tree):
    for cpu in range(16):
        (tree / f"{CPU}/cpu{cpu}/topology/die_id").unlink()
    assert [(die.package, die.id) for die in discover(tree).dies] == [(0, 0), (1, 0)]


def test_firmware_that_knows_no_packages_has_one(tree):
    put(tree, {f"{CPU}/cpu{cpu}/topology/physical_package_id": -1 for cpu in range(16)})
    assert [(package.id, package.cpus) for package in discover(tree).packages] == [(0, 0xFFFF)]


def test_packages_keep_the_kernels_numbers_and_cores_count_through(tree):
    put(tree, {f"{CPU}/cpu{cpu}/topology/physical_package_id": 36 for cpu in range(8, 16)})
    found = discover(tree)
    assert [package.id for package in found.packages] == [0, 36]
    assert [core.id for core in found.cores] == list(range(8))
    assert found.nodes[3].package == 36


def test_a_hybrid_machine_has_two_kinds_of_cores(tree):
    put(tree, {"sys/devices/cpu_core/cpus": "0-7", "sys/devices/cpu_atom/cpus": "8-15,16"})
    assert discover(tree).core_kinds == {"performance": 0xFF, "efficient": 0xFF00}


def test_a_machine_with_one_kind_of_cores_is_not_hybrid(tree):
    put(tree, {"sys/devices/cpu_core/cpus": "0-15"})
    assert discover(tree).core_kinds == {}


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("online", None, "No such file or directory; expected a list such as 0-3,8"),
        ("online", "", "it is empty; expected a list such as 0-3,8"),
        ("online", "0-", "'0-'; expected a list such as 0-3,8"),
        ("isolated", "all", "'all'; expected a list such as 0-3,8"),
        ("cpu3/topology/physical_package_id", None, "No such file or directory; expected a whole number"),
        ("cpu3/topology/physical_package_id", "one", "'one'; expected a whole number"),
        ("cpu3/topology/die_id", "", "''; expected a whole number"),
        ("cpu3/topology/thread_siblings_list", None, "No such file or directory; expected a list such as 0-3,8"),
        ("cpu3/topology/thread_siblings_list", "2", "'2'; expected the CPUs of one core, 3 among them"),
        ("cpu3/topology/thread_siblings_list", "3", "'3'; expected the CPUs of one core"),
        ("cpu3/topology/thread_siblings_list", "1-3", "'1-3'; expected the CPUs of one core"),
        ("cpu3/topology/thread_siblings_list", "", "''; expected the CPUs of one core"),
        ("cpu7/topology/thread_siblings_list", "7-8", "'7-8'; expected the CPUs of one core"),
        ("cpu0/topology/thread_siblings_list", "0-1,8", "'0-1,8'; expected the CPUs of one core"),
        ("cpu2/cache/index2/size", "big", "'big'; expected a size such as 2048K"),
    ],
)
def test_a_file_that_is_missing_or_contradicts_is_named(tree, file, content, message):
    path = tree / CPU / file
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    assert refusal(tree).startswith(f"{path}: ")
    assert message in refusal(tree)


def test_a_sibling_that_is_offline_is_no_contradiction(tree):
    put(tree, {f"{CPU}/online": "0-2,4-15"})
    found = discover(tree)
    assert cpusets.text(found.cores[1].cpus) == "2"


# -- caches


def test_a_cache_that_only_some_cores_share_is_theirs(tree):
    for cpu in range(4):
        put(tree, {f"{CPU}/cpu{cpu}/cache/index2/shared_cpu_list": "0-3"})
    level_2 = [cpusets.text(cache.cpus) for cache in discover(tree).caches if cache.level == 2]
    assert level_2 == ["0-3", "4-5", "6-7", "8-9", "10-11", "12-13", "14-15"]


def test_caches_of_level_1_and_those_that_say_little_are_left_out(tree):
    for cpu in range(16):
        put(tree, {f"{CPU}/cpu{cpu}/cache/index0/{file}": value for file, value in (("level", 1), ("size", "32K"))})
        (tree / f"{CPU}/cpu{cpu}/cache/index3/shared_cpu_list").unlink()
        (tree / f"{CPU}/cpu{cpu}/cache/index2/size").unlink()
        (tree / f"{CPU}/cpu{cpu}/cache/index2/type").unlink()
    assert discover(tree).caches[0] == Cache(2, "Unified", 0, 0b11)
    assert {cache.level for cache in discover(tree).caches} == {2}
