import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.config import reading, scanning, texts, trees
from cri_resmgr.config.problems import UNKNOWN, Line


def dotted(_path, key):
    """A dot goes deeper, wherever it is."""
    return tuple(key.split("."))


def lower(_path, key):
    return (key.lower(),)


def problems(text, spell=trees.as_written):
    return [str(problem) for problem in texts.load(text, spell).problems]


def values(text, spell=trees.as_written):
    tree = texts.load(text, spell)
    assert tree.problems == []
    return tree.values


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~\n"])
def test_an_empty_text_says_nothing_and_is_right(text):
    assert values(text) == {}


def test_sections_nest_and_know_their_lines():
    tree = texts.load("policy:\n  Active: none\n\nlogger:\n  Debug: '*'\n")
    assert tree.values == {"policy": {"Active": "none"}, "logger": {"Debug": "*"}}
    paths = (("policy",), ("policy", "Active"), ("logger", "Debug"))
    assert [tree.line_of(path).number for path in paths] == [1, 2, 5]
    assert tree.line_of(("logger", "Nowhere")).number == 4
    assert tree.line_of(("else",)) == UNKNOWN


def test_items_of_a_list_know_their_lines():
    tree = texts.load("a:\n- x\n- b: 1\n  c: 2\n")
    paths = (("a", "0"), ("a", "1"), ("a", "1", "c"), ("a", "1", "d"))
    assert [tree.line_of(path).number for path in paths] == [2, 3, 4, 3]


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
    assert values(text, dotted) == {"a": {"b": {"c": 1, "d": 2}}}


def test_a_dotted_key_gives_a_line_to_all_that_it_goes_through():
    tree = texts.load("# nothing\na.b.c: 1\n", dotted)
    assert [tree.line_of(path).number for path in (("a",), ("a", "b"), ("a", "b", "c"))] == [2, 2, 2]


def test_the_caller_says_what_a_key_means_and_where():
    def spell(path, key):
        return ("deep", key) if path == ("a",) else (key,)

    assert values("a: {b: 1, c: {d: 2}}\nb: 3", spell) == {"a": {"deep": {"b": 1, "c": {"d": 2}}}, "b": 3}
    assert values("a.b: 1") == {"a.b": 1}


@pytest.mark.parametrize("text", ["a:\na.b: 1", "a.b: 1\na:", "a.b:\na: {b: 1}", "a: {b: 1}\na.b: "])
def test_what_is_said_and_what_is_left_empty_do_not_contradict_each_other(text):
    assert values(text, dotted) == {"a": {"b": 1}}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: a: is there already on line 1; keep one of the two"),
        ("a:\n  b: 1\n  b: 1", "line 3: a.b: is there already on line 2; keep one of the two"),
        ("a: {b: 1}\na.b: 2", "line 2: a.b: is there already on line 1; keep one of the two"),
        ("a.b: 2\na:\n  b: 1", "line 3: a.b: is there already on line 1; keep one of the two"),
        ("a: 1\na.b: 2", "line 2: a.b: is below a key that has a value already; keep one of the two"),
        ("a.b: 1\na: [2]", "line 2: a: is there already on line 1; keep one of the two"),
        ("a: [1]\na.b: 2", "line 2: a.b: is below a key that has a value already; keep one of the two"),
        ("- {a: 1}", "line 1: is no mapping; write sections such as 'policy:'"),
        (f"a: {'9' * 65}", "line 1: a: '999999999999999999999999999999999999999999999999999999999999…' is too long"),
        ("a: [1, 2020-99-99]", "line 1: a.1: '2020-99-99' cannot be read"),
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
    said = problems(text, dotted)
    assert any(problem in one for one in said), said


def test_everything_wrong_is_said_at_once():
    assert len(problems("a: 1\na: 2\n3: 4\nb.c: 1\nb: {c: 2}", dotted)) == 3


def test_two_spellings_of_a_key_are_the_same_key():
    assert problems("A: 1\n\na: 2", lower) == ["line 3: a: is there already on line 1; keep one of the two"]
    assert values("x: &x {A: 1}\ny: {<<: *x, a: 2}", lower)["y"] == {"a": 2}


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
    assert problems(bomb) == [f"has more than {trees.LIMIT_NODES} values with its aliases followed; make it smaller"]


