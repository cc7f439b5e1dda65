"""Who passed without an answer shares what is nobody's own, now and later."""

import pytest

from cri_resmgr.manager.unplaced import MOVED, Unplaced
from cri_resmgr.state.ledger import Ledger
from cri_resmgr.values.decisions import HOLDING_NOTHING, Change, Holding
from cri_resmgr.values.resources import NOTHING, Assignment, Resources
from cri_resmgr.values.workloads import Container, State


def container(name: str, **fields) -> Container:
    return Container("p", name, 0, **fields)


def holder(name: str, exclusive: str = "", isolated: str = "") -> Container:
    return container(name, holding=Holding("balloons", exclusive=exclusive, isolated=isolated))


@pytest.fixture(name="ledger")
def _ledger() -> Ledger:
    return Ledger([], [holder("a", exclusive="2-3"), holder("b", isolated="7"), container("odd")])


@pytest.fixture(name="unplaced")
def _unplaced(ledger: Ledger) -> Unplaced:
    return Unplaced(ledger, cpus=0xFF)


def test_it_shares_all_but_what_others_have_for_themselves(unplaced):
    assert unplaced.assignment(Resources()) == Assignment(cpuset_cpus="0-1,4-6")


@pytest.mark.parametrize(
    ("asked", "given"),
    [("0-3", "0-1"), ("2-3", "0-1,4-6"), ("nonsense", "0-1,4-6"), ("9", "0-1,4-6")],
)
def test_a_set_of_the_kubelets_counts_as_far_as_it_is_nobodys(unplaced, asked, given):
    assert unplaced.assignment(Resources(cpuset_cpus=asked)).cpuset_cpus == given


def test_where_nothing_is_left_the_kubelets_own_value_stays(ledger, unplaced):
    ledger.put(holder("c", exclusive="0-1,4-6"))
    assert unplaced.assignment(Resources()) == NOTHING


def test_of_a_policy_that_gives_nobody_cpus_nothing_is_made(ledger):
    assert Unplaced(ledger, cpus=0).assignment(Resources()) == NOTHING


def test_who_is_where_others_have_cpus_for_themselves_must_go(ledger, unplaced):
    ledger.put(container("odd", given=Assignment(cpuset_cpus="0-7")))
    unplaced.add("p/odd/0")
    wanted = Assignment(cpuset_cpus="0-1,4-6")
    assert unplaced.changes() == {"p/odd/0": Change(wanted, HOLDING_NOTHING, (MOVED,))}
    ledger.placed("p/odd/0", Change(wanted, HOLDING_NOTHING))
    assert unplaced.changes() == {}
    ledger.drop("p/a/0")
    assert unplaced.changes()["p/odd/0"].assignment.cpuset_cpus == "0-6"


@pytest.mark.parametrize(
    "end",
    [
        lambda ledger: ledger.drop("p/odd/0"),
        lambda ledger: ledger.moved("p/odd/0", State.EXITED),
        lambda ledger: ledger.put(holder("odd", exclusive="5")),
    ],
    ids=["gone", "ended", "placed"],
)
def test_who_has_ended_or_been_placed_is_forgotten(ledger, unplaced, end):
    unplaced.begin(["p/odd/0"])
    end(ledger)
    assert unplaced.changes() == {}
    assert len(unplaced) == 0


def test_a_smaller_set_to_share_moves_them(ledger, unplaced):
    unplaced.add("p/odd/0")
    ledger.placed("p/odd/0", unplaced.changes()["p/odd/0"])
    unplaced.share(0b11)
    assert unplaced.changes()["p/odd/0"].assignment == Assignment(cpuset_cpus="0-1")
