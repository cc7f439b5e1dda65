"""Affinities are read from a pod's annotations and weigh upon the containers that they mean."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.policies.affinities import LIMIT_VALUES, Affinity, affinities, colocation, weights
from cri_resmgr.policies.expressions import expression
from cri_resmgr.values.workloads import Container, Pod

AFFINITY = "cri-resource-manager.intel.com/affinity"
ANTI = "cri-resource-manager.intel.com/anti-affinity"
NAMES = ["a", "b", "c", "d"]


def pod(name: str = "farm", namespace: str = "default", **annotations: str) -> Pod:
    keys = {"near": AFFINITY, "far": ANTI}
    said = {keys[kind]: text for kind, text in annotations.items()}
    return Pod(f"{namespace}-{name}", name, namespace, f"uid-{name}", annotations=said)


def containers(of: Pod, *names: str) -> list[tuple[Container, Pod]]:
    return [(Container(of.id, name, 0), of) for name in names or NAMES]


def pulls(of: Pod, name: str, others: list[tuple[Container, Pod]] | None = None) -> dict[str, int]:
    """The weights for one container of a pod, by the names of pods and containers."""
    found = weights((Container(of.id, name, 0), of), containers(of) if others is None else others, affinities(of, name))
    return {key.rsplit("/", 1)[0].removeprefix("default-farm/"): weight for key, weight in found.items()}


def test_a_pod_without_affinities_pulls_nobody_and_looks_at_nobody():
    assert affinities(pod(), "a") == ()
    assert weights(containers(pod(), "a")[0], iter(lambda: pytest.fail("looked at"), None), ()) == {}


def test_the_short_form_works_both_ways_within_the_pod():
    farm = pod(near="a: [b]", far="a: [ c ]\nd: [ c, b ]")
    assert pulls(farm, "a") == {"b": 1, "c": -1}
    assert pulls(farm, "b") == {"a": 1, "d": -1}
    assert pulls(farm, "c") == {"a": -1, "d": -1}
    assert pulls(farm, "d") == {"b": -1, "c": -1}


def test_saying_it_twice_in_the_short_form_is_saying_it_once():
    assert pulls(pod(near="a: [b, b]\nb: [a, b]"), "a") == {"b": 1}


@given(st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=4)))
def test_the_short_form_is_a_symmetric_relation(relation):
    farm = pod(near=str(relation).replace("'", '"'))
    said = {frozenset({a, b}) for a, others in relation.items() for b in others if a != b}
    for name in NAMES:
        assert pulls(farm, name) == {other: 1 for other in NAMES if frozenset({name, other}) in said}


def test_a_container_of_the_same_name_elsewhere_is_not_meant():
    farm = pod(near="a: [b]")
    elsewhere = containers(pod(namespace="other"), "b") + containers(pod("forest"), "b")
    assert pulls(farm, "a", elsewhere) == {}


LONG = """
a:
- match: {key: name, operator: Equals, values: [b]}
  weight: 5
- match: {key: name, operator: In, values: [b, c]}
  scope: {key: pod/namespace, operator: Equals, values: [default]}
