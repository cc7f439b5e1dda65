"""Statements about a container, true or false: a key, an operator, and values.

    Equals, In               the value is one of these; `*` stands for any
    Matches, MatchesAny      it fits one of these patterns (`values.globs`)
    Exists                   there is a value
    NotEqual, NotIn, MatchesNot, MatchesNone, NotExist      the opposite; true where there is no value
    AlwaysTrue               whatever the key

NotEqual takes `*` as it stands.  A key without a value makes every other statement about it false.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from cri_resmgr.policies import expression_keys
from cri_resmgr.policies.expression_keys import Key
from cri_resmgr.values import globs
from cri_resmgr.values.plain_yaml import Value
from cri_resmgr.values.workloads import Container, Pod


class Operator(Enum):
    """What is stated; the values are the words of annotations."""

    EQUALS = "Equals"
    NOT_EQUAL = "NotEqual"
    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    NOT_EXIST = "NotExist"
    ALWAYS_TRUE = "AlwaysTrue"
    MATCHES = "Matches"
    MATCHES_NOT = "MatchesNot"
    MATCHES_ANY = "MatchesAny"
    MATCHES_NONE = "MatchesNone"


_OF_ONE = frozenset({Operator.EQUALS, Operator.NOT_EQUAL, Operator.MATCHES, Operator.MATCHES_NOT})
_OF_NONE = frozenset({Operator.EXISTS, Operator.NOT_EXIST})
_OF_PATTERNS = frozenset({Operator.MATCHES, Operator.MATCHES_NOT, Operator.MATCHES_ANY, Operator.MATCHES_NONE})
_OPPOSITES = frozenset(
    {Operator.NOT_EQUAL, Operator.NOT_IN, Operator.NOT_EXIST, Operator.MATCHES_NOT, Operator.MATCHES_NONE}
)
_OPERATORS = {operator.value: operator for operator in Operator} | {
    "NotExists": Operator.NOT_EXIST
}  # as once documented
_FIELDS = frozenset({"key", "operator", "values"})


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
        raise ValueError(
            f"operator: '{operator[:60]}' is none; write one of {', '.join(one.value for one in Operator)}"
        )
    if known in _OF_ONE and len(values) != 1:
        raise ValueError(f"values: {operator} takes one value, not {len(values)}")
    if known in _OF_NONE and values:
        raise ValueError(f"values: {operator} takes none; leave them away")
    if known is Operator.ALWAYS_TRUE:
        return Expression(Key(()), known)
    try:
        parsed = expression_keys.parse(key)
    except ValueError as error:
        raise ValueError(f"key: {error}") from error
    try:
        patterns = tuple(globs.compiled(value) for value in values) if known in _OF_PATTERNS else ()
    except ValueError as error:
        raise ValueError(f"values: {error}") from error
    return Expression(parsed, known, tuple(values), patterns)


def written(said: Value, where: str) -> Expression:
    """A statement as it stands in an annotation, at the path `where`. Raises ValueError."""
    if not isinstance(said, dict) or not _FIELDS.issuperset(said):
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
    if said.operator is Operator.ALWAYS_TRUE:
        return True
    value = expression_keys.resolve(said.key, container, pod)
    return (value is not None and _fits(said, value)) is not (said.operator in _OPPOSITES)


def _fits(said: Expression, value: str) -> bool:
    if said.operator in _OF_NONE:
        return True
    if said.operator in _OF_PATTERNS:
        return any(pattern.fullmatch(value) for pattern in said.patterns)
    return value in said.values or (said.operator is not Operator.NOT_EQUAL and "*" in said.values)
