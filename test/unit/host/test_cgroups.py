"""What a control group allows, in both versions, and what a configuration means by naming one."""

import os
from pathlib import Path

import pytest

from cri_resmgr.errors import BadInput
from cri_resmgr.host.cgroups import Effective, constraint_cpus, effective_of
from cri_resmgr.values import cpusets
from equipment.sysfs_tree import put

MOUNT = "sys/fs/cgroup"
POD = "kubepods.slice/kubepods-pod1.slice/cri-containerd-1.scope"


# -- constraints


def test_a_group_is_found_as_a_directory_below_the_mount_or_below_version_1s_tree(tmp_path):
    mount = tmp_path / "mount"
    put(mount, {"machine.slice/cpuset.cpus": "0-3", "cpuset/old/cpuset.cpus": "4,6"})
    put(tmp_path, {"elsewhere/cpuset.cpus": "8"})
    assert constraint_cpus("machine.slice", mount=mount) == 0b1111
    assert constraint_cpus("/machine.slice", mount=mount) == 0b1111
    assert constraint_cpus("old", mount=mount) == 0b1010000
    assert constraint_cpus("/old/", mount=mount) == 0b1010000
    assert constraint_cpus(f"{tmp_path}/elsewhere", mount=mount) == 1 << 8


def test_the_absolute_directory_comes_before_one_of_the_same_name_below_the_mount(tmp_path):
    put(tmp_path, {"group/cpuset.cpus": "1", f"mount{tmp_path}/group/cpuset.cpus": "2"})
    assert constraint_cpus(f"{tmp_path}/group", mount=tmp_path / "mount") == 0b10


def test_a_group_of_version_2_that_asks_for_nothing_has_what_is_in_effect(tmp_path):
    put(tmp_path, {"a/cpuset.cpus": "", "a/cpuset.cpus.effective": "0-1"})
    assert constraint_cpus("a", mount=tmp_path) == 0b11


def test_a_group_that_is_nowhere_is_refused_with_the_places_that_were_tried(tmp_path):
    with pytest.raises(BadInput) as refused:
        constraint_cpus("/none", mount=tmp_path)
    assert str(refused.value) == (
        f'failed to find cpuset.cpus for CPU cgroup constraint "/none" in /none, {tmp_path}/none, '
        f"{tmp_path}/cpuset/none; name a control group that exists, or the CPUs themselves"
    )


def test_a_group_without_cpus_is_refused(tmp_path):
    put(tmp_path, {"cpuset/a/cpuset.cpus": ""})
    with pytest.raises(BadInput, match=r"cpuset/a/cpuset\.cpus: it is empty; expected a list such as 0-3,8"):
        constraint_cpus("a", mount=tmp_path)


# -- what a process has


def v1(root: Path) -> Path:
    return put(
        root,
        {
            "proc/7/cgroup": f"12:cpu,cpuacct:/other\n3:cpuset:/{POD}\n1:name=systemd:/{POD}\n0::/{POD}",
            f"{MOUNT}/cpuset/{POD}/cpuset.cpus": "0-15",
            f"{MOUNT}/cpuset/{POD}/cpuset.effective_cpus": "2-3",
            f"{MOUNT}/cpuset/{POD}/cpuset.effective_mems": "1",
        },
    )


def v2(root: Path, group: str = POD) -> Path:
    return put(
        root,
        {
            "proc/7/cgroup": f"0::/{POD}",
            f"{MOUNT}/{POD}/cgroup.procs": "7",
            f"{MOUNT}/{group}/cpuset.cpus.effective": "4-7",
            f"{MOUNT}/{group}/cpuset.mems.effective": "0-1",
        },
    )


def test_a_process_has_what_its_group_of_version_1_has_in_effect(tmp_path):
    assert effective_of(7, root=v1(tmp_path)) == Effective(0b1100, 0b10, 1)


def test_a_process_has_what_its_group_of_version_2_has_in_effect(tmp_path):
    assert effective_of(7, root=v2(tmp_path)) == Effective(0b11110000, 0b11, 2)


@pytest.mark.parametrize("parent", ["kubepods.slice/kubepods-pod1.slice", "kubepods.slice", "."])
def test_without_a_cpuset_of_its_own_a_group_of_version_2_has_its_parents(tmp_path, parent):
    assert effective_of(7, root=v2(tmp_path, parent)) == Effective(0b11110000, 0b11, 2)


def test_a_process_in_the_root_group_has_what_the_root_has(tmp_path):
    put(v2(tmp_path, "."), {"proc/8/cgroup": "0::/"})
    assert effective_of(8, root=tmp_path) == Effective(0b11110000, 0b11, 2)


def test_an_ended_process_has_nothing(tmp_path):
    assert effective_of(8, root=v2(tmp_path)) is None


def test_a_group_that_is_being_removed_does_not_pass_for_its_parent(tmp_path):
    put(v2(tmp_path, "kubepods.slice"), {"proc/7/cgroup": f"0::/{POD} (deleted)"})
    assert effective_of(7, root=tmp_path) is None


def test_where_no_cpuset_is_in_use_there_is_nothing_to_compare(tmp_path):
    put(tmp_path, {"proc/7/cgroup": f"0::/{POD}", f"{MOUNT}/{POD}/cgroup.procs": "7"})
    assert effective_of(7, root=tmp_path) is None
    put(tmp_path, {"proc/7/cgroup": "3:cpuset:/gone"})
    assert effective_of(7, root=tmp_path) is None


def test_this_process_may_run_where_its_group_says():
    found = effective_of(os.getpid())
    if found is None:
        pytest.skip("no cpuset in /proc/self/cgroup below /sys/fs/cgroup")
    assert os.sched_getaffinity(0) <= set(cpusets.ids(found.cpus))
    assert found.mems
