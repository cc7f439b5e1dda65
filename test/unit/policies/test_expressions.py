"""Keys find what they name, operators say what they mean, and mistakes are told."""

import re

import pytest

from cri_resmgr.policies import expression_keys
from cri_resmgr.policies.expressions import expression, holds, written
from cri_resmgr.values.workloads import Container, Pod

POD = Pod(
    "pod-id",
    "web-0",
    "shop",
    "pod-uid",
    "/kubepods/burstable/podpod-uid",
    labels={"app": "web", "app.kubernetes.io/name": "front", "empty": "", "version": "1.2"},
)
CONTAINER = Container(
    "pod-id", "redis", 0, id="container-id", labels={"io.kubernetes.container.name": "redis", "x.y": "z"}
)
BARE = Container("", "bare", 0), Pod("", "bare", "shop", "")


def value(key: str) -> str | None:
    return expression_keys.resolve(expression_keys.parse(key), CONTAINER, POD)


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("name", "redis"),
        ("namespace", "shop"),
        ("qosclass", "Burstable"),
        ("id", "container-id"),
        ("uid", "pod-uid"),
        ("pod/name", "web-0"),
        ("pod/namespace", "shop"),
        ("pod/qosclass", "Burstable"),
        ("pod/id", "pod-id"),
        ("pod/uid", "pod-uid"),
        ("pod//name", "web-0"),
        ("labels/x.y", "z"),
        ("x.y", "z"),
        ("labels/app", None),
        ("pod/labels/app", "web"),
        ("pod/labels/app.kubernetes.io/name", "front"),
        ("pod/app.kubernetes.io/name", "front"),
        ("pod/labels/empty", ""),
        ("io.kubernetes.container.name", "redis"),
        ("labels/io.kubernetes.pod.name", "web-0"),
        ("io.kubernetes.pod.namespace", "shop"),
        ("pod/io.kubernetes.pod.uid", "pod-uid"),
        ("pod/io.kubernetes.container.name", None),
        ("tags/AVX512", None),
    ],
)
def test_a_key_finds_what_it_names(key, found):
    assert value(key) == found


@pytest.mark.parametrize("key", ["id", "uid", "qosclass", "pod/id", "pod/uid", "pod/qosclass"])
def test_what_a_container_has_not_got_does_not_resolve(key):
    assert expression_keys.resolve(expression_keys.parse(key), *BARE) is None


def test_a_container_has_the_kubelets_labels_even_if_nobody_wrote_them_down():
    assert expression_keys.resolve(expression_keys.parse("io.kubernetes.container.name"), *BARE) == "bare"
    assert expression_keys.resolve(expression_keys.parse("io.kubernetes.pod.namespace"), *BARE) == "shop"


@pytest.mark.parametrize(
    ("key", "found"),
    [
        (":pod/qosclass:pod/name:name", "Burstable:web-0:redis"),
        (":,-pod/qosclass,pod/name,name", "Burstable-web-0-redis"),
        (":_:name_namespace", "redis:shop"),
        (":name", "redis"),
        (":name:labels/app:namespace", "redis::shop"),
        (":labels/app:tags/T", None),
        (":pod/labels/empty:tags/T", ":"),
    ],
)
def test_joined_keys_join_what_their_parts_find(key, found):
    assert value(key) == found


@pytest.mark.parametrize(
    "key", ["", "/", "app", "pod", "pod/pod/name", "labels", "labels/", "pod/tags/T", "Name", ":x", ":name:"]
)
def test_what_is_no_key_is_refused(key):
    with pytest.raises(ValueError, match=r"is no key; write one of name, namespace, qosclass, id, uid, labels/KEY"):
        expression_keys.parse(key)


@pytest.mark.parametrize(
    ("operator", "values", "of_redis", "of_nothing"),
    [
        ("Equals", ["redis"], True, False),
        ("Equals", ["web"], False, False),
        ("Equals", ["*"], True, False),
        ("NotEqual", ["redis"], False, True),
        ("NotEqual", ["web"], True, True),
        ("NotEqual", ["*"], True, True),
        ("In", ["web", "redis"], True, False),
        ("In", ["web", "*"], True, False),
        ("In", [], False, False),
        ("NotIn", ["web", "redis"], False, True),
        ("NotIn", ["*"], False, True),
        ("NotIn", [], True, True),
        ("Exists", [], True, False),
        ("NotExist", [], False, True),
        ("NotExists", [], False, True),
        ("AlwaysTrue", ["whatever"], True, True),
        ("Matches", ["red*"], True, False),
        ("Matches", ["red"], False, False),
        ("MatchesNot", ["red*"], False, True),
        ("MatchesAny", ["w*", "r?dis"], True, False),
        ("MatchesAny", [], False, False),
        ("MatchesNone", ["w*", "r?dis"], False, True),
        ("MatchesNone", ["w*"], True, True),
    ],
)
def test_operators_say_what_they_mean_of_a_value_and_of_none(operator, values, of_redis, of_nothing):
    assert holds(expression("name", operator, values), CONTAINER, POD) is of_redis
    assert holds(expression("labels/none", operator, values), CONTAINER, POD) is of_nothing


def test_always_true_needs_no_key():
    assert holds(written({"operator": "AlwaysTrue"}, "scope"), *BARE)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("sheep", "match: is no expression; write key, operator and values"),
        ({"key": "name", "op": "In"}, "match: is no expression"),
        ({"key": ["name"], "operator": "Exists"}, "match: key and operator are single words"),
        ({"key": "name"}, "match.operator: '' is none; write one of Equals, NotEqual, In,"),
        ({"key": "name", "operator": "in"}, "match.operator: 'in' is none"),
        ({"key": "name", "operator": "Equals"}, "match.values: Equals takes one, not 0"),
        (
            {"key": "name", "operator": "MatchesNot", "values": ["a", "b"]},
            "match.values: MatchesNot takes one, not 2",
        ),
        ({"key": "name", "operator": "Exists", "values": ["a"]}, "match.values: Exists takes none, not 1"),
        (
            {"key": "name", "operator": "In", "values": "a"},
            "match.values: is no list of texts; write one such as [a, b]",
        ),
        ({"key": "name", "operator": "In", "values": [["a"]]}, "match.values: is no list of texts"),
        ({"key": "nickname", "operator": "Exists"}, "match.key: 'nickname' is no key"),
        ({"operator": "Exists"}, "match.key: '' is no key"),
        ({"key": "name", "operator": "Matches", "values": ["[a"]}, "match.values: '[a' is no pattern"),
    ],
)
def test_a_mistake_is_told_with_its_place(said, problem):
    with pytest.raises(ValueError, match=re.escape(problem)):
        written(said, "match")
