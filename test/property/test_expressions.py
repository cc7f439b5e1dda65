"""Laws of expressions: opposites, and long forms of short ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.policies.expressions import expression, holds
from cri_resmgr.values.workloads import Container, Pod

WORDS = st.sampled_from(["a", "b", "ab", "a/b", "*", "?", "[a", "", "\\"]) | st.text("ab*?", max_size=3)
PATTERNS = st.text("ab*?/", max_size=4)
KEYS = st.sampled_from(["name", "labels/one", "labels/two", "pod/labels/one", "qosclass", ":labels/one:labels/two"])
LABELS = st.dictionaries(st.sampled_from(["one", "two"]), WORDS)
SUBJECTS = st.builds(
    lambda name, own, pods, parent: (Container("p", name, 0, labels=own), Pod("p", "p", "ns", "", parent, labels=pods)),
    WORDS.filter(bool),
    LABELS,
    LABELS,
    st.sampled_from(["", "/kubepods/pod1"]),
)


@pytest.mark.parametrize(("operator", "opposite"), [("In", "NotIn"), ("MatchesAny", "MatchesNone")])
@given(SUBJECTS, KEYS, st.lists(PATTERNS, max_size=3))
def test_one_of_two_opposites_holds(operator, opposite, subject, key, values):
    assert holds(expression(key, operator, values), *subject) is not holds(expression(key, opposite, values), *subject)


@pytest.mark.parametrize(("operator", "opposite"), [("Matches", "MatchesNot"), ("Exists", "NotExist")])
@given(SUBJECTS, KEYS, PATTERNS)
def test_one_of_two_opposites_about_a_single_value_holds(operator, opposite, subject, key, pattern):
    values = [pattern] if operator == "Matches" else []
    assert holds(expression(key, operator, values), *subject) is not holds(expression(key, opposite, values), *subject)


@pytest.mark.parametrize(
    ("of_one", "of_many"), [("Equals", "In"), ("Matches", "MatchesAny"), ("MatchesNot", "MatchesNone")]
)
@given(SUBJECTS, KEYS, PATTERNS)
def test_a_list_of_one_is_that_one(of_one, of_many, subject, key, value):
    assert holds(expression(key, of_one, [value]), *subject) is holds(expression(key, of_many, [value]), *subject)


@pytest.mark.parametrize(("of_one", "of_many"), [("Equals", "In"), ("Matches", "MatchesAny")])
@given(SUBJECTS, KEYS, st.lists(PATTERNS, max_size=4))
def test_any_of_many_is_one_or_another(of_one, of_many, subject, key, values):
    one_by_one = any(holds(expression(key, of_one, [value]), *subject) for value in values)
    assert holds(expression(key, of_many, values), *subject) is one_by_one


@given(SUBJECTS, KEYS, st.lists(PATTERNS, max_size=4))
def test_none_of_many_is_neither_one_nor_another(subject, key, values):
    none = holds(expression(key, "MatchesNone", values), *subject)
    assert none is all(holds(expression(key, "MatchesNot", [value]), *subject) for value in values)


@given(SUBJECTS, KEYS, WORDS.filter(lambda word: word != "*"))
def test_not_equal_is_the_opposite_of_equals_but_for_the_star(subject, key, value):
    assert holds(expression(key, "Equals", [value]), *subject) is not holds(
        expression(key, "NotEqual", [value]), *subject
    )


@given(SUBJECTS, KEYS)
def test_any_value_is_any_of_these_ways_to_say_it(subject, key):
    exists = holds(expression(key, "Exists"), *subject)
    assert exists is holds(expression(key, "Equals", ["*"]), *subject)
    assert exists is holds(expression(key, "In", ["x", "*"]), *subject)
    assert exists is holds(expression(key, "MatchesAny", ["*", "*/*"]), *subject)