def test_a_text_that_merges_without_end_is_refused():
    bomb = "a0: &a0 {x: 1}\n" + "".join(
        f"a{level}: &a{level} {{<<: [{','.join([f'*a{level - 1}'] * 9)}]}}\n" for level in range(1, 9)
    )
    assert problems(bomb) == [f"has more than {trees.LIMIT_NODES} values with its aliases followed; make it smaller"]


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: *a}", "a: &a {<<: *a}", "a: &a {<<: [*a]}", "&a {b: *a}"])
def test_a_value_that_contains_itself_is_refused(text):
    assert problems(text) == [f"is nested deeper than {scanning.LIMIT_DEPTH} levels; make it flatter"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [" + "x," * trees.LIMIT_NODES + "]", "has more than 50000 values"),
        ("a: " + "[" * 1000, "is nested deeper than 32 levels"),
        ("a: " + "{b: " * 1000, "is nested deeper than 32 levels"),
        ("- " * 1000, "is nested deeper than 32 levels"),
        ("#" * (scanning.LIMIT_BYTES + 1), "is larger than 1048576 bytes"),
        ("#" + "ä" * (scanning.LIMIT_BYTES // 2), "is larger than 1048576 bytes"),
        ("a: '\ud800'", "is no Unicode text; save it as UTF-8"),
    ],
)
def test_a_text_that_is_too_much_is_refused_before_anything_is_made_of_it(text, problem, monkeypatch):
    monkeypatch.setattr(reading.Reader, "value", None)
    monkeypatch.setattr(reading.Reader, "fill", None)
    (said,) = problems(text)
    assert problem in said


def test_a_megabyte_of_one_value_is_taken():
    assert values(f"a: '{'x' * 1_000_000}'")["a"] == "x" * 1_000_000


def test_several_texts_make_one_tree_each_below_its_key():
    tree = texts.load_sections({"a": "b: {c: 1}\n", "a.b": "d: 2\n", "e.f": "3", "g": "", "h": "# nothing"}, dotted)
    assert tree.problems == []
    assert tree.values == {"a": {"b": {"c": 1, "d": 2}}, "e": {"f": 3}, "g": None, "h": None}
    assert tree.line_of(("a", "b", "d")) == Line("a.b", 1)
    assert str(tree.line_of(("a", "b", "c"))) == "line 1 of a"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"a": "\nb: 1", "a.b": "2"}, "line 1 of a.b: a.b: is there already on line 2 of a; keep one of the two"),
        ({"a": "b: [", "c": "1"}, "line 2 of a: a: not YAML: "),
        ({"a": "b: 1\nb: 2"}, "line 2 of a: a.b: is there already on line 1 of a; keep one of the two"),
        ({"a": "'\ud800'"}, "a: is no Unicode text"),
        ({"a": "[" * 40}, "a: is nested deeper than 32 levels"),
        ({"a": " " * scanning.LIMIT_BYTES, "b": "1"}, "is larger than 1048576 bytes"),
        (
            {"a": "[" + "x," * 30_000 + "]", "b": "[" + "x," * 30_000 + "]"},
            "line 1 of b: b: has more than 50000 values",
        ),
    ],
)
def test_what_is_wrong_in_one_of_several_texts_is_said_with_its_name(data, problem):
    (said,) = (str(found) for found in texts.load_sections(data, dotted).problems)
    assert said.startswith(problem)


_any_text = st.text(alphabet="ab.:{}[], \n&*-'\"#!|>?~1<", max_size=60) | st.text(max_size=20)


@given(st.dictionaries(_any_text, _any_text, max_size=3), _any_text)
def test_any_text_gives_a_tree_or_problems_and_nothing_else(data, text):
    for tree in (texts.load(text, dotted), texts.load_sections(data, dotted)):
        assert isinstance(tree.values, dict)
        assert all(problem.message for problem in tree.problems)


_words = st.text(alphabet="abc", min_size=1, max_size=3)
_trees = st.recursive(
    st.integers() | st.booleans() | _words, lambda inner: st.dictionaries(_words, inner, max_size=3), max_leaves=12
)


@given(st.dictionaries(_words, _trees, max_size=4))
def test_what_yaml_writes_is_read_back(tree):
    assert values(yaml.safe_dump(tree)) == tree


@given(st.dictionaries(_words, _trees, max_size=4))
def test_a_text_in_pieces_says_what_it_says_in_one(tree):
    pieces = texts.load_sections({key: yaml.safe_dump(value) for key, value in tree.items()})
    assert (pieces.problems, pieces.values) == ([], tree)


def test_a_text_may_be_a_list_whose_items_know_their_lines():
    tree = texts.load_list("- a: 1\n\n- {b: [x, y]}\n- c\n", limit_nodes=20)
    assert tree.problems == []
    assert list(tree.values.items()) == [("0", {"a": 1}), ("1", {"b": ["x", "y"]}), ("2", "c")]
    assert [tree.line_of((str(index),)).number for index in range(3)] == [1, 3, 4]
    assert texts.load_list("# nothing", limit_nodes=1).values == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1", "line 1: is no list; begin each item with '- '"),
        ("- [1, 2, 3, 4, 5, 6, 7, 8, 9]", "has more than 9 values with its aliases followed; make it smaller"),
        ("- {a: 1, a: 2}", "line 1: 0.a: is there already on line 1; keep one of the two"),
    ],
)
def test_a_wrong_list_is_refused(text, problem):
    assert [str(found) for found in texts.load_list(text, limit_nodes=9).problems] == [problem]