"""


def test_the_long_form_works_one_way_and_in_its_scope():
    farm, forest, other = pod(near=LONG), pod("forest"), pod(namespace="other")
    around = containers(farm) + containers(forest) + containers(other)
    assert pulls(farm, "a", around) == {"b": 6, "c": 1, "default-forest/b": 1, "default-forest/c": 1}
    assert pulls(farm, "b", around) == {}


def test_the_container_itself_is_not_meant_but_its_namesakes_are():
    farm = pod(near="a: [{scope: {operator: AlwaysTrue}, match: {key: name, operator: Matches, values: ['*']}}]")
    around = containers(farm, "a") + containers(pod("forest"), "a")
    assert pulls(farm, "a", around) == {"default-forest/a": 1}


def test_what_pulls_as_much_as_it_pushes_does_nothing():
    assert pulls(pod(near="a: [b]", far="a: [b, c]"), "a") == {"c": -1}


@pytest.mark.parametrize(
    ("said", "near", "far"),
    [
        ("5", 5, -5),
        ("-5", -5, 5),
        ("0", 1, -1),
        ("", 1, -1),
        ("+7", 7, -7),
        ("1000", 1000, -1000),
        ("9" * 18, 1000, -1000),
        ("-" + "9" * 18, -1000, 1000),
    ],
)
def test_a_weight_has_limits_and_counts_as_its_opposite_in_anti_affinity(said, near, far):
    text = f"a:\n- match: {{key: name, operator: Exists}}\n  weight: {said}"
    assert [one.weight for one in affinities(pod(near=text), "a")] == [near]
    assert [one.weight for one in affinities(pod(far=text), "a")] == [far]


def test_both_forms_may_stand_side_by_side():
    farm = pod(near="a: [b, {match: {key: name, operator: Equals, values: [c]}, weight: 3}]")
    assert pulls(farm, "a") == {"b": 1, "c": 3}
    assert pulls(farm, "b") == {"a": 1}


@pytest.mark.parametrize("text", ["", "# none", "{}", "a: []", "a:"])
def test_no_affinity_is_none(text):
    assert affinities(pod(near=text, far=text), "a") == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: b", "annotation cri-resource-manager.intel.com/anti-affinity: a: is no list; write [CONTAINER, …]"),
        ("b: {}x", "anti-affinity: line 1: 'x' does not belong here"),
        ("[a, b]", "anti-affinity: it names no containers; write 'CONTAINER: [CONTAINER, …]'"),
        ("a: [b]\na: [c]", "anti-affinity: line 2: 'a: [c]' is there already; keep one"),
        ("a: [[b]]", "anti-affinity: a[0]: is no affinity; write match, and scope and weight where needed"),
        ("a:\n- scope: {operator: AlwaysTrue}\n- match: {}", "anti-affinity: a[0]: is no affinity"),
        ("a: [b, {match: {key: name, operator: Exists}, wait: 1}]", "anti-affinity: a[1]: is no affinity"),
        (
            "a: [{match: {key: name, operator: Like}}]",
            "anti-affinity: a[0].match.operator: 'Like' is none; write one of",
        ),
        ("a: [{match: {operator: AlwaysTrue}, scope: {}}]", "anti-affinity: a[0].scope.operator: '' is none"),
        ("a: [{match: {operator: AlwaysTrue}, weight: 1.5}]", "anti-affinity: a[0].weight: is no whole number"),
        ("a: [{match: {operator: AlwaysTrue}, weight: [1]}]", "anti-affinity: a[0].weight: is no whole number"),
    ],
)
def test_a_mistake_is_told_with_its_annotation_and_its_place(text, problem):
    with pytest.raises(ValueError, match=re.escape(problem)):
        affinities(pod(far=text), "a")


def test_a_mistake_about_one_container_leaves_the_others_alone():
    farm = pod(near="a: [b]\nb: [{match: {key: nonsense, operator: Exists}}]")
    assert pulls(farm, "a") == {"b": 1}
    with pytest.raises(ValueError, match="'nonsense' is no key"):
        affinities(farm, "b")


def test_more_than_can_be_compared_while_a_pod_waits_is_refused():
    def of(count: int) -> Pod:
        return pod(near="a: [{match: {key: name, operator: In, values: [" + "x, " * (count - 1) + "]}}]")

    assert len(affinities(of(LIMIT_VALUES), "a")) == 1
    with pytest.raises(ValueError, match=r"a has 257 affinities and values in them; 256 is the limit"):
        affinities(of(LIMIT_VALUES + 1), "a")


def test_colocation_pulls_together_pods_and_namespaces():
    farm, forest, other = pod(), pod("forest"), pod(namespace="other")
    around = containers(farm, "a", "b") + containers(forest, "a") + containers(other, "b")
    subject = around[0]

    def pull(**kinds: bool) -> dict[str, int]:
        return weights(subject, around, colocation(farm, **kinds))

    assert pull(pods=False, namespaces=False) == {}
    assert pull(pods=True, namespaces=False) == {"default-farm/b/0": 10}
    assert pull(pods=False, namespaces=True) == {"default-farm/b/0": 10, "default-forest/a/0": 10}
    assert pull(pods=True, namespaces=True) == {"default-farm/b/0": 20, "default-forest/a/0": 10}


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.integers(-9, 9)), max_size=8))
def test_weights_of_many_affinities_add_up(said):
    own = [Affinity(expression("name", "Equals", [name]), weight) for name, weight in said]
    farm = pod()
    sums = {name: sum(weight for other, weight in said if other == name) for name in NAMES[1:]}
    found = weights(containers(farm, "a")[0], containers(farm), own)
    assert found == {f"default-farm/{name}/0": weight for name, weight in sums.items() if weight}
