"""An update sets what is ours and differs, and nothing else; what is given back comes back as it was."""

from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cri_resmgr.manager.differences import (
    OWNABLE,
    UNSET,
    Whole,
    due,
    gained_cpus,
    leaving,
    own_cpus,
    told_by,
    told_by_kubelet,
)
from cri_resmgr.values import cpusets
from cri_resmgr.values.adjustments import UNADJUSTED, Adjusted, Effect
from cri_resmgr.values.decisions import Holding
from cri_resmgr.values.machines import Machine, Node
from cri_resmgr.values.resources import NOTHING, Assignment, Resources
from cri_resmgr.values.workloads import Container

WHOLE = Whole("0-7", "0-1")
SETS = st.sampled_from(["", "0-7", "0", "2-3"])
NUMBERS = st.sampled_from([0, 2, 1024, 20_000])
ASSIGNMENTS = st.builds(Assignment, *[st.none() | SETS] * 2, *[st.none() | NUMBERS] * 4)
RESOURCES = st.builds(Resources, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, SETS, SETS)
CONTAINERS = st.builds(
    Container, st.just("p"), st.just("c"), st.just(0), asked=RESOURCES, given=ASSIGNMENTS, told=ASSIGNMENTS
)


def container(**fields_) -> Container:
    return Container("p", "c", 0, **fields_)


def no_machine() -> Whole:
    raise AssertionError("nobody needs to look at the machine for this")


def update(has: Resources, change: Resources) -> Resources:
    """What a runtime makes of an update."""
    return has.merged(change)


def means_the_same(name: str, one: int | str, other: int | str) -> bool:
    """Not set is the same as what that amounts to."""
    unset = UNSET | {"cpuset_cpus": WHOLE.cpus, "cpuset_mems": WHOLE.mems}
    return (one or unset[name]) == (other or unset[name])


# ---- what is due


def test_only_the_fields_that_differ_are_sent():
    given_ = Assignment(cpuset_cpus="2-3", cpuset_mems="0", cpu_shares=512)
    has = Resources(cpu_shares=512, cpuset_cpus="0-7", cpuset_mems="0", memory_limit_bytes=1 << 30)
    assert due(container(given=given_), has, no_machine) == Resources(cpuset_cpus="2-3")


def test_what_nobody_was_given_is_the_kubelets_whatever_the_container_has():
    asked = Resources(cpu_shares=512, cpuset_cpus="0-1")
    has = Resources(cpu_shares=2048, cpuset_cpus="5", cpu_quota_us=7)
    assert due(container(asked=asked), has, no_machine) == Resources()


def test_what_was_given_and_is_not_any_more_is_what_the_kubelet_asked_for():
    before = Assignment(cpuset_cpus="2-3", cpu_shares=4096)
    asked = Resources(cpu_shares=512, cpuset_cpus="0-1", memory_limit_bytes=1 << 30)
    taken_back = container(asked=asked, told=before)
    assert due(taken_back, before.over(asked), no_machine) == Resources(cpu_shares=512, cpuset_cpus="0-1")


def test_what_the_kubelet_did_not_set_is_given_back_as_what_that_amounts_to():
    before = Assignment("2-3", "0", 4096, 20_000, 50_000)
    assert due(container(told=before), before.over(Resources()), lambda: WHOLE) == Resources(
        cpu_period_us=100_000, cpu_quota_us=-1, cpu_shares=1024, cpuset_cpus="0-7", cpuset_mems="0-1"
    )


def test_what_amounts_to_not_being_set_is_not_set_once_more():
    told = Assignment("2-3", "0", 4096, 20_000, 50_000)
    has = Resources(cpu_period_us=100_000, cpu_quota_us=-1, cpu_shares=1024, cpuset_cpus="0-7", cpuset_mems="0-1")
    assert due(container(told=told), has, lambda: WHOLE) == Resources()
    assert due(container(told=told), Resources(), no_machine) == Resources()


def test_everything_that_is_given_is_sent_when_nobody_knows_what_the_container_has():
    given_ = Assignment(cpuset_cpus="2-3", cpu_shares=512)
    same = container(asked=Resources(cpu_shares=512), given=given_, told=given_)
    assert due(same, None, no_machine) == Resources(cpuset_cpus="2-3", cpu_shares=512)


@settings(max_examples=300, deadline=None)
@given(CONTAINERS, RESOURCES)
def test_after_the_update_the_container_has_what_is_ours_as_decided_and_all_else_as_before(one, has):
    after = update(has, due(one, has, lambda: WHOLE))
    wanted = one.given.over(one.asked)
    for name in (field.name for field in fields(Resources)):
        ours = name in OWNABLE and (getattr(one.given, name), getattr(one.told, name)) != (None, None)
        if ours:
            assert means_the_same(name, getattr(after, name), getattr(wanted, name))
        else:
            assert getattr(after, name) == getattr(has, name)


