"""Annotations as people write them, and what they are told when we cannot read them."""

import re

import pytest

from cri_resmgr.values.plain_yaml import LIMIT_CHARS, load

PREFER_SHEEP = """
# far from the wolf
peter:
- match:
    key: name
    operator: Equals
    values:
    - sheep
  weight: 5      # strong
- scope: {key: ':,-pod/qosclass,name', operator: AlwaysTrue}
  match:
    key: :pod/name:name
    operator: In
    values: [ "a*",
              'it''s' ]
"""


def test_an_affinity_is_read():
    match = {"key": "name", "operator": "Equals", "values": ["sheep"]}
    scope = {"key": ":,-pod/qosclass,name", "operator": "AlwaysTrue"}
    joint = {"key": ":pod/name:name", "operator": "In", "values": ["a*", "it's"]}
    assert load(PREFER_SHEEP) == {"peter": [{"match": match, "weight": "5"}, {"scope": scope, "match": joint}]}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", ""),
        ("  \n# nothing\n", ""),
        ("dram,pmem", "dram,pmem"),
        ("duration: 60s\n", {"duration": "60s"}),
        ("c0: dram\r\nc1: dram, pmem\r\n", {"c0": "dram", "c1": "dram, pmem"}),
        ("c0:\n  duration: 60s", {"c0": {"duration": "60s"}}),
        ("c3: [ c1 ]\nc4: [ c2, c3, ]", {"c3": ["c1"], "c4": ["c2", "c3"]}),
        ('{"c0": true, "c1": {"duration": "1s"}}', {"c0": "true", "c1": {"duration": "1s"}}),
        ("a:\nb: ~", {"a": "", "b": "~"}),
        ("-\n- - x\n  - y", ["", ["x", "y"]]),
        ("image: host:5000/a#b # c", {"image": "host:5000/a#b"}),
        ('"\\u0041\\n\\"\\\\\\x42"', 'A\n"\\B'),
        ("a:\n  'x: y'", {"a": "x: y"}),
        ("a: []\nb: {}\nc: {d: , e: f}", {"a": [], "b": {}, "c": {"d": "", "e": "f"}}),
        ("  a: 1\n  b: 2", {"a": "1", "b": "2"}),
        ("a b: c d", {"a b": "c d"}),
    ],
)
def test_what_stands_in_annotations_is_read(text, value):
    assert load(text) == value


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: &x b", "line 1: '&x b' is an anchor; write the value where it is needed"),
        ("a:\n- *x", "line 2: '*x' is an alias; put a text that begins with * in quotes"),
        ("a: [*]", "'*]' is an alias"),
        ("a: !!str b", "is a tag; write the value without it"),
        ("a: |\n  b", "is a text over several lines; write it on one line, in quotes"),
        ("a: >-\n  b", "is a text over several lines"),
        ("a: 'b\n  c'", "has a quote that is not closed; close it on the same line"),
        ("a: b\n  c", "line 2: 'c' does not belong here; check the indentation"),
        ("a:\n  b: 1\n c: 2", "line 3: 'c: 2' does not belong here; check the indentation"),
        ("- a\nb: c", "line 2: 'b: c' does not belong here"),
        ("a: 1\n- b", "line 2: '- b' does not belong here"),
        ("a: b: c", "line 1: ': c' does not belong here; put a text with ': ' or special signs in quotes"),
        ("a: 'b' c", "' c' does not belong here"),
        ("a:\tb", "does not belong here"),
        ("a:\n\tb: c", "line 2: it is indented with a tab; use blanks"),
        ("a: 1\na: 2", "line 2: 'a: 2' is there already; keep one"),
        ("{a: 1, a: 2}", "'a: 2}' is there already; keep one"),
        ("a: 1\n<<: b", "line 2: '<<: b' is no 'key: value'"),
        ("a: 1\nb", "line 2: 'b' is no 'key: value'"),
        ("{a:1}", "'a:1}' is no 'key: value'"),
        ("{[a]: b}", "'[a]: b}' is no value; put it in quotes"),
        ("x" * 1001 + ": a", "is no 'key: value'"),
        ("[a b\nc]", "line 2: 'c]' stands where , or ] is expected"),
        ("[a, b", "line 1: '' ends the text between brackets; close them"),
        ("[a,, b]", "', b]' is no value; put it in quotes, or a value before it"),
        ("a: - b", "'- b' is no value"),
        ("? a", "'? a' is no value"),
        ("a: @b", "'@b' is no value; put it in quotes"),
        ("---\na: b", "line 1: '---' is about documents; write one, without marks"),
        ("a: b\n...", "line 2: '...' is about documents"),
        ("%YAML 1.2", "line 1: '%YAML 1.2' is about documents"),
        ("a: b\x00", "line 1: there is the character '\\x00'; remove it"),
        ('"\\q"', "has \\q, which stands for nothing; double the backslash, or use single quotes"),
        ('"\\ud83d\\ude00"', "has \\ud83d, half a character; write the character itself"),
        ("[" * 17, "is nested deeper than 16 levels; make it flatter"),
        ("- " * 17 + "a", "is nested deeper than 16 levels"),
        ("\n".join(" " * depth + "a:" for depth in range(18)), "line 17: 'a:' is nested deeper than 16 levels"),
        ("x" * (LIMIT_CHARS + 1), "it has 16385 characters; 16384 is the limit"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_line_the_reason_and_a_remedy(text, complaint):
    with pytest.raises(ValueError, match=re.escape(complaint)):
        load(text)
