"""What people are told about a value that a model refuses: the value, what is wrong with it, and what to write."""

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic_core import ErrorDetails, PydanticCustomError

from cri_resmgr.errors import BadInput

_SHOWN_CHARS = 60
_EXPECTED = {
    "bool_type": "write true or false",
    "bool_parsing": "write true or false",
    "string_type": "write a text; quote it if YAML takes it for something else",
    "int_type": "write a whole number",
    "int_parsing": "write a whole number",
    "dict_type": "write keys and values below it",
    "model_type": "write keys and values below it",
    "model_attributes_type": "write keys and values below it",
    "list_type": "write a list",
    "too_short": "write one at least",
}


def of(detail: ErrorDetails, known: Iterable[str]) -> str:
    """The message for one of pydantic's errors; `known` are the keys that there are where one is not known."""
    match detail["type"]:
        case "extra_forbidden":
            return unknown_key(str(detail["loc"][-1]), known)
        case "refused":
            return detail["msg"]
        case "missing":
            return "is not there; it must be said"
        case "greater_than_equal":
            return f"{detail['input']} is too small; the least is {detail['ctx']['ge']}"
        case "too_long":
            return f"has more than {detail['ctx']['max_length']} items; write fewer"
        case kind:
            return f"{shown(detail['input'])} will not do; {_EXPECTED.get(kind, detail['msg'])}"


def unknown_key(key: str, known: Iterable[str]) -> str:
    """The message for a key that there is not, with the nearest one."""
    by_lower = {name.lower(): name for name in known}
    near = get_close_matches(key.lower(), by_lower, n=1)
    if near:
        return f"unknown key; did you mean {by_lower[near[0]]}?"
    return f"unknown key; known here: {', '.join(by_lower.values()) or 'nothing'}"


def shown(value: Any) -> str:
    """A value in few words."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"


def refused(reason: object) -> PydanticCustomError:
    """The error that a validator raises to say `reason`, and nothing else."""
    return PydanticCustomError("refused", "{reason}", {"reason": str(reason)})


def by(parse: Callable[[Any], object]) -> Callable[[Any], Any]:
    """A validator that keeps the value when `parse` takes it, and tells its objection otherwise."""

    def validate(value: Any) -> Any:
        try:
            parse(value)
        except BadInput as error:
            raise refused(error) from error
        return value

    return validate
