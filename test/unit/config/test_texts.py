import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.config import texts


def problems(text):
    return [str(problem) for problem in texts.load(text).problems]


def values(text):
    tree = texts.load(text)
    assert tree.problems == []
    return tree.values


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~\n"])
def test_an_empty_text_says_nothing_and_is_right(text):
    assert values(text) == {}


def test_sections_nest_and_know_their_lines():
    tree = texts.load("policy:\n  Active: none\n\nlogger:\n  Debug: '*'\n")
    assert tree.values == {"policy": {"Active": "none"}, "logger": {"Debug": "*"}}
    assert [tree.line_of(path) for path in (("policy",), ("policy", "Active"), ("logger", "Debug"))] == [1, 2, 5]
    assert tree.line_of(("logger", "Nowhere")) == 4
    assert tree.line_of(("else",)) == 0


@pytest.mark.parametrize(
    "text",
    [
        "a: {b: {c: 1, d: 2}}",
        "a.b: {c: 1, d: 2}",
        "a.b.c: 1\na.b.d: 2",
        "a: {b.c: 1}\na.b.d: 2",
        "a.b: {c: 1}\na: {b: {d: 2}}",
        "a: {b: {c: 1}, b.d: 2}",
    ],
)
def test_dotted_and_nested_keys_say_the_same(text):
    assert values(text) == {"a": {"b": {"c": 1, "d": 2}}}


def test_a_dot_in_a_name_that_users_choose_is_a_dot():
    assert values("a: {b: {c: {x.y: 1}}}") == {"a": {"b": {"c": {"x.y": 1}}}}
    assert values(".a: 1\na..b: 2") == {".a": 1, "a..b": 2}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: a: is there already on line 1; keep one of the two"),
        ("a:\n  b: 1\n  b: 1", "line 3: a.b: is there already on line 2; keep one of the two"),
        ("a: {b: 1}\na.b: 2", "a.b: is said twice, once with a dotted key; keep one of the two"),
        ("a.b: 2\na: {b: 1}", "a.b: is said twice, once with a dotted key; keep one of the two"),
        ("a: 1\na.b: 2", "a.b: a has a value already; keep one of the two"),
        ("1: 2", "line 1: has a key that is no word; quote it"),
        ("a: {on: 2}", "line 1: a: has a key that is no word; quote it"),
        ("? [a]\n: 2", "line 1: has a key that is no word; quote it"),
        ("- a\n- b", "line 1: is no mapping; write sections such as 'policy:'"),
        ("just words", "line 1: is no mapping; write sections such as 'policy:'"),
        ("a: 2020-99-99", "line 1: a: '2020-99-99' cannot be read"),
        ("<<: 3", "line 1: << takes a mapping or a list of mappings"),
        ("a: 1\n---\nb: 2", "write one document only, without --- in between"),
        ("logger:\n  Debug: *", "a word that starts with * needs quotes, as in Debug: '*'"),
        ("a: *nowhere", "line 1: not YAML: "),
        ("a:\n\tb: 1", "quote the value; indent with blanks, not tabs"),
        ("a: b: c", "a value with ': ' in it needs quotes"),
        ("a: [1", "not YAML: while parsing a flow sequence"),
        ("a: !!python/object:os.system x", "not YAML: could not determine a constructor"),
        ("a: \x00", "not YAML: "),
    ],
)
def test_what_is_wrong_is_said_with_its_line_and_a_remedy(text, problem):
    assert any(problem in said for said in problems(text)), problems(text)


def test_everything_wrong_is_said_at_once():
    assert len(problems("a: 1\na: 2\n3: 4\nb.c: 1\nb: {c: 2}")) == 3


def test_merge_keys_fill_in_what_is_not_said():
    assert values("x: &x {a: 1, b: 2}\ny:\n  <<: *x\n  b: 3\nz: {b: 3, <<: [*x, {c: 4}]}") == {
        "x": {"a": 1, "b": 2},
        "y": {"a": 1, "b": 3},
        "z": {"a": 1, "b": 3, "c": 4},
    }


def test_aliases_are_followed():
    assert values("a: &a [1, 2]\nb: *a") == {"a": [1, 2], "b": [1, 2]}


def test_a_text_that_unfolds_without_end_is_refused():
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"a{level}: &a{level} [{','.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 9)
    )
    assert problems(bomb) == [f"has more than {texts.LIMIT_NODES} values with its aliases followed; make it smaller"]


def test_a_value_that_contains_itself_is_refused():
    assert problems("a: &a [*a]") == [f"is nested deeper than {texts.LIMIT_DEPTH} levels; make it flatter"]


@given(st.text(alphabet="ab.:{}[], \n&*-'\"#!|>?~1<", max_size=60))
def test_any_text_gives_a_tree_or_problems_and_nothing_else(text):
    tree = texts.load(text)
    assert isinstance(tree.values, dict)
    assert all(problem.message for problem in tree.problems)


_words = st.text(alphabet="abc", min_size=1, max_size=3)
_trees = st.recursive(
    st.integers() | st.booleans() | _words, lambda inner: st.dictionaries(_words, inner, max_size=3), max_leaves=12
)


@given(st.dictionaries(_words, _trees, max_size=4))
def test_what_yaml_writes_is_read_back(tree):
    assert values(yaml.safe_dump(tree)) == tree


def test_a_text_may_be_a_list_whose_items_know_their_lines():
    tree = texts.load_list("- a: 1\n\n- {b: [x, y]}\n- c\n", limit_nodes=20)
    assert tree.problems == []
    assert list(tree.values.items()) == [("0", {"a": 1}), ("1", {"b": ["x", "y"]}), ("2", "c")]
    assert [tree.line_of((str(index),)) for index in range(3)] == [1, 3, 4]
    assert texts.load_list("# nothing", limit_nodes=1).values == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1", "line 1: is no list; begin each item with '- '"),
        ("- [1, 2, 3, 4, 5]", "has more than 5 values with its aliases followed; make it smaller"),
        ("- {a: 1, a: 2}", "line 1: 0.a: is there already on line 1; keep one of the two"),
    ],
)
def test_a_wrong_list_is_refused(text, problem):
    assert [str(found) for found in texts.load_list(text, limit_nodes=5).problems] == [problem]
