import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.policies import registry
from cri_resmgr.policies.contract import Context, Policy
from cri_resmgr.values.decisions import Holding
from cri_resmgr.values.machines import Machine
from cri_resmgr.values.resources import NOTHING, Assignment, Resources
from cri_resmgr.values.workloads import Container, Pod

POD = Pod(id="p", name="web", namespace="default", uid="u")
NO_MACHINE = Machine(0, (), (), (), ())
resources = st.builds(
    Resources,
    cpu_shares=st.integers(0, 262144),
    cpu_quota_us=st.integers(-1, 10**6),
    cpuset_cpus=st.sampled_from(["", "0-3", "5"]),
)
containers = st.builds(
    Container, pod_id=st.just("p"), name=st.text("abc", min_size=1), attempt=st.integers(0, 3), asked=resources
)


def make() -> Policy:
    return registry.find("none").make(Context(NO_MACHINE))


@pytest.mark.parametrize("event", ["create", "update", "revisit"])
@given(container=containers)
def test_the_kubelets_wish_reaches_the_runtime_unchanged_and_no_neighbour_moves(event, container):
    decision, state = getattr(make(), event)("state", container, POD)
    assert decision.assignment == NOTHING
    assert decision.assignment.over(container.asked) == container.asked
    assert decision.neighbours == {}
    assert state == "state"


def test_a_decision_says_why_and_a_release_needs_no_reason():
    container = Container(pod_id="p", name="c", attempt=0)
    assert make().create(None, container, POD)[0].reasons == ("policy none: the kubelet's own values",)
    assert make().update(None, container, POD)[0].reasons == ("policy none: the kubelet's own values",)
    assert make().release(None, container.key)[0].reasons == ()


def test_what_another_policy_has_given_is_given_back_and_nobody_else_is_touched():
    pinned = Container(pod_id="p", name="pinned", attempt=0, given=Assignment(cpuset_cpus="4"))
    holding = Container(pod_id="p", name="holding", attempt=0, holding=Holding(policy="balloons", shared="0-3"))
    free = Container(pod_id="p", name="free", attempt=0)
    restored = make().restore([(pinned, POD), (holding, POD), (free, POD)])
    assert set(restored.changes) == {pinned.key, holding.key}
    assert {decision.assignment for decision in restored.changes.values()} == {NOTHING}


def test_there_are_no_pools_no_exports_and_nothing_to_warn_of():
    container = Container(pod_id="p", name="c", attempt=0)
    assert (make().pools(None), make().exports(container), make().warnings(None)) == ((), {}, ())
    assert make().rebalance(None)[0].neighbours == {}
