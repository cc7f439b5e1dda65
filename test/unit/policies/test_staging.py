"""A stage does what the manager and the ledger would do with a policy's answers."""

from dataclasses import replace

import pytest

from cri_resmgr.policies.contract import PolicyRefusal, Restored
from cri_resmgr.policies.none import NonePolicy
from cri_resmgr.policies.staging import Stage
from cri_resmgr.values.decisions import Candidate, Change, Decision, Holding
from cri_resmgr.values.resources import NOTHING, Assignment, Resources
from cri_resmgr.values.workloads import Container, Pod, State

POD = Pod("pod-1", "web", "default", "uid-1")
OTHER = Pod("pod-2", "db", "default", "uid-2")


class TurnTaking:
    """Gives CPU n to the n-th container that comes, and CPU 0 to all others; refuses a container named `big`.

    Its state is what it has given, by key.
    """

    name = "turn-taking"

    def restore(self, running):
        state = {c.key: c.given.cpuset_cpus for c, _ in running if c.holding.policy == self.name}
        strangers = [c.key for c, _ in running if c.key not in state]
        state |= dict.fromkeys(strangers, "0")
        return Restored(state, {key: self._decision("0", ("taken over",)) for key in strangers})

    def create(self, state, container, pod):
        if container.name == "big":
            raise PolicyRefusal("too big")
        assert container.state is State.CREATING
        mine = str(len(state) + 1)
        decision = replace(self._decision(mine, (f"{pod.name} came",)), neighbours=self._change(state, "0"))
        return decision, dict.fromkeys(state, "0") | {container.key: mine}

    def update(self, state, container, pod):
        if container.asked.cpu_shares > 1024:
            raise PolicyRefusal("too many shares")
        mine = str(container.asked.cpu_shares)
        return self._decision(mine, ("resized",)), state | {container.key: mine}

    def release(self, state, key):
        left = {other: "9" for other in state if other != key}
        return Decision(reasons=("gone",), neighbours=self._change(left, "9")), left

    def revisit(self, state, container, pod):
        return self._decision("8", ("time has passed",)), state | {container.key: "8"}

    def rebalance(self, state):
        return Decision(neighbours=self._change(state, "7")), dict.fromkeys(state, "7")

    def _decision(self, cpus, reasons):
        return Decision(
            Assignment(cpuset_cpus=cpus),
            Holding(self.name, exclusive=cpus),
            reasons,
            (Candidate("all", {}, "chosen"),),
            revisit_after_start_s=float(cpus) if cpus == "2" else 0.0,
        )

    def _change(self, keys, cpus):
        return {key: Change(Assignment(cpuset_cpus=cpus), Holding(self.name), ()) for key in keys}


def container(name="a", pod=POD, **fields):
    return Container(pod.id, name, 0, **fields)


def staged(*names):
    stage = Stage(TurnTaking())
    for name in names:
        stage.create(container(name), POD)
    return stage


def cpus(stage):
    return {key.split("/")[1]: c.given.cpuset_cpus for key, c in stage.containers.items()}


def test_a_new_container_gets_the_decision_with_its_reasons():
    stage = staged("a")
    (made,) = stage.containers.values()
    assert made == container(
        state=State.CREATED,
        given=Assignment(cpuset_cpus="1"),
        holding=Holding("turn-taking", exclusive="1"),
        reasons=("web came",),
        candidates=(Candidate("all", {}, "chosen"),),
    )
    assert stage.pods == {"pod-1": POD}
    assert stage.state == {"pod-1/a/0": "1"}


def test_neighbours_change_and_keep_their_reasons_when_there_are_no_new_ones():
    stage = staged("a", "b")
    assert cpus(stage) == {"a": "0", "b": "2"}
    assert stage.containers["pod-1/a/0"].holding == Holding("turn-taking")
    assert stage.containers["pod-1/a/0"].reasons == ("web came",)


