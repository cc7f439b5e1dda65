"""A decision in any case, however the policy behaves."""

import contextlib
import re
import signal
import threading

import pytest

from cri_resmgr.manager.deciding import Decider, OverBudget, interrupted_after
from cri_resmgr.policies.contract import PolicyRefusal, Restored
from cri_resmgr.relay.hooks import Refused
from cri_resmgr.values.decisions import Decision
from cri_resmgr.wire.grpc import FAILED_PRECONDITION

BUDGET_S = 0.05
DECISION = Decision(reasons=("because",))
ANSWER = (DECISION, "state after it")


@pytest.fixture(name="decider")
def _decider():
    class Policy:
        name = "odd"

        def restore(self, running):
            return Restored("first state")

    return Decider(Policy(), budget_s=BUDGET_S)  # type: ignore[arg-type]


def for_ever():
    while True:
        pass


def for_ever_and_swallowing_everything():
    while True:
        with contextlib.suppress(Exception):
            for_ever()


def test_an_answer_is_the_decision(decider):
    assert decider.state == "first state"
    assert decider.decide("create", "p/c/0", lambda: ANSWER) is DECISION
    assert decider.state == "state after it"
    assert (decider.counters.decided, decider.counters.failed, decider.counters.refused) == (1, 0, 0)


def test_a_refusal_reaches_the_kubelet_with_the_policys_name_and_reason(decider):
    def refuse():
        raise PolicyRefusal("4 CPUs wanted, 2 are free")

    with pytest.raises(Refused, match=re.escape("cri-resmgr, policy odd: 4 CPUs wanted, 2 are free")) as refused:
        decider.decide("create", "p/c/0", refuse)
    assert refused.value.code == FAILED_PRECONDITION
    assert decider.counters.refused == 1


def test_a_policy_that_breaks_has_no_answer_and_is_logged_with_its_trace(decider, logged):
    assert decider.decide("create", "p/c/0", lambda: 1 / 0) is None
    assert decider.counters.failed == 1
    assert decider.state == "first state"
    (event,) = logged
    assert event["event"] == "policy.failed"
    assert isinstance(event["exc_info"], ZeroDivisionError)


@pytest.mark.parametrize("endless", [for_ever, for_ever_and_swallowing_everything])
def test_a_policy_that_never_ends_is_interrupted(decider, endless, logged):
    assert decider.decide("create", "p/c/0", endless) is None
    assert decider.counters.failed == 1
    assert isinstance(logged[0]["exc_info"], OverBudget)
    assert f"{BUDGET_S:g} s" in str(logged[0]["exc_info"])


def test_after_an_interruption_the_next_decision_has_its_own_time(decider):
    decider.decide("create", "p/c/0", for_ever)
    assert decider.decide("create", "p/c/1", lambda: ANSWER) is DECISION


@pytest.fixture(name="alarm_s")
def _alarm_s():
    """A timer of somebody else's, which has hours to go; pytest's own comes back afterwards."""
    before = signal.setitimer(signal.ITIMER_REAL, 7200.0)
    yield 7200.0
    signal.setitimer(signal.ITIMER_REAL, *before)


@pytest.mark.parametrize("question", [lambda: ANSWER, for_ever, lambda: 1 / 0])
def test_timer_and_handler_are_as_before_afterwards(decider, question, alarm_s):
    before = signal.getsignal(signal.SIGALRM)
    decider.decide("create", "p/c/0", question)
    assert signal.getsignal(signal.SIGALRM) is before
    assert alarm_s / 2 < signal.getitimer(signal.ITIMER_REAL)[0] <= alarm_s


def test_where_there_was_no_timer_there_is_none_afterwards(decider, alarm_s):
    signal.setitimer(signal.ITIMER_REAL, 0)
    decider.decide("create", "p/c/0", lambda: ANSWER)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_what_a_person_does_at_the_keyboard_is_no_failure_of_the_policy(decider):
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decider.decide("create", "p/c/0", interrupted)
    assert decider.counters.failed == 0


def test_in_another_thread_the_block_just_runs(alarm_s):
    ran = []

    def in_thread():
        with interrupted_after(BUDGET_S):
            ran.append(signal.getitimer(signal.ITIMER_REAL)[0] > BUDGET_S)

    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    assert ran == [True]
