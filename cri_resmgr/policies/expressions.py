"""Statements about a container, true or false: a key, an operator, and values.

    Equals, In               the value is one of these; `*` stands for any
    Matches, MatchesAny      it fits one of these patterns (`values.globs`)
    Exists                   there is a value
    NotEqual, NotIn, MatchesNot, MatchesNone, NotExist      the opposite; true where there is no value
    AlwaysTrue               whatever the key

NotEqual takes `*` as it stands.  A key without a value makes every other statement about it false.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cri_resmgr.policies import expression_keys
from cri_resmgr.policies.expression_keys import Key
from cri_resmgr.values import globs
from cri_resmgr.values.plain_yaml import Value
from cri_resmgr.values.workloads import Container, Pod

_ALWAYS_TRUE = "AlwaysTrue"


@dataclass(frozen=True, slots=True)
class Operator:
    """What is stated of a value, or that it is not so; `takes` is how many values, None any number."""

    word: str
    fits: "Callable[[Expression, str], bool]"
    opposite: bool = False
    takes: int | None = None


@dataclass(frozen=True, slots=True)
class Expression:
    """Made by `expression`, which checks it; `patterns` are the values where they are patterns."""

    key: Key
    operator: Operator
    values: tuple[str, ...] = ()
    patterns: tuple[re.Pattern[str], ...] = ()


def expression(key: str, operator: str, values: Sequence[str] = ()) -> Expression:
    """A statement. Raises ValueError."""
    known = _OPERATORS.get(operator)
    if known is None:
        raise ValueError(f"operator: '{operator[:60]}' is none; write one of {', '.join(_OPERATORS)}")
    if known.takes not in {None, len(values)}:
        raise ValueError(f"values: {operator} takes {'one' if known.takes else 'none'}, not {len(values)}")
    try:
        parsed = expression_keys.parse("name" if operator == _ALWAYS_TRUE else key)
    except ValueError as error:
        raise ValueError(f"key: {error}") from error
    try:
        patterns = tuple(globs.compiled(value) for value in values) if known.fits is _is_like_one else ()
    except ValueError as error:
        raise ValueError(f"values: {error}") from error
    return Expression(parsed, known, tuple(values), patterns)


def written(said: Value, where: str) -> Expression:
    """A statement as it stands in an annotation, at the path `where`. Raises ValueError."""
    if not isinstance(said, dict) or not {"key", "operator", "values"}.issuperset(said):
        raise ValueError(f"{where}: is no expression; write key, operator and values")
    key, operator, values = said.get("key", ""), said.get("operator", ""), said.get("values") or []
    if not (isinstance(key, str) and isinstance(operator, str)):
        raise ValueError(f"{where}: key and operator are single words")  # noqa: TRY004 - what is wrong is the text
    texts = [value for value in values if isinstance(value, str)] if isinstance(values, list) else None
    if texts is None or len(texts) != len(values):
        raise ValueError(f"{where}.values: is no list of texts; write one such as [a, b]")
    try:
        return expression(key, operator, texts)
    except ValueError as error:
        raise ValueError(f"{where}.{error}") from error


def holds(said: Expression, container: Container, pod: Pod) -> bool:
    """Whether the statement is true of a container."""
    value = expression_keys.resolve(said.key, container, pod)
    if value is None:
        return said.operator.opposite
    return said.operator.fits(said, value) is not said.operator.opposite


def _is(said: Expression, value: str) -> bool:
    return value == said.values[0]


def _is_one(said: Expression, value: str) -> bool:
    return value in said.values or "*" in said.values


def _is_like_one(said: Expression, value: str) -> bool:
    return any(pattern.fullmatch(value) for pattern in said.patterns)


def _exists(said: Expression, value: str) -> bool:
    return True


_OPERATORS = {
    operator.word: operator
    for operator in (
        Operator("Equals", _is_one, takes=1),
        Operator("NotEqual", _is, opposite=True, takes=1),
        Operator("In", _is_one),
        Operator("NotIn", _is_one, opposite=True),
        Operator("Exists", _exists, takes=0),
        Operator("NotExist", _exists, opposite=True, takes=0),
        Operator("NotExists", _exists, opposite=True, takes=0),  # as it was once documented
        Operator(_ALWAYS_TRUE, _exists),
        Operator("Matches", _is_like_one, takes=1),
        Operator("MatchesNot", _is_like_one, opposite=True, takes=1),
        Operator("MatchesAny", _is_like_one),
        Operator("MatchesNone", _is_like_one, opposite=True),
    )
}
