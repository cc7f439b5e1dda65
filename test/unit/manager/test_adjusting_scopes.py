"""Filed under their words or asked one by one: a scope has the containers that its statements say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.manager.adjusting_scopes import Scopes
from cri_resmgr.policies.expressions import expression, holds
from cri_resmgr.values.adjustments import Adjustment, Scope, Statement
from cri_resmgr.values.workloads import Container, Pod

POD = Pod("p", "web", "shop", "u-1", labels={"app.kubernetes.io/name": "shop"})
WORDS = st.sampled_from(["a", "b", "web", "shop", "*"])
KEYS = st.sampled_from(["name", "pod/name", "namespace", "labels/tier", ":,-pod/name,name", "id"])
STATEMENTS = st.one_of(
    st.builds(Statement, KEYS, st.sampled_from(["Equals", "NotEqual", "Matches", "MatchesNot"]), st.tuples(WORDS)),
    st.builds(Statement, KEYS, st.sampled_from(["In", "NotIn"]), st.lists(WORDS, max_size=3).map(tuple)),
    st.builds(Statement, KEYS, st.sampled_from(["Exists", "NotExist", "AlwaysTrue"])),
)
ADJUSTMENTS = st.lists(st.lists(st.lists(STATEMENTS, max_size=2), max_size=2), max_size=4).map(
    lambda all_: [
        Adjustment(f"adjustment-{n}", tuple(Scope((), tuple(said)) for said in scopes)) for n, scopes in enumerate(all_)
    ]
)
CONTAINERS = st.builds(
    Container,
    st.just("p"),
    st.sampled_from(["a", "b"]),
    st.just(0),
    id=st.sampled_from(["", "a"]),
    labels=st.sampled_from([{}, {"tier": "b"}]),
)


def scopes(*adjustments: Adjustment) -> Scopes:
    made = Scopes()
    for one in adjustments:
        made.add(one)
    return made


def adjustment(name: str, *statements: Statement) -> Adjustment:
    return Adjustment(name, (Scope((), statements),))


@given(ADJUSTMENTS, CONTAINERS)
def test_those_in_scope_are_those_of_which_any_statement_holds(adjustments, container):
    def has(scope: Scope) -> bool:
        said = [expression(one.key, one.operator, one.values) for one in scope.containers]
        return not said or any(holds(one, container, POD) for one in said)

    wanted = [one.name for one in adjustments if not one.scopes or any(map(has, one.scopes))]
    assert [one.name for one in scopes(*adjustments).of(container, POD)] == sorted(wanted)


def test_one_that_names_a_container_several_times_is_there_once():
    twice = adjustment("a", Statement("name", "Equals", ("c",)), Statement("namespace", "In", ("shop", "c")))
    assert len(scopes(twice).of(Container("p", "c", 0), POD)) == 1


def test_labels_with_a_slash_can_be_named():
    one = adjustment("a", Statement("pod/labels/app.kubernetes.io/name", "Equals", ("shop",)))
    assert scopes(one).of(Container("p", "c", 0), POD) == (one,)


@pytest.mark.parametrize(
    "statement",
    [
        Statement("name", "Equals"),
        Statement("name", "Equals", ("a", "b")),
        Statement("name", "Like", ("a",)),
        Statement("colour", "Equals", ("a",)),
        Statement("name", "Matches", ("[a",)),
    ],
)
def test_a_statement_that_is_none_is_refused_and_not_there(statement):
    made = Scopes()
    with pytest.raises(ValueError, match=r"^(key|operator|values): "):
        made.add(adjustment("a", statement))
    assert made.adjustments == {}
    assert made.of(Container("p", "c", 0), POD) == ()


def test_thousands_that_equal_a_word_are_not_asked_one_by_one():
    many = scopes(*(adjustment(f"a{n}", Statement("name", "Equals", (f"c{n}",))) for n in range(5_000)))
    assert len(many._listed) == 1
    assert many._others == []
    assert [one.name for one in many.of(Container("p", "c7", 0), POD)] == ["a7"]
