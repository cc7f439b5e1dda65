"""The grammar of `dump.Config`: which calls are dumped, and how much of them.

A comma-separated list of `[LEVEL:]PATTERN`.  A level holds for the patterns after it, too; before the first one it
is `full`.  A pattern is a method's name (`CreateContainer`), `*`, or, when it contains one of `. * ? + ( ) [ ] |`,
an unanchored regular expression.  An exact name decides at once; otherwise the last pattern that matches decides;
no match means off.

The rules are applied in the daemon's loop to names that clients choose, and Python's engine backtracks where the
predecessor's did not.  So expressions are held to a form that cannot run away: see `_too_costly`.
"""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from cri_resmgr.errors import BadInput

DEFAULT = "off:.*"  # the predecessor dumped every call that changes something; a pod's life is seven of them
LIMIT_CHARS = 4096
NAME_LIMIT_CHARS = 64  # longer method names are matched by their beginning
MAX_REPETITIONS = 4


class Level(Enum):
    """How much of a call is dumped: nothing, one line, or both messages in full."""

    OFF = "off"
    SHORT = "short"
    FULL = "full"


_LEVELS = {
    "off": Level.OFF,
    "suppress": Level.OFF,
    "name": Level.SHORT,
    "short": Level.SHORT,
    "full": Level.FULL,
    "verbose": Level.FULL,
}
_EXPRESSION_SIGNS = frozenset(".*?+()[]|")
_PREFIX = re.compile(r"\s*(\w+)\s*:(.*)", re.DOTALL)  # `(?:…)` is no level
_REPETITIONS = ("*", "+", "?")
_SIGN = re.compile(r"\\.|\[\^?\]?(?:\\.|[^]\\])*\]|\((?:\?P<\w+>|\?[a-z]*[:)]|\?)?|\{\d+\}|.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Rule:
    """One pattern with its level; `expression` is None for an exact name."""

    level: Level
    pattern: str
    expression: re.Pattern[str] | None


def parse(text: str) -> tuple[Rule, ...]:
    """The rules in the order they were written; raises BadInput that names every wrong one."""
    if len(text) > LIMIT_CHARS:
        raise BadInput(f"{len(text)} characters are too many, at most {LIMIT_CHARS}: use a regular expression")
    rules: list[Rule] = []
    wrong: list[str] = []
    level = Level.FULL
    for spec in filter(None, map(str.strip, text.split(","))):
        try:
            level, pattern = _split(spec, level)
            rules.append(Rule(level, pattern, _expression(pattern)))
        except BadInput as error:
            wrong.append(f"'{spec}': {error}")
    if wrong:
        raise BadInput("; ".join(wrong))
    return tuple(rules)


def level_of(rules: Sequence[Rule], method: str) -> Level:
    """How much of `method` is dumped; a full path such as `/runtime.v1.RuntimeService/Version` will do."""
    name = method.rpartition("/")[2][:NAME_LIMIT_CHARS]
    level = Level.OFF
    for rule in rules:
        if rule.expression is None:
            if rule.pattern == name:
                return rule.level
        elif rule.expression.search(name):
            level = rule.level
    return level


def _split(spec: str, level: Level) -> tuple[Level, str]:
    prefixed = _PREFIX.fullmatch(spec)
    if prefixed is None:
        return level, spec
    word, pattern = prefixed[1], prefixed[2].strip()
    found = _LEVELS.get(word.lower())
    if found is None:
        raise BadInput(f"'{word}' is not a level; use off, short or full")
    if not pattern:
        raise BadInput(f"names no method; write {word}:.* for all")
    return found, pattern


def _expression(pattern: str) -> re.Pattern[str] | None:
    if pattern == "*":
        return re.compile("")
    if not _EXPRESSION_SIGNS.intersection(pattern):
        return None
    if problem := _too_costly(pattern):
        raise BadInput(problem)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # `[[:alpha:]]` is only warned of, and means something else
            return re.compile(pattern)
    except (re.error, FutureWarning, DeprecationWarning, OverflowError) as error:
        raise BadInput(f"not a regular expression: {error}") from error


def _too_costly(pattern: str) -> str:
    """Why matching could take long, or ""; Go's engine, which the predecessor had, is linear by construction."""
    groups = [False]  # for each open group: does it repeat or choose inside?
    repetitions, after_such_group = 0, False
    for sign in _SIGN.findall(pattern):
        closed = False
        if sign == "(?":
            return "look-around and conditions are not supported; groups and | will do"
        if sign[0] == "\\" and sign[1:2].isdigit():
            return "references to groups are not supported; write the alternatives out"
        if sign[0] == "(" and sign[-1] != ")":  # `(?i)` opens nothing
            groups.append(False)
        elif sign == ")" and len(groups) > 1:
            closed = groups.pop()
            groups[-1] |= closed
        elif sign == "|":
            groups[-1] = True
        elif sign in _REPETITIONS or (sign[0] == "{" and len(sign) > 1):
            repetitions += 1
            if after_such_group and sign != "?":
                return f"{sign} after a group that repeats or chooses inside is not supported; leave {sign} out"
            groups[-1] = True
        after_such_group = closed
    if repetitions > MAX_REPETITIONS:
        return f"more than {MAX_REPETITIONS} repetitions; use several patterns, or fewer of * + ?"
    return ""
