from pathlib import Path

import pytest

from equipment import cgroups
from equipment.cgroups import ContainerCgroup


@pytest.fixture
def v1(tmp_path: Path) -> Path:
    """Trees as a version 1 host has them, with `cpu` as a link."""
    for tree in ("cpu,cpuacct", "cpuset", "memory", "systemd"):
        (tmp_path / tree).mkdir()
    (tmp_path / "cpu").symlink_to("cpu,cpuacct")
    (tmp_path / "cpuset/cpuset.cpus").write_text("0-3\n")
    (tmp_path / "cpuset/cpuset.mems").write_text("0-1\n")
    return tmp_path


@pytest.fixture
def v2(tmp_path: Path) -> Path:
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu memory\n")
    (tmp_path / "cgroup.subtree_control").write_text("")
    return tmp_path


def write_all(directory: Path, files: dict[str, str]) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name).write_text(f"{text}\n")
    return directory


def test_a_tree_with_two_names_counts_once(v1):
    assert [tree.name for tree in cgroups.trees(v1)] == ["cpu,cpuacct", "cpuset", "memory", "systemd"]


def test_a_root_is_in_every_tree_and_in_none_after_removal(v1):
    made = cgroups.make_root("node", v1)
    assert made == [tree / "node" for tree in cgroups.trees(v1)]
    assert all(directory.is_dir() for directory in made)
    (v1 / "memory/node/kubepods/burstable").mkdir(parents=True)
    for file in ("cpuset.cpus", "cpuset.mems"):
        (v1 / "cpuset/node" / file).unlink(missing_ok=True)  # the kernel's files go with their directory
    cgroups.remove_root("node", v1)
    assert not any(directory.exists() for directory in made)


def test_removing_what_is_not_there_is_no_error(v1):
    cgroups.remove_root("node", v1)


def test_a_new_root_asks_version_2_for_the_controllers_that_there_are(v2):
    assert cgroups.make_root("node", v2) == [v2 / "node"]
    assert (v2 / "cgroup.subtree_control").read_text() == "+cpu +cpuset +memory"


def test_the_processes_of_a_node_are_found_at_every_depth_and_in_every_tree(v1):
    write_all(v1 / "memory/node", {"cgroup.procs": "1\n2"})
    write_all(v1 / "systemd/node/system.slice/a.service", {"cgroup.procs": "2\n3"})
    write_all(v1 / "systemd/other", {"cgroup.procs": "4"})
    assert cgroups.processes_below("node", v1) == {1, 2, 3}


def test_a_container_of_version_1_is_read_from_its_three_trees(tmp_path):
    paths = {
        "cpuset": write_all(tmp_path / "cpuset", {"cpuset.cpus": "0-1", "cpuset.mems": "0"}),
        "cpu": write_all(tmp_path / "cpu", {"cpu.shares": "204", "cpu.cfs_quota_us": "30000"}),
        "memory": write_all(tmp_path / "memory", {"memory.limit_in_bytes": "67108864"}),
    }
    assert cgroups._read_v1(paths, "0-1") == ContainerCgroup("0-1", "0", 204, 30000, 67108864, "0-1")
    write_all(tmp_path / "memory", {"memory.limit_in_bytes": "9223372036854771712"})
    assert cgroups._read_v1(paths, "0-1").memory_limit_bytes is None


@pytest.mark.parametrize("shares", [2, 204, 1024, 262144])
def test_the_weight_of_version_2_is_told_as_shares_within_its_resolution(tmp_path, shares):
    weight = 1 + (shares - 2) * 9999 // 262142
    files = {"cpu.max": "max 100000", "cpuset.cpus": "", "cpuset.mems": "", "memory.max": "max"}
    path = write_all(tmp_path, files | {"cpu.weight": str(weight)})
    found = cgroups._read_v2(path, "0-1")
    assert found.cpu_shares <= shares < found.cpu_shares + 27
    assert (found.cpu_quota_us, found.memory_limit_bytes) == (-1, None)


def test_a_quota_of_version_2_is_told_for_100_ms(tmp_path):
    files = {"cpu.max": "25000 50000", "cpu.weight": "1", "cpuset.cpus": "1", "cpuset.mems": "0", "memory.max": "4096"}
    assert cgroups._read_v2(write_all(tmp_path, files), "1") == ContainerCgroup("1", "0", 2, 50000, 4096, "1")


def test_a_container_that_has_ended_is_said_to_have_ended():
    with pytest.raises(LookupError, match="has it ended"):
        cgroups.container_pid("0123456789abcdef" * 4)
