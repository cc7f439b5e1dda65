from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.cli import goflags
from cri_resmgr.cli.goflags import FlagError, HelpWanted


@dataclass(frozen=True, slots=True)
class Form:
    socket: str = goflags.text("where", default="/run/x", aliases=("sock",))
    dry_run: bool = goflags.switch("do nothing")
    colour: bool = goflags.switch("in colour", default=True, variable="COLOUR")
    retries: int = goflags.number("how often", default=3)
    wait_s: float = goflags.duration("how long", default_s=1.5, name="wait")
    future: str = goflags.text("a wish", default="off", later="it comes with the future", off=("off",))


@dataclass(frozen=True, slots=True)
class Other:
    tint: bool = goflags.same(Form, "colour")
    wait_s: float = goflags.same(Form, "wait_s")


def parse(*arguments, **environment):
    return goflags.parse(Form, arguments, environment, program="prog")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), Form()),
        (("-socket", "/a"), Form(socket="/a")),
        (("--socket", "/a"), Form(socket="/a")),
        (("-socket=/a",), Form(socket="/a")),
        (("--socket=/a=b",), Form(socket="/a=b")),
        (("--socket=",), Form(socket="")),
        (("--socket", ""), Form(socket="")),
        (("--socket", "-dry-run"), Form(socket="-dry-run")),
        (("-sock", "/a"), Form(socket="/a")),
        (("-dry-run",), Form(dry_run=True)),
        (("--dry-run=F", "-colour=0"), Form(colour=False)),
        (("-retries", "0x10"), Form(retries=16)),
        (("-retries=-1",), Form(retries=-1)),
        (("-wait", "1m30s"), Form(wait_s=90.0)),
        (("-wait", "1s", "-wait", "2s"), Form(wait_s=2.0)),
    ],
)
def test_every_way_to_write_a_flag_is_understood(arguments, expected):
    assert parse(*arguments) == (expected, ())


@pytest.mark.parametrize(
    ("arguments", "dry_run", "rest"),
    [
        (("config", "-dry-run"), False, ("config", "-dry-run")),
        (("-dry-run", "true"), True, ("true",)),
        (("-dry-run", "-", "-x"), True, ("-", "-x")),
        (("--", "-dry-run"), False, ("-dry-run",)),
        (("", "-dry-run"), False, ("", "-dry-run")),
    ],
)
def test_reading_stops_at_the_first_word_that_is_no_flag(arguments, dry_run, rest):
    form, words = parse(*arguments)
    assert (form.dry_run, words) == (dry_run, rest)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-nonsense",), "flag provided but not defined: -nonsense"),
        (("--nonsense=1",), "flag provided but not defined: -nonsense"),
        (("-socket",), "flag needs an argument: -socket"),
        (("---socket",), "bad flag syntax: ---socket"),
        (("-=x",), "bad flag syntax: -=x"),
        (("-dry-run=maybe",), 'invalid value "maybe" for flag -dry-run: write true or false'),
        (("-retries", "3.5"), 'invalid value "3.5" for flag -retries: write a whole number'),
        (("-wait", "5"), 'invalid value "5" for flag -wait: write a number with its unit, such as 1.5s, 300ms or 1h2m'),
        (("-wait", "disable"), 'invalid value "disable" for flag -wait'),
    ],
)
def test_a_wrong_flag_is_named_with_what_would_be_right(arguments, message):
    with pytest.raises(FlagError) as caught:
        parse(*arguments)
    assert message in str(caught.value)


@pytest.mark.parametrize("word", ["-h", "--h", "-help", "--help"])
def test_help_is_no_error(word):
    with pytest.raises(HelpWanted) as caught:
        parse(word)
    assert caught.value.usage == goflags.usage("prog", Form)


def test_the_environment_gives_a_default_and_the_command_line_wins():
    assert parse(COLOUR="false")[0].colour is False
    assert parse(COLOUR="")[0].colour is True
    assert parse("-colour", COLOUR="false")[0].colour is True


def test_a_wrong_word_in_the_environment_is_named_as_such():
    with pytest.raises(FlagError, match='invalid value "blue" for environment variable COLOUR'):
        parse(COLOUR="blue")


def test_usage_shows_names_kinds_and_defaults_as_go_does():
    assert goflags.usage("prog", Form).splitlines() == [
        "Usage of prog:",
        "  -colour",
        "    \tin colour; default from the environment: COLOUR (default true)",
        "  -dry-run",
        "    \tdo nothing",
        "  -future string",
        "    \ta wish; not in this version, it comes with the future; until then it must be 'off' (default \"off\")",
        "  -retries int",
        "    \thow often (default 3)",
        "  -socket string",
        '    \twhere; also -sock (default "/run/x")',
        "  -wait duration",
        "    \thow long (default 1.5s)",
    ]


@given(st.lists(st.text(alphabet="-=xsocketdryun01 ", max_size=12), max_size=6))
def test_no_command_line_ends_in_anything_but_a_form_or_a_flag_error(arguments):
    try:
        form, rest = goflags.parse(Form, arguments, {}, program="prog")
    except (FlagError, HelpWanted):
        return
    assert isinstance(form, Form)
    assert list(rest) == arguments[len(arguments) - len(rest) :]


def test_a_flag_may_be_the_same_as_that_of_another_form():
    ours, theirs = goflags.flags_of(Other), goflags.flags_of(Form)
    assert ours["wait_s"] == theirs["wait_s"]
    assert (ours["tint"].name, ours["tint"].variable) == ("tint", "COLOUR")
    assert goflags.parse(Other, ("-wait=2s",), {"COLOUR": "0"}, program="prog") == (Other(tint=False, wait_s=2.0), ())
