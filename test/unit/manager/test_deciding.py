"""An outcome in any case, however the policy behaves."""

import contextlib
import re
import signal
import threading
from dataclasses import replace

import pytest

from cri_resmgr.manager.deciding import Decider, NoAnswer
from cri_resmgr.manager.interrupting import OverBudget, interrupted_after
from cri_resmgr.policies.contract import PolicyRefusal, Restored
from cri_resmgr.relay.hooks import Refused
from cri_resmgr.values.decisions import Decision, Holding
from cri_resmgr.values.resources import Assignment, Resources
from cri_resmgr.values.workloads import Container, Pod
from cri_resmgr.wire.grpc import FAILED_PRECONDITION, INTERNAL

BUDGET_S = 0.05
DECISION = Decision(reasons=("because",))
ANSWER = (DECISION, "state after it")
CONTAINER = Container("p", "c", 0)


class OddPolicy:
    name = "odd"

    def __init__(self):
        self.begin = lambda: Restored("first state", {"p/c/0": DECISION})
        self.end = lambda: ANSWER

    def restore(self, running):
        return self.begin()

    def release(self, state, key):
        return self.end()

    def exports(self, container):
        raise KeyError(container.name)

    def warnings(self, state):
        return [f"{state} is not enough"]


@pytest.fixture(name="policy")
def _policy():
    return OddPolicy()


class Recorded(list):
    """Events, without a loop that saves them."""

    def record(self, kind, *, text, container=None):
        self.append((str(kind), container and container.name, text))


@pytest.fixture(name="events")
def _events():
    return Recorded()


@pytest.fixture(name="decider")
def _decider(policy, events):
    made = Decider(policy, budget_s=BUDGET_S, events=events)
    made.restore([])
    return made


def for_ever():
    while True:
        pass


def for_ever_and_swallowing_everything():
    while True:
        with contextlib.suppress(Exception):
            for_ever()


def refuse():
    raise PolicyRefusal("4 CPUs wanted, 2 are free")


def break_down():
    raise ZeroDivisionError("there is no half a CPU")


# ---- answers


def test_an_answer_is_the_decision(decider):
    assert decider.state == "first state"
    assert decider.ask("create", CONTAINER, lambda: ANSWER) is DECISION
    assert decider.state == "state after it"
    assert (decider.counters.decided, decider.counters.failed, decider.counters.refused) == (1, 0, 0)


def test_each_answer_is_another_version_of_the_state(decider):
    versions = [decider.version]
    for _ in range(2):
        decider.ask("create", CONTAINER, lambda: ANSWER)
        versions.append(decider.version)
    decider.ask("create", CONTAINER, break_down)
    assert [*versions, decider.version] == [1, 2, 3, 3]


@pytest.mark.parametrize(
    ("asked", "given", "kinds"),
    [
        (Resources(cpuset_cpus="1"), Assignment(cpuset_cpus="0"), ["KubeletPins"]),
        (Resources(cpuset_mems="0"), Assignment(cpuset_mems="0"), ["KubeletPins"]),
        (Resources(cpuset_cpus="1", cpuset_mems="0"), Assignment(), []),
        (Resources(cpuset_cpus="1"), Assignment(cpuset_mems="0"), []),
        (Resources(cpu_shares=2), Assignment(cpuset_cpus="0", cpuset_mems="0"), []),
    ],
)
def test_a_kubelet_that_gives_out_cpus_or_memory_nodes_beside_the_policy_is_an_event(asked, given, kinds):
    policy, events = OddPolicy(), Recorded()
    policy.create = lambda state, *_: (Decision(given), state)
    decider = Decider(policy, budget_s=BUDGET_S, events=events)
    decider.restore([])
    assert decider.create(replace(CONTAINER, asked=asked), Pod("p", "", "", "")) == Decision(given)
    assert [kind for kind, *_ in events] == kinds
    assert all(subject is None for _, subject, _ in events)
    assert all("policy odd count instead: set cpuManagerPolicy: none" in text for *_, text in events)


# ---- refusals


def test_a_refusal_reaches_the_kubelet_with_the_policys_name_and_reason(decider, events):
    with pytest.raises(Refused, match=re.escape("cri-resmgr, policy odd: 4 CPUs wanted, 2 are free")) as refused:
        decider.ask("create", CONTAINER, refuse)
    assert refused.value.code == FAILED_PRECONDITION
    assert decider.counters.refused == 1
    assert [event[:2] for event in events] == [("PolicyRefused", "c")]


def test_a_refusal_that_the_kubelet_asks_for_each_second_is_logged_once(decider, events, logged):
    for key in ("c", "c", "d"):
        with pytest.raises(Refused):
            decider.ask("update", replace(CONTAINER, name=key), refuse)
    assert [event["container"] for event in logged] == ["p/c/0", "p/d/0"]
    assert (decider.counters.refused, len(events)) == (3, 3)


def test_a_refusal_passes_where_the_configuration_wants_that(decider, events):
    decider.on_error = "pass"
    answer = decider.ask("create", CONTAINER, refuse)
    assert answer == NoAnswer("policy odd: 4 CPUs wanted, 2 are free; passed as the kubelet asked")
    assert (decider.counters.refused, decider.counters.passed) == (1, 1)
    assert [event[:2] for event in events] == [("PolicyPassed", "c")]


def test_what_nobody_waits_for_cannot_be_refused(decider):
    assert decider.tell("revisit", "p/c/0", refuse) is None
    assert (decider.counters.refused, decider.stale) == (0, False)


# ---- failures


