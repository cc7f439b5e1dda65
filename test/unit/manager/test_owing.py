"""Whose turn it is to be told something: nobody is forgotten, and nobody is kept for ever."""

import pytest

from cri_resmgr.manager.owing import Failures, Owing
from cri_resmgr.state.ledger import Ledger
from cri_resmgr.values.decisions import Change, Holding
from cri_resmgr.values.resources import Assignment
from cri_resmgr.values.workloads import Container, State

ALL, SOME = Assignment(cpuset_cpus="0-7"), Assignment(cpuset_cpus="0-3")


def container(name: str, **fields) -> Container:
    return Container("p", name, 0, **{"id": name, "state": State.RUNNING, **fields})


@pytest.fixture(name="ledger")
def _ledger() -> Ledger:
    """One that is as it was told, one that must leave CPUs, one that gets some, one that was never given anything."""
    told = {"same": (ALL, ALL), "leaves": (SOME, ALL), "gets": (ALL, SOME)}
    containers = [container(name, given=given, told=told) for name, (given, told) in told.items()]
    return Ledger([], [*containers, container("free")])


@pytest.fixture(name="owing")
def _owing(ledger: Ledger) -> Owing:
    """With nobody in doubt."""
    made = Owing(ledger)
    for key in tuple(made.doubted):
        made.settle(key)
    return made


def anybody(_: Container) -> bool:
    return True


def turns(ledger: Ledger, owing: Owing) -> list[str]:
    """Everybody's turn, when each is told and settled."""
    order = []
    while (one := owing.next(anybody)) is not None:
        order.append(one.name)
        ledger.told(one.key, one.given)
        owing.settle(one.key)
    return order


def test_at_first_everybody_is_in_doubt_who_was_ever_given_something(ledger):
    owing = Owing(ledger)
    assert owing.doubted == {"p/same/0", "p/leaves/0", "p/gets/0"}
    assert len(owing) == 3


def test_who_leaves_cpus_comes_before_who_gets_some(ledger, owing):
    assert len(owing) == 2
    assert turns(ledger, owing) == ["leaves", "gets"]
    assert not owing


def test_who_is_not_ready_lets_others_pass(owing):
    assert owing.next(lambda one: one.name != "leaves").name == "gets"
    assert owing.next(lambda _: False) is None


def test_what_changes_while_one_is_told_is_owed_still(ledger, owing):
    ledger.told("p/gets/0", ALL)
    ledger.placed("p/gets/0", Change(SOME, Holding()))
    owing.settle("p/gets/0")
    assert "p/gets/0" in owing
    assert owing.next(lambda one: one.name == "gets") is not None


def test_who_must_be_told_again_has_his_turn_though_nothing_is_owed(ledger, owing):
    owing.repeat("p/same/0")
    assert sorted(turns(ledger, owing)) == ["gets", "leaves", "same"]
    assert not owing.again


def test_of_those_who_are_gone_nothing_is_kept(ledger):
    owing = Owing(ledger)
    owing.repeat("p/same/0")
    for key in tuple(ledger.holders):
        ledger.moved(key, State.EXITED)
        owing.doubt(key)
        owing.repeat(key)
    assert owing.next(anybody) is None
    assert (len(owing), owing.doubted, owing.again) == (0, set(), set())


def test_who_was_never_given_anything_is_never_in_doubt(owing):
    owing.doubt("p/free/0")
    assert "p/free/0" not in owing


@pytest.mark.parametrize(("cpus", "but", "there"), [(0xF0, "", True), (0x0F, "", False), (0xF0, "p/leaves/0", False)])
def test_others_are_on_cpus_that_they_have_not_left_yet(owing, cpus, but, there):
    assert owing.are_others_on(cpus, but=but) is there


def test_one_in_doubt_may_be_anywhere(owing):
    owing.doubt("p/same/0")
    assert owing.are_others_on(1 << 9, but="")
    owing.settle("p/same/0")
    assert not owing.are_others_on(1 << 9, but="")


def test_one_that_is_not_made_yet_is_nowhere(ledger, owing):
    ledger.put(container("new", id="", state=State.CREATING, given=SOME, told=Assignment()))
    assert not owing.are_others_on(1 << 9, but="")


async def test_only_lasting_failures_of_those_who_matter_are_told_of():
    failures = Failures()
    for key, times in (("hiccup", 1), ("lasting", 3), ("gone", 5)):
        for _ in range(times):
            failures.add(key, f"{key} does not work")
    assert {key: failure.text for key, failure in failures.lasting(lambda key: key != "gone").items()} == {
        "lasting": "lasting does not work"
    }
    assert failures.keys() == {"hiccup", "lasting"}
