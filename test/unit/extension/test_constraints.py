"""What a constraint asks of a version, as Masterminds/semver v3 has it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extension import constraints

versions = st.tuples(*[st.integers(0, 40)] * 3)


@pytest.mark.parametrize(
    ("text", "true_of", "false_of"),
    [
        (">= 1.30", "1.30.0 1.34.2 2.0.0", "1.29.9 0.40.0"),
        (">=1.30, <1.33", "1.30.0 1.32.9", "1.29.9 1.33.0"),
        (">= 1.30 < 1.33", "1.30.0 1.32.9", "1.29.9 1.33.0"),
        ("=> 1.30", "1.30.0", "1.29.9"),
        ("1.31.x", "1.31.0 1.31.40", "1.30.40 1.32.0"),
        ("1.31", "1.31.0 1.31.40", "1.30.40 1.32.0"),
        ("1.X", "1.0.0 1.99.1", "0.9.0 2.0.0"),
        ("*", "0.0.1 7.1.2", ""),
        ("1.31.2", "1.31.2", "1.31.1 1.31.3"),
        ("= v1.31.2", "1.31.2", "1.31.3"),
        ("!= 1.31.2", "1.31.3", "1.31.2"),
        ("!= 1.31", "1.30.9 1.32.0", "1.31.0 1.31.7"),
        ("> 1.31.2", "1.31.3 1.32.0", "1.31.2"),
        ("> 1.31", "1.32.0 2.0.0", "1.31.9 1.30.0"),
        ("> 1", "2.0.0", "1.99.0"),
        ("< 1.31", "1.30.9", "1.31.0"),
        ("<= 1.31", "1.31.9 1.30.0", "1.32.0"),
        ("=< 1.31.2", "1.31.2", "1.31.3"),
        ("~1.31.2", "1.31.2 1.31.9", "1.31.1 1.32.0"),
        ("~> 1.31", "1.31.0 1.31.9", "1.32.0 1.30.9"),
        ("~1", "1.0.0 1.9.0", "2.0.0 0.9.0"),
        ("^1.31.2", "1.31.2 1.40.0", "1.31.1 2.0.0"),
        ("^0.3.1", "0.3.1 0.3.9", "0.4.0 0.3.0"),
        ("^0.0.3", "0.0.3", "0.0.4 0.0.2"),
        ("^0.0", "0.0.9", "0.1.0"),
        ("^0", "0.9.9", "1.0.0"),
        ("1.30 - 1.32.4", "1.30.0 1.32.4", "1.29.9 1.32.5"),
        ("~1.30 || >= 1.33", "1.30.4 1.33.0 1.35.1", "1.29.0 1.31.0 1.32.9"),
        (">= 1.30-0", "1.30.0", "1.29.9"),
    ],
)
def test_a_constraint_holds_where_gardener_says_so(text, true_of, false_of):
    constraint = constraints.parse(text)
    assert [each for each in true_of.split() if not constraint.holds(constraints.version(each))] == []
    assert [each for each in false_of.split() if constraint.holds(constraints.version(each))] == []


@pytest.mark.parametrize("text", ["", "newest", ">", ">= 1.30 ||", ">> 1.3", "1.2.3.4", "~=1.3", ">= 1.30; < 2"])
def test_what_is_no_constraint_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="write one such as"):
        constraints.parse(text)


@pytest.mark.parametrize("text", ["v1.34.1", "1.34.1-gke.300", "1.34.1+k3s1", " 1.34.1"])
def test_of_a_version_the_numbers_count(text):
    assert constraints.version(text) == (1, 34, 1)


@pytest.mark.parametrize("text", ["", "latest", "1.", "1.2.3.4", "1.x"])
def test_what_is_no_version_is_refused(text):
    with pytest.raises(ValueError, match=r"is no version; write one such as 1\.34\.1"):
        constraints.version(text)


@pytest.mark.parametrize(
    ("text", "exact"),
    [("1.31.2", True), ("v1.31.2", True), ("= 1.31", True), ("1.31.x", False), (">= 1.31.2", False)],
)
def test_a_constraint_that_names_one_version_is_exact(text, exact):
    assert constraints.parse(text).exact is exact


@given(found=versions, said=versions)
def test_of_each_pair_of_opposites_exactly_one_holds(found, said):
    text = ".".join(map(str, said))
    for one, other in (("<", ">="), (">", "<="), ("=", "!=")):
        assert constraints.parse(one + text).holds(found) is not constraints.parse(other + text).holds(found)


@given(found=versions, said=versions)
def test_a_tilde_allows_less_than_a_caret_unless_the_version_begins_with_zero(found, said):
    text = ".".join(map(str, said))
    tilde, caret = constraints.parse(f"~{text}"), constraints.parse(f"^{text}")
    if said[0] and tilde.holds(found):
        assert caret.holds(found)
    assert tilde.holds(said)
    assert caret.holds(said)