def test_containers_stay_in_the_order_of_their_creation_whatever_changes():
    stage = staged("b", "a", "c")
    stage.start("pod-1/b/0")
    stage.update("pod-1/a/0", Resources(cpu_shares=512))
    stage.rebalance()
    assert [c.name for c in stage.containers.values()] == ["b", "a", "c"]


def test_a_refused_container_leaves_everything_as_it_was():
    stage = staged("a")
    before = dict(stage.containers), dict(stage.pods), stage.state
    with pytest.raises(PolicyRefusal, match="too big"):
        stage.create(container("big", OTHER), OTHER)
    assert (dict(stage.containers), dict(stage.pods), stage.state) == before


def test_a_refused_resize_leaves_everything_as_it_was():
    stage = staged("a")
    before = dict(stage.containers), stage.state
    with pytest.raises(PolicyRefusal, match="too many"):
        stage.update("pod-1/a/0", Resources(cpu_shares=2048))
    assert (dict(stage.containers), stage.state) == before


def test_a_resize_is_merged_with_what_was_asked():
    stage = Stage(TurnTaking())
    stage.create(container(asked=Resources(cpu_shares=2, memory_limit_bytes=5)), POD)
    stage.update("pod-1/a/0", Resources(cpu_shares=512))
    assert stage.containers["pod-1/a/0"].asked == Resources(cpu_shares=512, memory_limit_bytes=5)
    assert cpus(stage) == {"a": "512"}


def test_a_started_container_runs_and_keeps_what_it_has():
    stage = staged("a")
    stage.start("pod-1/a/0")
    assert stage.containers["pod-1/a/0"].state is State.RUNNING
    assert cpus(stage) == {"a": "1"}


def test_a_container_that_exits_is_gone_and_its_neighbours_gain():
    stage = staged("a", "b")
    assert stage.exit("pod-1/b/0").reasons == ("gone",)
    assert cpus(stage) == {"a": "9"}
    assert stage.state == {"pod-1/a/0": "9"}


def test_a_pod_takes_its_containers_with_it_and_nobody_elses():
    stage = staged("a", "b")
    stage.create(container("c", OTHER), OTHER)
    assert len(stage.delete_pod("pod-1")) == 2
    assert cpus(stage) == {"c": "9"}
    assert stage.pods == {"pod-2": OTHER}
    assert stage.delete_pod("pod-1") == ()


def test_a_revisit_is_wanted_until_it_has_been_made():
    stage = staged("a", "b")
    assert [c.revisit_after_start_s for c in stage.containers.values()] == [0.0, 2.0]
    stage.revisit("pod-1/b/0")
    assert cpus(stage)["b"] == "8"
    assert [c.revisit_after_start_s for c in stage.containers.values()] == [0.0, 0.0]


def test_rebalancing_changes_those_whom_the_policy_names():
    stage = staged("a", "b")
    stage.rebalance()
    assert cpus(stage) == {"a": "7", "b": "7"}


def test_a_restart_makes_the_state_anew_from_the_holdings():
    stage = staged("a", "b")
    before, containers = stage.state, dict(stage.containers)
    assert stage.restore() == {}
    assert stage.state == before
    assert stage.state is not before
    assert stage.containers == containers


def test_another_policy_takes_over_what_runs():
    stage = staged("a", "b")
    assert set(stage.restore(NonePolicy())) == {"pod-1/a/0", "pod-1/b/0"}
    assert stage.policy.name == "none"
    assert [c.given for c in stage.containers.values()] == [NOTHING, NOTHING]
    stage.restore(TurnTaking())
    assert cpus(stage) == {"a": "0", "b": "0"}
    assert stage.containers["pod-1/a/0"].reasons == ("taken over",)


def test_a_stage_can_begin_with_what_runs_already():
    running = container(state=State.RUNNING, adopted=True)
    stage = Stage(TurnTaking(), [(running, POD)])
    assert cpus(stage) == {"a": "0"}
    assert stage.containers["pod-1/a/0"].state is State.RUNNING
    assert stage.pods == {"pod-1": POD}


def test_readers_cannot_change_the_stage():
    stage = staged("a")
    with pytest.raises(TypeError):
        stage.containers["x"] = container()