def test_a_limit_of_memory_takes_that_of_memory_and_swap_along():
    asked = Resources(memory_limit_bytes=10, memory_swap_limit_bytes=10)
    given_, more = Assignment(memory_limit_bytes=30), replace(asked, memory_swap_limit_bytes=15)
    assert due(container(asked=asked, given=given_), asked, no_machine) == Resources(
        memory_limit_bytes=30, memory_swap_limit_bytes=30
    )
    assert due(container(asked=more, given=given_), asked, no_machine).memory_swap_limit_bytes == 35
    assert due(container(asked=Resources(), given=given_), asked, no_machine) == Resources(memory_limit_bytes=30)
    back = container(asked=asked, told=given_)
    assert due(back, given_.over(asked), no_machine) == asked


def test_a_limit_of_memory_that_was_not_asked_for_is_given_back_as_none():
    before = Assignment(memory_limit_bytes=30)
    assert due(container(told=before), before.over(Resources()), no_machine) == Resources(memory_limit_bytes=-1)


def test_what_an_adjustment_changes_is_told_like_what_is_given():
    one = replace(container(), adjustment=Adjusted("a", Effect(cpu_request_millicpu=2000, memory_limit_bytes=30)))
    assert due(one, Resources(), no_machine) == Resources(cpu_shares=2048, memory_limit_bytes=30)
    told = replace(one, adjustment=UNADJUSTED, told=one.due)
    assert due(told, one.due.over(one.asked), no_machine) == Resources(cpu_shares=1024, memory_limit_bytes=-1)


@settings(max_examples=300, deadline=None)
@given(CONTAINERS, RESOURCES)
def test_a_second_update_has_nothing_to_say(one, has):
    after = update(has, due(one, has, lambda: WHOLE))
    assert due(one, after, lambda: WHOLE) == Resources()
    looked_up = replace(one, told=told_by(one, after))
    assert due(looked_up, looked_up.told.over(looked_up.asked), lambda: WHOLE) == Resources()


# ---- what has been told


def test_what_a_container_has_says_what_it_was_told_of_what_was_ever_ours():
    one = container(given=Assignment(cpuset_cpus="2"), told=Assignment(cpu_shares=4096))
    has = Resources(cpu_shares=512, cpuset_cpus="0-7", cpuset_mems="0")
    assert told_by(one, has) == Assignment(cpuset_cpus="0-7", cpu_shares=512)


def test_a_resize_tells_all_that_is_given_and_takes_back_what_it_sets_itself():
    told = Assignment(cpuset_cpus="2-3", cpu_shares=4096, cpu_quota_us=20_000)
    one = container(told=told)
    assert told_by_kubelet(one, Resources(cpu_shares=1024), Assignment(cpuset_cpus="4")) == Assignment(
        cpuset_cpus="4", cpu_quota_us=20_000
    )


# ---- where containers are, and will be


@pytest.mark.parametrize(
    ("told", "given_", "left"),
    [("0-3", "0-1", "2-3"), ("0-1", "0-3", ""), ("2", "4", "2"), (None, "0-6", "7"), ("2", None, "")],
)
def test_a_container_leaves_what_it_was_told_and_is_not_given(told, given_, left):
    one = container(told=Assignment(cpuset_cpus=told), given=Assignment(cpuset_cpus=given_))
    assert leaving(one, unsure=False) & 0xFF == cpusets.parse(left)


def test_one_of_whom_nobody_knows_may_be_everywhere():
    one = container(told=Assignment(cpuset_cpus="0"), given=Assignment(cpuset_cpus="0"))
    assert leaving(one, unsure=True) & 0xFF == 0b1111_1110


def test_a_set_of_the_kubelets_that_is_none_is_taken_for_everything():
    one = container(asked=Resources(cpuset_cpus="nonsense"), given=Assignment(cpuset_cpus="0"))
    assert leaving(one, unsure=False) & 0xFF == 0b1111_1110


def test_own_cpus_are_the_exclusive_and_the_isolated_ones():
    holding = Holding("p", exclusive="4", isolated="6-7", shared="0")
    one = container(holding=holding, given=Assignment(cpuset_cpus="0,4,6-7"), told=Assignment(cpuset_cpus="4"))
    assert own_cpus(one) == cpusets.parse("4,6-7")
    assert gained_cpus(one) == cpusets.parse("6-7")
    assert gained_cpus(container(given=Assignment(cpuset_cpus="0"))) == 0


def test_the_whole_is_what_is_online_and_has_memory():
    nodes = (Node(0, 0b11, 1 << 30), Node(1, 0b1100, 0), Node(2, 0, 1 << 30))
    assert Whole.of(Machine(0b1111, (), (), nodes, ())) == Whole("0-3", "0,2")
    assert due(container(given=NOTHING), Resources(), no_machine) == Resources()