@pytest.mark.parametrize("on_error", ["", "pass"])
def test_a_policy_that_breaks_has_no_answer_and_is_logged_with_its_trace(decider, events, logged, on_error):
    decider.on_error = on_error
    answer = decider.ask("create", CONTAINER, break_down)
    assert isinstance(answer, NoAnswer)
    assert "there is no half a CPU" in answer.reason
    assert (decider.counters.failed, decider.counters.passed, decider.state) == (1, 1, "first state")
    assert [event[:2] for event in events] == [("PolicyPassed", "c")]
    (event,) = logged
    assert event["event"] == "policy.failed"
    assert isinstance(event["exc_info"], ZeroDivisionError)


def test_a_policy_that_breaks_rejects_where_the_configuration_wants_that(decider, events):
    decider.on_error = "reject"
    with pytest.raises(Refused, match="policy odd: it gave no answer") as refused:
        decider.ask("create", CONTAINER, break_down)
    assert refused.value.code == INTERNAL
    assert (decider.counters.failed, decider.counters.passed) == (1, 0)
    assert [event[:2] for event in events] == [("PolicyRejected", "c")]


@pytest.mark.parametrize("endless", [for_ever, for_ever_and_swallowing_everything])
def test_a_policy_that_never_ends_is_interrupted(decider, endless, logged):
    assert isinstance(decider.ask("create", CONTAINER, endless), NoAnswer)
    assert decider.counters.failed == 1
    assert isinstance(logged[0]["exc_info"], OverBudget)
    assert f"{BUDGET_S:g} s" in str(logged[0]["exc_info"])


def test_after_an_interruption_the_next_decision_has_its_own_time(decider):
    decider.ask("create", CONTAINER, for_ever)
    assert decider.ask("create", CONTAINER, lambda: ANSWER) is DECISION


def test_a_release_that_fails_leaves_the_state_behind_what_runs_until_the_policy_begins_again(decider, policy):
    policy.end = break_down
    assert decider.release("p/c/0") is None
    assert decider.stale
    assert decider.restore([]) == {"p/c/0": DECISION}
    assert not decider.stale


def test_a_policy_that_remembers_nobody_is_not_told_who_has_gone(policy, events):
    policy.begin, policy.end = (lambda: Restored(None)), break_down
    decider = Decider(policy, budget_s=BUDGET_S, events=events)
    decider.restore([])
    assert decider.release("p/c/0") == Decision()
    assert (decider.stale, decider.counters.failed) == (False, 0)


def test_what_a_container_may_know_is_nothing_when_the_policy_fails(decider, logged):
    assert decider.exports(Container("p", "c", 0, holding=Holding("odd", exclusive="1"))) == {}
    assert logged[0]["event_kind"] == "exports"


def test_a_container_that_holds_nothing_has_nothing_to_know(decider, logged):
    assert decider.exports(CONTAINER) == {}
    assert not logged


def test_what_will_hurt_is_logged_and_an_event(decider, events, logged):
    decider.warn()
    assert logged[0]["text"] == "first state is not enough"
    assert events == [("PolicyWarning", None, "first state is not enough")]


# ---- before the beginning


def test_before_it_knows_what_runs_a_policy_has_no_answer(policy, events):
    decider = Decider(policy, budget_s=BUDGET_S, events=events)
    assert isinstance(decider.ask("create", CONTAINER, lambda: ANSWER), NoAnswer)
    assert (decider.counters.passed, decider.counters.failed) == (1, 0)
    decider.on_error = "reject"
    with pytest.raises(Refused, match="does not know yet what runs"):
        decider.ask("create", CONTAINER, lambda: ANSWER)


def test_what_ends_before_the_beginning_need_not_be_released(policy, events):
    decider = Decider(policy, budget_s=BUDGET_S, events=events)
    assert decider.release("p/c/0") is None
    assert not decider.stale


def test_a_policy_that_cannot_begin_has_no_answers_until_it_can(policy, events):
    policy.begin, good = break_down, policy.begin
    decider = Decider(policy, budget_s=BUDGET_S, events=events)
    assert decider.restore([]) is None
    assert decider.stale
    assert isinstance(decider.ask("create", CONTAINER, lambda: ANSWER), NoAnswer)
    policy.begin = good
    decider.restore([])
    assert decider.ask("create", CONTAINER, lambda: ANSWER) is DECISION


# ---- the timer


@pytest.fixture(name="alarm_s")
def _alarm_s():
    """A timer of somebody else's, which has hours to go; pytest's own comes back afterwards."""
    before = signal.setitimer(signal.ITIMER_REAL, 7200.0)
    yield 7200.0
    signal.setitimer(signal.ITIMER_REAL, *before)


@pytest.mark.parametrize("question", [lambda: ANSWER, for_ever, lambda: 1 / 0])
def test_timer_and_handler_are_as_before_afterwards(decider, question, alarm_s):
    before = signal.getsignal(signal.SIGALRM)
    decider.ask("create", CONTAINER, question)
    assert signal.getsignal(signal.SIGALRM) is before
    assert alarm_s / 2 < signal.getitimer(signal.ITIMER_REAL)[0] <= alarm_s


def test_where_there_was_no_timer_there_is_none_afterwards(decider, alarm_s):
    signal.setitimer(signal.ITIMER_REAL, 0)
    decider.ask("create", CONTAINER, lambda: ANSWER)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_what_a_person_does_at_the_keyboard_is_no_failure_of_the_policy(decider):
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decider.ask("create", CONTAINER, interrupted)
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
