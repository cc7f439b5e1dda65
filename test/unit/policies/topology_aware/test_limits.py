"""What may be used and what is kept, or a sentence about what is wrong with it."""

import pytest

from cri_resmgr.errors import BadInput
from cri_resmgr.host.grids import grid
from cri_resmgr.policies.allocating import Allocator
from cri_resmgr.policies.contract import Context, CpuLimit
from cri_resmgr.policies.topology_aware.limits import Limits, limits
from unit.policies.topology_aware.nodes import cpuset

MACHINE = grid(cores=4, threads=2, isolated=0b11, offline=0b1000_0000)
"""CPUs 0 to 6 are online, of which 0 and 1 are kernel-isolated."""


def limits_of(*, available: CpuLimit | None = None, reserved: CpuLimit | None = None, machine=MACHINE) -> Limits:
    return limits(Context(machine, available=available, reserved=reserved), Allocator(machine))


def test_everything_that_is_online_may_be_used_unless_something_is_said():
    assert limits_of(reserved=cpuset("2")) == Limits(allowed=0b111_1111, isolated=0b11, reserved=0b100)


def test_available_cpus_that_are_offline_do_not_count():
    found = limits_of(available=cpuset("1-7"), reserved=cpuset("2"))
    assert (found.allowed, found.isolated) == (0b111_1110, 0b10)


@pytest.mark.parametrize(("millicpu", "reserved"), [(1, 0b100), (1000, 0b100), (1001, 0b1100), (3500, 0b11_1100)])
def test_an_amount_is_rounded_up_to_whole_cpus_that_are_not_isolated(millicpu, reserved):
    """The predecessor would reserve CPU 0 and then have nothing reserved."""
    machine = grid(cores=4, threads=2, isolated=0b11)
    assert limits_of(reserved=CpuLimit(millicpu=millicpu), machine=machine).reserved == reserved


def test_an_amount_is_taken_as_the_predecessor_takes_it_where_no_isolated_cpus_are_in_the_way():
    machine = grid(packages=2, cores=2, threads=2, isolated=0b1000_0000)
    assert limits_of(reserved=CpuLimit(millicpu=1000), machine=machine).reserved == 1


@pytest.mark.parametrize(
    ("available", "reserved", "problem"),
    [
        (None, None, "policy.ReservedResources: missing; say how much CPU is kept for the system, such as CPU: 750m"),
        (CpuLimit(millicpu=4000), cpuset("2"), "policy.AvailableResources: 4000m is an amount; write a set such as"),
        (cpuset("7,9"), cpuset("2"), "policy.AvailableResources: none of the CPUs 7,9 is online; write a set from 0-6"),
        (cpuset(""), cpuset("2"), r"policy.AvailableResources: none of the CPUs \(none\) is online"),
        (cpuset("2-5"), cpuset("5-7"), r"of 5-7, CPUs 6-7 are not available \(or offline\); write a set from 2-5"),
        (None, cpuset("1-2"), "of 1-2, CPUs 1 are kernel-isolated; write a set from 2-6"),
        (None, cpuset(""), "policy.ReservedResources: an empty set; one CPU at least is kept"),
        (None, CpuLimit(millicpu=0), "policy.ReservedResources: 0 is too little; one CPU at least is kept"),
        (
            None,
            CpuLimit(millicpu=5001),
            r"5001m takes 6 CPUs, 5 are available and not kernel-isolated \(2-6\); reserve",
        ),
        (cpuset("0-1"), CpuLimit(millicpu=1), r"1m takes 1 CPUs, 0 are available and not kernel-isolated \(none\)"),
        (cpuset("3-4"), cpuset("3-4"), r"policy.ReservedResources: takes all CPUs that are available \(3-4\)"),
        (cpuset("3-4"), CpuLimit(millicpu=1500), r"takes all CPUs that are available \(3-4\); reserve less"),
    ],
)
def test_what_is_wrong_is_told_with_the_key_and_what_would_be_right(available, reserved, problem):
    with pytest.raises(BadInput, match=problem):
        limits_of(available=available, reserved=reserved)
