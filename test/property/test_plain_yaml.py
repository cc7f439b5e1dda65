"""What we read of YAML is what a full reader reads."""

import json

import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from cri_resmgr.values import plain_yaml
from relay.effort import examples

WORDS = st.from_regex(r"\A[a-z0-9_][a-z0-9_./:#*-]{0,6}[a-z0-9]\Z") | st.sampled_from(
    ["a b", "5", "true", "-x", "~", ":k"]
)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), max_size=8) | WORDS
TREES = st.recursive(
    TEXTS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=12
)
SCRAPS = st.sampled_from(
    [
        "a",
        "b",
        "c: ",
        "d:",
        "- ",
        "-",
        "\n",
        "\n  ",
        "\n    ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        ",",
        ": ",
        ":",
        " ",
        "'",
        '"',
        "#",
        " # ",
        "? ",
        "?",
        "x: y",
        "\\n",
        "''",
        "*",
        "&a",
        "!",
        "|",
        "\t",
        "\n- ",
        "\n  - ",
        "'q'",
        '"r"',
        "~",
        "%",
    ]
)


def reference(text: str) -> object:
    """The full reader, told to leave every scalar a text."""
    found = yaml.load(text, yaml.BaseLoader)  # noqa: S506 - it makes texts only
    return "" if found is None else found


def in_flow(tree: object, draw) -> str:
    """A tree between brackets."""
    gap = draw(st.sampled_from(["", " ", "\n   ", " # why\n "]))
    if isinstance(tree, dict):
        return "{" + ",".join(f"{gap}{scalar(key)}: {in_flow(value, draw)}" for key, value in tree.items()) + gap + "}"
    if isinstance(tree, list):
        return "[" + ",".join(gap + in_flow(value, draw) for value in tree) + gap + "]"
    return scalar(tree, draw(st.booleans()))


def scalar(text: str, double: bool = True) -> str:  # noqa: FBT001, FBT002
    return json.dumps(text, ensure_ascii=False) if double else "'" + text.replace("'", "''") + "'"


def in_blocks(tree: object, draw, indent: str) -> str:
    """A tree on lines of its own, for the place behind a colon or a dash."""
    if not isinstance(tree, dict | list) or not tree or draw(st.booleans()):
        return f" {in_flow(tree, draw)}" + draw(st.sampled_from(["", "  ", " # why"])) + "\n"
    if isinstance(tree, dict):
        inner = indent + " " * draw(st.integers(1, 3))
        entries = (f"{inner}{scalar(key)}:{in_blocks(value, draw, inner)}" for key, value in tree.items())
    else:
        inner = indent + " " * draw(st.integers(0 if indent else 1, 3))
        entries = (f"{inner}-{in_blocks(value, draw, inner + ' ')}" for value in tree)
    return draw(st.sampled_from(["\n", " # why\n", "\n\n"])) + "".join(entries)


@examples(120)
@given(TREES, st.data())
def test_a_tree_survives_however_it_is_written(tree, data):
    text = f"top:{in_blocks(tree, data.draw, '')}"
    assert plain_yaml.load(text) == {"top": tree}
    assert reference(text) == {"top": tree}


@examples(120)
@given(TREES, st.booleans(), st.none() | st.integers(0, 3))
def test_what_a_yaml_writer_writes_is_read(tree, flow, indent):
    text = yaml.safe_dump(tree, default_flow_style=flow, allow_unicode=True, width=10**6, indent=indent)
    assume("? " not in text and "\n..." not in text)  # keys of more than 128 characters; a lone scalar's end mark
    assert plain_yaml.load(text) == tree


@examples(120)
@given(TREES, st.none() | st.integers(0, 3))
def test_json_is_read(tree, indent):
    assert plain_yaml.load(json.dumps(tree, indent=indent, ensure_ascii=False)) == tree


@examples(1200)
@given(st.lists(SCRAPS, max_size=16).map("".join))
def test_what_is_read_at_all_is_read_as_the_full_reader_does(text):
    try:
        found = plain_yaml.load(text)
    except ValueError:
        return
    assert found == reference(text)


@examples(400)
@given(st.text(max_size=30) | st.lists(SCRAPS, max_size=30).map("".join))
def test_whatever_comes_ends_in_a_value_or_in_words_about_a_line(text):
    try:
        plain_yaml.load(text)
    except ValueError as error:
        assert str(error).startswith("line ")  # noqa: PT017 - either way is right
