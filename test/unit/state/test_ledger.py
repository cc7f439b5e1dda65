"""The ledger remembers each instance by itself and forgets what is gone."""

import gc

import pytest

from cri_resmgr.state.ledger import Ledger
from cri_resmgr.values.decisions import HOLDING_NOTHING, Candidate, Change, Decision, Holding
from cri_resmgr.values.resources import NOTHING, Assignment, Resources
from cri_resmgr.values.workloads import Container, Pod, State

POD = Pod("pod-1", "web", "default", "uid-1")
HOLDING = Holding("balloons", "pool", exclusive="2-3")
DECISION = Decision(
    Assignment(cpuset_cpus="2-3"), HOLDING, ("exclusive CPUs",), (Candidate("pool", {"cpus": 2.0}, "chosen"),), {}, 60.0
)
CHANGE = Change(Assignment(cpuset_cpus="0-1"), Holding("balloons", shared="0-1"), ("somebody took the others",))


def container(attempt: int = 0, *, pod_id: str = "pod-1", name: str = "c", **fields) -> Container:
    return Container(pod_id, name, attempt, **fields)


def running(ledger: Ledger, instance: Container, container_id: str) -> Container:
    ledger.put(instance)
    ledger.created(instance.key, container_id)
    moved = ledger.moved(instance.key, State.RUNNING)
    assert moved is not None
    return moved


def test_removing_the_instance_before_a_restart_leaves_the_running_one_alone():
    ledger = Ledger([POD])
    running(ledger, container(0), "old")
    ledger.moved("pod-1/c/0", State.EXITED)
    new = running(ledger, container(1, given=Assignment("0-1")), "new")

    stale = ledger.by_id("old")
    assert stale is not None
    ledger.drop(stale.key)

    assert ledger.by_id("new") == new
    assert ledger.of_pod("pod-1") == (new,)
    assert ledger.running() == (new,)
    assert ledger.by_id("old") is None


def test_an_instance_that_takes_over_a_key_is_not_found_under_its_predecessors_id():
    ledger = Ledger()
    running(ledger, container(), "first")
    ledger.put(container())
    assert ledger.by_id("first") is None
    ledger.created("pod-1/c/0", "second")
    assert ledger.by_id("second") == ledger.containers["pod-1/c/0"]


def test_a_container_has_no_id_until_the_runtime_names_it():
    ledger = Ledger()
    ledger.put(container(name="a"))
    ledger.put(container(name="b"))
    assert ledger.by_id("") is None
    named = ledger.created("pod-1/b/0", "id-b")
    assert named == container(name="b", id="id-b", state=State.CREATED)
    assert ledger.by_id("id-b") == named


def test_an_id_names_one_instance_even_if_it_was_filed_wrongly_before():
    ledger = Ledger()
    ledger.put(container(0, id="x"))
    ledger.put(container(7, id="x"))
    assert tuple(ledger.containers) == ("pod-1/c/7",)
    ledger.drop("pod-1/c/7")
    assert not ledger.containers
    assert ledger.by_id("x") is None


def test_put_returns_what_stood_there_so_that_it_can_be_undone():
    ledger = Ledger()
    assert ledger.put(container()) is None
    before = running(ledger, container(), "id-0")
    assert ledger.put(container()) == before
    ledger.put(before)
    assert ledger.by_id("id-0") == before
    assert ledger.put_pod(POD) is None
    assert ledger.put_pod(POD) == POD


@pytest.mark.parametrize(
    "change",
    [
        lambda ledger: ledger.created("pod-1/c/0", "id"),
        lambda ledger: ledger.moved("pod-1/c/0", State.RUNNING),
        lambda ledger: ledger.decided("pod-1/c/0", DECISION),
        lambda ledger: ledger.placed("pod-1/c/0", CHANGE),
        lambda ledger: ledger.told("pod-1/c/0", NOTHING),
        lambda ledger: ledger.asked("pod-1/c/0", Resources()),
        lambda ledger: ledger.drop("pod-1/c/0"),
    ],
    ids=["created", "moved", "decided", "placed", "told", "asked", "drop"],
)
def test_a_change_to_an_instance_that_is_gone_changes_nothing(change):
    ledger = Ledger()
    assert change(ledger) is None
    assert not ledger.containers
    assert not ledger.take_changes()


