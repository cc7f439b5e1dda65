"""What is read from a Cluster, whatever stands in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extension.clusters import Pool, Shoot, shoot
from extension.errors import NotYet


def cluster(**said):
    return {"metadata": {"name": "shoot--p--s"}, "spec": {"shoot": said}}


def test_shoot_is_read():
    workers = [{"name": "a", "machine": {"architecture": "arm64"}}, {"name": "b"}]
    spec = {"kubernetes": {"version": "1.34.4"}, "provider": {"workers": workers}}
    assert shoot(cluster(spec=spec)) == Shoot(
        kubernetes_version="1.34.4", pools=(Pool("a", "arm64"), Pool("b", "amd64"))
    )
    assert shoot(cluster(spec=spec)).architectures == ("amd64", "arm64")


@pytest.mark.parametrize("spec", [{}, {"shoot": None}, {"shoot": "text"}])
def test_cluster_without_shoot_says_nothing_yet(spec):
    with pytest.raises(NotYet, match=r"spec.shoot of Cluster x is no object"):
        shoot({"metadata": {"name": "x"}, "spec": spec})


def test_shoot_sleeps_when_it_is_to_and_does():
    asleep = {"spec": {"hibernation": {"enabled": True}}, "status": {"hibernated": True}}
    assert shoot(cluster(**asleep)).hibernated
    assert not shoot(cluster(**asleep)).may_have_nodes
    assert shoot(cluster(spec=asleep["spec"])).may_have_nodes, "it is falling asleep"
    assert shoot(cluster(status=asleep["status"])).may_have_nodes, "it is waking up"


def test_shoot_that_is_deleted_has_no_nodes_any_more():
    assert not shoot(cluster(metadata={"deletionTimestamp": "2026-08-21T10:00:00Z"})).may_have_nodes


@pytest.mark.parametrize(("state", "failed"), [("Failed", True), ("Error", False), ("Processing", False)])
def test_gardenlet_gives_a_shoot_up_in_one_state_only(state, failed):
    assert shoot(cluster(status={"lastOperation": {"state": state}})).failed is failed


@pytest.mark.parametrize(("value", "forced"), [("true", True), ("1", True), ("T", True), ("yes", False), ("", False)])
def test_deletion_is_forced_by_what_go_takes_for_true(value, forced):
    annotations = {"confirmation.gardener.cloud/force-deletion": value}
    assert shoot(cluster(metadata={"annotations": annotations})).force_deletion is forced


STATIC = {"kubelet": {"cpuManagerPolicy": "static"}}


@pytest.mark.parametrize(
    ("everywhere", "own", "static"),
    [
        (STATIC, None, "cpuManagerPolicy"),
        (None, STATIC, "cpuManagerPolicy"),
        (None, {"kubelet": {"memoryManagerPolicy": "Static"}}, "memoryManagerPolicy"),
        (STATIC, {"kubelet": {"cpuManagerPolicy": "none"}}, ""),
        (STATIC, {"kubelet": {"maxPods": 9}}, ""),  # the pool's own section takes the place of the whole
        (STATIC, {"version": "1.33.1"}, "cpuManagerPolicy"),
        (None, None, ""),
    ],
)
def test_kubelet_with_a_static_manager_is_seen_for_the_shoot_and_for_each_pool(everywhere, own, static):
    spec = {"kubernetes": everywhere, "provider": {"workers": [{"name": "a", "kubernetes": own}]}}
    assert shoot(cluster(spec=spec)).pools == (Pool("a", static=static),)


WORDS = st.sampled_from((
    "metadata", "annotations", "spec", "kubernetes", "version", "kubelet", "provider", "workers", "hibernation",
    "enabled", "status", "lastOperation", "state", "name", "machine", "hibernated", "cpuManagerPolicy",
))  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=30,
)


@given(st.dictionaries(WORDS, ANYTHING))
def test_nothing_in_a_shoot_is_relied_on(said):
    assert isinstance(shoot(cluster(**said)), Shoot)
