import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.policies import registry
from cri_resmgr.policies.contract import Policy
from cri_resmgr.values.resources import NOTHING, Resources
from cri_resmgr.values.workloads import Container, Pod

POD = Pod(id="p", name="web", namespace="default", uid="u")
resources = st.builds(
    Resources,
    cpu_shares=st.integers(0, 262144),
    cpu_quota_us=st.integers(-1, 10**6),
    cpuset_cpus=st.sampled_from(["", "0-3", "5"]),
)
containers = st.builds(
    Container, pod_id=st.just("p"), name=st.text("abc", min_size=1), attempt=st.integers(0, 3), asked=resources
)


@pytest.fixture(name="policy")
def make_policy() -> Policy:
    return registry.find("none").make()


@pytest.mark.parametrize("event", ["create", "update", "release"])
@given(container=containers, running=st.lists(containers, max_size=4))
def test_the_kubelets_wish_reaches_the_runtime_unchanged_and_no_neighbour_moves(event, container, running):
    policy = registry.find("none").make()
    decision = getattr(policy, event)(container, POD, running)
    assert decision.assignment == NOTHING
    assert decision.assignment.over(container.asked) == container.asked
    assert decision.neighbours == {}


def test_a_decision_says_why_and_a_release_needs_no_reason(policy):
    container = Container(pod_id="p", name="c", attempt=0)
    assert policy.create(container, POD, []).reasons == ("policy none: the kubelet's own values",)
    assert policy.update(container, POD, []).reasons == ("policy none: the kubelet's own values",)
    assert policy.release(container, POD, []).reasons == ()


def test_the_same_event_gives_the_same_decision(policy):
    container = Container(pod_id="p", name="c", attempt=0)
    again = registry.find("none").make()
    assert policy.create(container, POD, [container]) == again.create(container, POD, [container])
