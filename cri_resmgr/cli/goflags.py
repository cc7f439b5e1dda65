"""Command line flags as Go's `flag` package reads them, which is how the predecessor's users write them.

`-x` is `--x`; a value comes as `--x=v` or `--x v`; a switch takes a value only after `=`; reading stops at the first
word that is no flag, or after `--`; the last of several wins.

A set of flags is a frozen dataclass whose fields are made by `switch`, `text`, `number` and `duration`: the field is
the typed value, its metadata the `Flag` that tables, usage and documentation are made from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from typing import Any, TypeVar, cast

from cri_resmgr.config import durations
from cri_resmgr.errors import BadInput

Value = str | bool | int | float
Form = TypeVar("Form")

_BOOLEANS = dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True) | dict.fromkeys(
    ("0", "f", "F", "false", "FALSE", "False"), False
)
_METADATA = "flag"


class FlagError(BadInput):
    """The command line itself is wrong; the usage should be shown, too."""

    usage = ""


class HelpWanted(Exception):  # noqa: N818 - not an error
    """`-h` or `-help` was given."""

    usage = ""


class Kind(Enum):
    """What a flag's value is; the words are those of Go's usage texts."""

    SWITCH = ""
    TEXT = "string"
    NUMBER = "int"
    DURATION = "duration"


_REMEDIES = {
    Kind.SWITCH: "write true or false",
    Kind.NUMBER: "write a whole number",
    Kind.DURATION: durations.REMEDY,
}


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag of a command. `default` of a duration is in seconds."""

    name: str
    kind: Kind
    default: Value
    help: str
    aliases: tuple[str, ...] = ()
    variable: str = ""
    """The environment variable whose value is the default, if it is set and not empty."""
    later: str = ""
    """What this flag does in a later version; until then only `off` values are taken."""
    off: tuple[Value, ...] = ()


def switch(help_: str, *, default: bool = False, **more: Any) -> bool:
    """A field for a flag that is on or off."""
    return cast("bool", _flag(Kind.SWITCH, default, help_, **more))


def text(help_: str, *, default: str = "", **more: Any) -> str:
    """A field for a flag with a word."""
    return cast("str", _flag(Kind.TEXT, default, help_, **more))


def number(help_: str, *, default: int = 0, **more: Any) -> int:
    """A field for a flag with a whole number."""
    return cast("int", _flag(Kind.NUMBER, default, help_, **more))


def duration(help_: str, *, default_s: float = 0.0, **more: Any) -> float:
    """A field, in seconds, for a flag with a duration such as `1m30s`."""
    return cast("float", _flag(Kind.DURATION, default_s, help_, **more))


def same(form: type, at: str) -> Any:
    """A field for a flag that another form has in its field `at`."""
    original = next(f for f in fields(form) if f.name == at)
    return field(default=original.default, metadata=original.metadata)


def _flag(kind: Kind, default: Value, help_: str, *, name: str = "", **more: Any) -> Value:
    made: Value = field(default=default, metadata={_METADATA: Flag(name, kind, default, help_, **more)})
    return made


def flags_of(form: type) -> Mapping[str, Flag]:
    """The flags of a form by the name of their field; a flag without a name of its own has the field's, with `-`."""
    found = {f.name: cast("Flag", f.metadata[_METADATA]) for f in fields(form) if _METADATA in f.metadata}
    return {at: flag if flag.name else replace(flag, name=at.replace("_", "-")) for at, flag in found.items()}


def parse(
    form: type[Form], arguments: Sequence[str], environment: Mapping[str, str], *, program: str
) -> tuple[Form, tuple[str, ...]]:
    """The filled form and the words after the flags. Raises FlagError and HelpWanted, both with the usage."""
    try:
        values, words = _read(flags_of(form), arguments, environment)
    except (FlagError, HelpWanted) as stopped:
        stopped.usage = usage(program, form)
        raise
    return form(**values), words


def _read(
    flags: Mapping[str, Flag], arguments: Sequence[str], environment: Mapping[str, str]
) -> tuple[dict[str, Value], tuple[str, ...]]:
    fields_by_name = {name: at for at, flag in flags.items() for name in (flag.name, *flag.aliases)}
    values = {
        at: _value(flag, environment[flag.variable], f"environment variable {flag.variable}")
        for at, flag in flags.items()
        if flag.variable and environment.get(flag.variable)
    }
    words = list(reversed(arguments))
    while words and words[-1].startswith("-") and words[-1] != "-":
        word = words.pop()
        if word == "--":
            break
        name, equals, given = word.removeprefix("-").removeprefix("-").partition("=")
        if not name or name.startswith("-"):
            raise FlagError(f"bad flag syntax: {word}")
        if name not in fields_by_name:
            raise HelpWanted if name in {"h", "help"} else FlagError(f"flag provided but not defined: -{name}")
        flag = flags[fields_by_name[name]]
        if not equals and flag.kind is not Kind.SWITCH and not words:
            raise FlagError(f"flag needs an argument: -{name}")
        if not equals:
            given = "true" if flag.kind is Kind.SWITCH else words.pop()
        values[fields_by_name[name]] = _value(flag, given, f"flag -{name}")
    return values, tuple(reversed(words))


def _value(flag: Flag, given: str, where: str) -> Value:
    try:
        match flag.kind:
            case Kind.SWITCH:
                return _BOOLEANS[given]
            case Kind.NUMBER:
                return int(given, 0)
            case Kind.DURATION:
                return durations.seconds(given)
            case Kind.TEXT:
                return given
    except (KeyError, ValueError, BadInput) as error:
        raise FlagError(f'invalid value "{given}" for {where}: {_REMEDIES[flag.kind]}') from error


def usage(program: str, form: type) -> str:
    """All flags of a form, in the order of their names, as Go prints them."""
    lines = [f"Usage of {program}:"]
    for flag in sorted(flags_of(form).values(), key=lambda flag: flag.name):
        lines.append(f"  -{flag.name} {flag.kind.value}".rstrip())
        lines.append(f"    \t{describe(flag)}{shown_default(flag)}")
    return "\n".join(lines) + "\n"


def describe(flag: Flag) -> str:
    """What a flag does, in one line."""
    parts = [flag.help]
    if flag.later:
        off = " or ".join(map(_written, flag.off))
        parts.append(f"not in this version, {flag.later}; until then it must be {off}")
    if flag.aliases:
        parts.append(f"also -{' and -'.join(flag.aliases)}")
    if flag.variable:
        parts.append(f"default from the environment: {flag.variable}")
    return "; ".join(parts)


def _written(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else repr(value)


def shown_default(flag: Flag) -> str:
    """` (default …)`, or "" where Go shows none."""
    if flag.default in ("", False, 0):
        return ""
    if flag.kind is Kind.TEXT:
        return f' (default "{flag.default}")'
    if flag.kind is Kind.DURATION:
        return f" (default {flag.default:g}s)"
    return f" (default {_written(flag.default)})"