def test_what_was_asked_stays_beside_what_was_given():
    ledger = Ledger()
    ledger.put(container(asked=Resources(cpu_shares=512)))
    ledger.decided("pod-1/c/0", DECISION)
    ledger.asked("pod-1/c/0", Resources(cpu_shares=1024))
    assert ledger.containers["pod-1/c/0"] == container(
        asked=Resources(cpu_shares=1024),
        given=DECISION.assignment,
        holding=HOLDING,
        reasons=DECISION.reasons,
        candidates=DECISION.candidates,
        revisit_after_start_s=60.0,
    )


def test_a_neighbours_change_replaces_what_it_has_and_not_what_was_looked_at_when_it_came():
    ledger = Ledger()
    ledger.put(container())
    ledger.decided("pod-1/c/0", DECISION)
    ledger.placed("pod-1/c/0", CHANGE)
    changed = ledger.containers["pod-1/c/0"]
    assert (changed.given, changed.holding, changed.reasons) == (CHANGE.assignment, CHANGE.holding, CHANGE.reasons)
    assert (changed.candidates, changed.revisit_after_start_s) == (DECISION.candidates, 60.0)


def test_a_change_without_a_reason_leaves_the_reasons_of_before():
    ledger = Ledger()
    ledger.put(container(reasons=("because",)))
    ledger.placed("pod-1/c/0", Change(CHANGE.assignment, CHANGE.holding))
    assert ledger.containers["pod-1/c/0"].reasons == ("because",)


def test_what_has_ended_holds_nothing():
    ledger = Ledger()
    ledger.put(container(holding=HOLDING, given=DECISION.assignment))
    ended = ledger.moved("pod-1/c/0", State.EXITED)
    assert ended is not None
    assert (ended.holding, ended.given) == (HOLDING_NOTHING, DECISION.assignment)
    assert not ledger.holders


def test_what_has_ended_before_the_runtime_named_it_stays_ended():
    ledger = Ledger()
    ledger.put(container())
    ledger.moved("pod-1/c/0", State.EXITED)
    ledger.created("pod-1/c/0", "id")
    assert ledger.by_id("id") == container(id="id", state=State.EXITED)


def test_owed_is_of_whom_the_runtime_does_not_know_the_last_decision():
    ledger = Ledger([], [container(0, given=DECISION.assignment), container(1)])
    assert set(ledger.owed) == {"pod-1/c/0"}
    ledger.decided("pod-1/c/1", DECISION)
    ledger.told("pod-1/c/0", DECISION.assignment)
    assert set(ledger.owed) == {"pod-1/c/1"}
    ledger.told("pod-1/c/1", DECISION.assignment)
    ledger.placed("pod-1/c/1", CHANGE)
    assert ledger.owed["pod-1/c/1"].told == DECISION.assignment


@pytest.mark.parametrize(
    "end", [lambda ledger: ledger.moved("pod-1/c/0", State.EXITED), lambda ledger: ledger.drop("pod-1/c/0")]
)
def test_nothing_is_owed_to_what_has_ended(end):
    ledger = Ledger([], [container(given=DECISION.assignment)])
    end(ledger)
    assert not ledger.owed


def test_a_pod_takes_its_containers_with_it_and_nobody_elses():
    ledger = Ledger([POD])
    mine = running(ledger, container(name="a"), "a"), running(ledger, container(name="b"), "b")
    other = running(ledger, container(pod_id="pod-11"), "other")
    assert ledger.drop_pod("pod-1") == mine
    assert not ledger.pods
    assert tuple(ledger.containers.values()) == (other,)
    assert ledger.of_pod("pod-1") == ()
    assert ledger.drop_pod("pod-1") == ()


def test_containers_of_a_pod_that_nobody_has_announced_are_kept_and_dropped_alike():
    ledger = Ledger()
    lone = container()
    ledger.put(lone)
    assert ledger.of_pod("pod-1") == (lone,)
    assert ledger.drop_pod("pod-1") == (lone,)
    assert not ledger.containers


