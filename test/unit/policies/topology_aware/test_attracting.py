"""Who runs already draws others near, or keeps them away."""

import pytest

from unit.policies.topology_aware.nodes import Node

AFFINITY, ANTI_AFFINITY = (f"cri-resource-manager.intel.com/{word}" for word in ("affinity", "anti-affinity"))
LABEL = "{scope: {operator: AlwaysTrue}, match: {key: name, operator: Equals, values: [web]}, weight: %d}"


def test_containers_that_name_each_other_come_together():
    node = Node()
    pod = {AFFINITY: "web: [cache]"}
    node.run("other", cpu=100)
    node.run("p:web", cpu=100, annotations=pod)
    node.run("p:cache", cpu=100, annotations=pod)
    node.run("p:third", cpu=100, annotations=pod)
    assert node.pool("p:web") == node.pool("p:cache") == "NUMA node #2"
    assert node.pool("p:third") != node.pool("p:web")


def test_a_pod_of_the_same_name_elsewhere_is_another_one():
    node = Node()
    pod = {AFFINITY: "web: [cache]"}
    node.run("p:web", cpu=100, annotations=pod, namespace="a")
    node.run("q:cache", cpu=100, annotations=pod, namespace="b")
    assert node.pool("p:web") != node.pool("q:cache")


def test_others_are_kept_away_and_out_of_the_package_too():
    node = Node()
    node.run("p:web", cpu=100)
    node.run("q:worker", cpu=100, annotations={ANTI_AFFINITY: f"worker: [{LABEL % 5}]"})
    assert (node.pool("p:web"), node.pool("q:worker")) == ("NUMA node #1", "NUMA node #2")


def test_a_peer_is_felt_less_with_each_step():
    node = Node()
    node.run("p:web", cpu=100)
    found = node.run("q:worker", cpu=100, annotations={AFFINITY: f"worker: [{LABEL % 16}]"}).candidates
    assert {one.pool: one.scores["affinity"] for one in found} == {
        "NUMA node #1": 16,
        "socket #0": 12,
        "root": 9,
        "NUMA node #0": 0,
        "NUMA node #2": 0,
        "NUMA node #3": 0,
        "socket #1": 0,
    }


def test_those_in_a_large_pool_are_felt_in_the_small_ones():
    node = Node()
    node.run("p:web", cpu=9000, limit=9500)
    found = node.run("q:worker", cpu=100, annotations={AFFINITY: f"worker: [{LABEL % 16}]"}).candidates
    assert {one.pool: one.scores["affinity"] for one in found if one.pool != "socket #1"} == {
        "root": 16,
        "socket #0": 12,
        **{f"NUMA node #{i}": 9 for i in range(4)},
    }


@pytest.mark.parametrize(
    ("options", "affinity"),
    [
        ({"colocate_pods": True}, 10),
        ({"colocate_namespaces": True}, 20),
        ({"colocate_pods": True, "colocate_namespaces": True}, 30),
    ],
)
def test_colocation_draws_containers_of_a_pod_and_of_a_namespace(options, affinity):
    node = Node(**options)
    node.run("p:a", cpu=100)
    node.run("q:a", cpu=100, namespace="elsewhere")
    node.run("r:a", cpu=100)
    found = node.run("p:b", cpu=100).candidates
    assert sum(one.scores["affinity"] for one in found if one.pool.startswith("NUMA")) == affinity
    assert node.pool("p:b") == node.pool("p:a")


def test_whoever_has_affinities_of_its_own_is_not_colocated():
    node = Node(colocate_pods=True)
    pod = {AFFINITY: "b: [z]"}
    node.run("p:a", cpu=100, annotations=pod)
    node.run("p:b", cpu=100, annotations=pod)
    assert node.pool("p:a") != node.pool("p:b")


def test_a_container_does_not_draw_itself():
    node = Node(colocate_pods=True)
    node.run("p:a", cpu=3000, limit=3500)
    node.run("q:a", cpu=100)
    node.resize("p:a", cpu=4500, limit=5000)
    assert node.pool("p:a") == "socket #1"
