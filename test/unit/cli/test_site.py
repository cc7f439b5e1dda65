"""What is looked at before anything is opened: only what the policy needs, and it must go together."""

from dataclasses import replace
from pathlib import Path

import pytest

from cri_resmgr.cli.flags import Flags
from cri_resmgr.cli.site import NOWHERE, Site
from cri_resmgr.config.settings import CpuConstraint, PolicySettings, Settings
from cri_resmgr.errors import BadInput
from cri_resmgr.host.grids import grid
from cri_resmgr.manager.differences import Whole
from cri_resmgr.values import cpusets
from equipment import sysfs_tree

MACHINE = grid(packages=2, cores=4, isolated=0b11, offline=1 << 7)
RESERVED = CpuConstraint(millicpu=750)


@pytest.fixture(name="flags")
def _flags(tmp_path: Path) -> Flags:
    """Of a host with eight CPUs, two of them isolated and one away, and a control group with four."""
    sysfs_tree.write(MACHINE, tmp_path / "host")
    sysfs_tree.put(tmp_path / "cgroups", {"cpuset/system/cpuset.cpus": "2-5"})
    return replace(Flags(), host_root=str(tmp_path / "host"), cgroup_mount=str(tmp_path / "cgroups"))


def settings(active: str = "topology-aware", **policy) -> Settings:
    return Settings(policy=PolicySettings(active=active, reserved=RESERVED, **policy))


def test_policy_none_needs_no_machine(tmp_path):
    site = Site.survey(replace(Flags(), host_root=str(tmp_path / "nowhere")), settings("none"))
    assert (site.machine, site.policy.name, site.cpus) == (NOWHERE, "none", 0)


def test_any_other_policy_is_made_for_the_hosts_machine(flags):
    site = Site.survey(flags, settings())
    assert (site.machine, site.policy.name) == (MACHINE, "topology-aware")


@pytest.mark.parametrize(
    ("available", "cpus"),
    [
        (None, "2-6"),
        (CpuConstraint(cpuset="1-4,7"), "2-4"),
        (CpuConstraint(cgroup="/system"), "2-5"),
    ],
)
def test_what_may_be_shared_is_online_available_and_not_isolated(flags, available, cpus):
    assert cpusets.text(Site.survey(flags, settings(available=available)).cpus) == cpus


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"available": CpuConstraint(cgroup="/nobodys")}, "nobodys"),
        ({"available": CpuConstraint(cpuset="100")}, "100"),
    ],
)
def test_limits_that_do_not_go_with_the_host_are_bad_input(flags, policy, said):
    with pytest.raises(BadInput, match=said):
        Site.survey(flags, settings(**policy))


@pytest.mark.parametrize("active", ["none", "topology-aware"])
def test_the_whole_is_known_to_every_policy_once_somebody_wants_to_know_it(flags, active):
    assert Site.survey(flags, settings(active)).whole() == Whole("0-6", "0-1")