def test_running_is_a_snapshot_that_survives_changes_while_it_is_walked():
    ledger = Ledger()
    for attempt in range(3):
        running(ledger, container(attempt), f"id-{attempt}")
    for one in ledger.running():
        ledger.drop(one.key)
    assert ledger.running() == ()


def test_readers_cannot_change_the_ledger():
    ledger = Ledger([POD])
    with pytest.raises(TypeError):
        ledger.pods["x"] = POD


def test_what_comes_from_the_store_is_not_told_to_it_again():
    ledger = Ledger([POD], [container(id="x")])
    assert ledger.by_id("x") == container(id="x")
    assert ledger.of_pod("pod-1") == (container(id="x"),)
    assert not ledger.take_changes()
    ledger.put_pod(POD)
    ledger.put(container(id="x"))
    assert not ledger.take_changes()


def test_many_changes_of_one_container_are_one_row_to_write():
    ledger = Ledger()
    last = running(ledger, container(), "id")
    changes = ledger.take_changes()
    assert changes.containers.rows == {"pod-1/c/0": last}
    assert len(changes) == 1
    assert not ledger.take_changes()


def test_what_came_and_went_between_two_writes_is_never_written():
    ledger = Ledger()
    ledger.put_pod(POD)
    running(ledger, container(), "id")
    ledger.drop_pod(POD.id)
    assert not ledger.take_changes()


def test_a_stored_container_that_is_replaced_after_its_end_is_one_row_to_write():
    ledger = Ledger([POD], [container(id="x")])
    ledger.drop("pod-1/c/0")
    ledger.put(container(id="y"))
    assert ledger.take_changes().containers.rows == {"pod-1/c/0": container(id="y")}


def test_changes_that_came_after_a_failed_write_win():
    ledger = Ledger([], [container(0), container(1), container(2)])
    ledger.moved("pod-1/c/0", State.RUNNING)
    ledger.drop("pod-1/c/1")
    ledger.moved("pod-1/c/2", State.RUNNING)
    failed = ledger.take_changes()
    ledger.moved("pod-1/c/0", State.EXITED)
    ledger.put(container(1, adopted=True))
    ledger.put_back(failed)
    assert ledger.take_changes().containers.rows == {
        "pod-1/c/0": container(0, state=State.EXITED),
        "pod-1/c/1": container(1, adopted=True),
        "pod-1/c/2": container(2, state=State.RUNNING),
    }


def test_a_store_that_fails_for_a_long_time_costs_no_memory_for_what_it_never_heard_of():
    ledger = Ledger([], [container(pod_id="kept")])
    ledger.drop("kept/c/0")
    for life in range(1000):
        ledger.put(container(life))
        failed = ledger.take_changes()
        ledger.drop(f"pod-1/c/{life}")
        ledger.put_back(failed)
    assert ledger.take_changes().containers.rows == {"kept/c/0": None}


def test_a_replaced_store_is_told_everything_and_what_is_gone():
    ledger = Ledger([POD], [container(0), container(1)])
    ledger.drop("pod-1/c/1")
    ledger.take_back_all()
    changes = ledger.take_changes()
    assert changes.pods.rows == {"pod-1": POD}
    assert changes.containers.rows == {"pod-1/c/0": container(0), "pod-1/c/1": None}


def test_a_hundred_thousand_lives_leave_nothing_behind():
    ledger = Ledger()

    def live(lives: range) -> int:
        for life in lives:
            pod_id = f"pod-{life}"
            ledger.put_pod(Pod(pod_id, "p", "ns", pod_id))
            running(ledger, container(pod_id=pod_id), f"id-{life}")
            if life % 7 == 0:
                ledger.take_changes()
            ledger.drop_pod(pod_id)
            ledger.take_changes()
        gc.collect()
        return len(gc.get_objects())

    after_some = live(range(1000))
    after_all = live(range(1000, 100_000))
    assert after_all - after_some < 100
    assert not ledger.pods
    assert not ledger.containers
    assert not ledger.owed
    assert not ledger._keys_by_id
    assert not ledger._keys_of_pod
