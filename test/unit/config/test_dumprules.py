import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.config import dumprules
from cri_resmgr.config.dumprules import Level, level_of, parse
from cri_resmgr.errors import BadInput


def levels(text, *methods):
    rules = parse(text)
    return [level_of(rules, method) for method in methods]


def test_nothing_is_dumped_unless_somebody_asks():
    assert set(levels(dumprules.DEFAULT, "CreateContainer", "Version", "PullImage")) == {Level.OFF}


def test_the_predecessors_default_shows_the_calls_that_change_something_and_no_images():
    default = "off:.*,short:((Create)|(Start)|(Run)|(Update)|(Stop)|(Remove)).*,off:.*Image.*"
    assert levels(default, "CreateContainer", "RunPodSandbox", "Version", "RemoveImage", "PullImage") == [
        Level.SHORT,
        Level.SHORT,
        Level.OFF,
        Level.OFF,
        Level.OFF,
    ]


def test_the_packaged_sample_of_the_predecessor_dumps_its_six_verbs_in_full():
    text = "off:.*,full:((Create)|(Remove)|(Run)|(Update)|(Start)|(Stop)).*"
    assert levels(text, "StartContainer", "ListPods") == [Level.FULL, Level.OFF]


def test_the_word_debug_in_old_samples_is_a_method_that_never_comes():
    assert levels("full:.*,debug", "Version", "debug") == [Level.FULL, Level.FULL]


@pytest.mark.parametrize(
    ("word", "level"),
    [
        ("off", Level.OFF),
        ("suppress", Level.OFF),
        ("name", Level.SHORT),
        ("short", Level.SHORT),
        ("full", Level.FULL),
        ("verbose", Level.FULL),
        ("FULL", Level.FULL),
        ("Short", Level.SHORT),
    ],
)
def test_levels_have_two_names_each_in_any_case(word, level):
    assert levels(f"{word}:Version", "Version") == [level]


def test_a_level_holds_for_the_patterns_after_it():
    assert levels("short:Version,Status,off:Exec", "Version", "Status", "Exec") == [
        Level.SHORT,
        Level.SHORT,
        Level.OFF,
    ]


def test_before_the_first_level_everything_is_full():
    assert levels("Version", "Version") == [Level.FULL]


def test_an_exact_name_decides_at_once_even_against_later_patterns():
    assert levels("short:Version,full:.*", "Version", "Status") == [Level.SHORT, Level.FULL]


def test_of_several_matching_patterns_the_last_one_decides():
    assert levels("full:.*,off:Stat.s,short:.*tus", "Status", "Stats", "Statxs") == [
        Level.SHORT,
        Level.FULL,
        Level.OFF,
    ]


def test_a_star_is_everything_and_no_match_is_off():
    assert levels("short:*", "Whatever") == [Level.SHORT]
    assert levels("full:Version", "Whatever") == [Level.OFF]


def test_a_plain_name_is_not_searched_for_inside_others():
    assert levels("full:Create", "CreateContainer") == [Level.OFF]


def test_expressions_are_unanchored():
    assert levels("full:(Container)", "CreateContainer") == [Level.FULL]


def test_full_paths_are_matched_by_their_last_part():
    assert levels("full:Version", "/runtime.v1.RuntimeService/Version") == [Level.FULL]


def test_a_group_without_capture_is_not_taken_for_a_level():
    assert levels("(?:Create|Start)Container", "StartContainer", "StopContainer") == [Level.FULL, Level.OFF]


def test_blanks_and_empty_entries_do_not_matter():
    assert levels(" full : Version , ,short:Status,", "Version", "Status") == [Level.FULL, Level.SHORT]
    assert parse("") == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("loud:.*", "'loud:.*': 'loud' is not a level; use off, short or full"),
        ("full:", "'full:': names no method; write full:.* for all"),
        ("full:(Create", "not a regular expression: missing )"),
        ("full:[[:alpha:]]+", "not a regular expression: Possible nested set"),
        ("full:(?=x).*", "look-around and conditions are not supported"),
        ("full:(?<!x).*", "look-around and conditions are not supported"),
        (r"full:(.)\1", "references to groups are not supported"),
        ("full:(a+)+$", "a group that repeats or chooses inside is not supported"),
        ("full:((a|b)c){20}", "a group that repeats or chooses inside is not supported"),
        ("full:.*a.*b.*c.*d.*e", "more than 4 repetitions"),
    ],
)
def test_what_is_wrong_is_said_with_a_remedy(text, message):
    with pytest.raises(BadInput) as caught:
        parse(text)
    assert message in str(caught.value)


def test_all_wrong_entries_are_named_at_once():
    with pytest.raises(BadInput, match=r"'loud:x'.*; '\(y': "):
        parse("loud:x,full:Version,(y")


def test_a_text_beyond_the_limit_is_refused():
    with pytest.raises(BadInput, match="too many, at most 4096"):
        parse("a," * 3000)


@pytest.mark.parametrize("pattern", [r"\(+", "[*+?]x", "[]+]a.", "(?i)version.*", r"a\|b.", "(?P<verb>Create|Stop).*"])
def test_signs_that_mean_nothing_costly_are_let_through(pattern):
    assert parse(pattern)[0].expression is not None


@given(st.text(alphabet="ab.*+?()|[]{}2,\\^$", max_size=24), st.integers(0, 200))
def test_any_accepted_text_matches_any_name_within_bounded_time(text, length):
    """Without the limits a few of these take minutes: the suite's own time limit is what fails."""
    try:
        rules = parse(text)
    except BadInput:
        return
    assert level_of(rules, "a" * length) in Level
