"""Patterns match as Go's filepath.Match does, and fast."""

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.values import globs

PIECES = st.sampled_from(["*", "**", "?", "a", "b", "/", "[ab]", "[^a]", "[a-b]", "\\a", "\\*"])


def matches(pattern: str, text: str) -> bool:
    return globs.compiled(pattern).fullmatch(text) is not None


@cache
def simply(pieces: tuple[str, ...], text: str) -> bool:
    """The definition, one piece after another, every choice tried."""
    if not pieces:
        return not text
    first, *rest = pieces
    if first in {"*", "**"}:
        return simply(tuple(rest), text) or (text[:1] not in {"", "/"} and simply(pieces, text[1:]))
    if not text:
        return False
    one = text[0]
    fits = {"?": one != "/", "[ab]": one in "ab", "[a-b]": one in "ab", "[^a]": one not in "a/"}
    return fits.get(first, one == first[-1]) and simply(tuple(rest), text[1:])


@given(st.lists(PIECES, max_size=8), st.text("ab/*", max_size=8))
def test_a_pattern_means_what_its_pieces_mean(pieces, text):
    assert matches("".join(pieces), text) == simply(tuple(pieces), text)


@given(st.text(max_size=20))
def test_a_text_whose_special_signs_are_escaped_matches_itself_only(text):
    pattern = "".join(f"\\{sign}" for sign in text)
    assert matches(pattern, text)
    assert not matches(pattern, f"{text}a")


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("redis-*", "redis-0", "my-redis-0"),
        ("*", "", "a/b"),
        ("*/*", "a/b", "ab"),
        ("[a-c]?", "b\n", "d1"),
        (r"[^\-^]", "a", "^"),
        ("[!a]", "!", "b"),
        ("[\\]]", "]", "\\"),
        ("a.c", "a.c", "abc"),
        ("", "", "a"),
    ],
)
def test_examples(pattern, yes, no):
    assert matches(pattern, yes)
    assert not matches(pattern, no)


@pytest.mark.parametrize("pattern", ["[", "[]", "[^]", "[a", "[a-]", "[-a]", "[z-a]", "a\\", "a" * 1025])
def test_what_is_no_pattern_is_refused(pattern):
    with pytest.raises(ValueError, match="is no pattern"):
        globs.compiled(pattern)


def test_a_pattern_that_makes_others_try_for_ages_ends():
    assert not matches("*a" * 500 + "b", "a" * 2000)
