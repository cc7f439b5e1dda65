import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.observe import dump_yaml

texts = st.text(max_size=40)
scalars = (
    texts | st.integers() | st.booleans() | st.floats(allow_nan=False) | st.sampled_from(["no", "1", "", "- a", "a: b"])
)
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner.filter(lambda v: not isinstance(v, list)), max_size=3)
        | st.dictionaries(texts, inner, max_size=3)
    ),
    max_leaves=15,
)


def read(tree):
    return yaml.safe_load("\n".join(dump_yaml.lines(tree)))


@given(st.dictionaries(texts, trees, max_size=4))
def test_a_yaml_parser_reads_the_same_values_and_every_line_is_printable(tree):
    lines = dump_yaml.lines(tree)
    assert all(line.isprintable() for line in lines)
    assert read(tree) == tree


@given(st.dictionaries(texts, trees, min_size=2, max_size=4))
def test_the_order_of_keys_is_theirs_and_not_the_messages(tree):
    assert dump_yaml.lines(dict(reversed(tree.items()))) == dump_yaml.lines(tree)


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("nginx:1.25", "k: nginx:1.25"),
        ("/var/lib/x", "k: /var/lib/x"),
        ("12", 'k: "12"'),
        ("True", 'k: "True"'),
        ('say "x\\"', 'k: "say \\"x\\\\\\""'),
        ("a\nb", 'k: "a\\U0000000ab"'),
        (b"text", "k: text"),
        (b"\xff\x00", 'k: "/wA="'),
        ({}, "k: {}"),
        ([], "k: []"),
        (False, "k: false"),
        (math.inf, "k: .inf"),
        (-math.inf, "k: -.inf"),
        (math.nan, "k: .nan"),
    ],
)
def test_each_kind_of_value_has_one_form(value, line):
    assert dump_yaml.lines({"k": value}) == [line]


def test_an_empty_message_is_one_line():
    assert dump_yaml.lines({}) == ["{}"]


def test_a_long_value_is_cut_and_says_by_how_much():
    (line,) = dump_yaml.lines({"k": "x" * (dump_yaml.LIMIT_CHARS + 7)})
    assert line.endswith('x... and 7 characters more"')
    assert len(line) < dump_yaml.LIMIT_CHARS + 50


def test_small_and_large_numbers_stay_numbers():
    tree = {"small": 1e-06, "large": 1e22, "long": 1.5e-07, "plain": 0.25}
    assert read(tree) == tree
