"""YAML text to validated parts: what is wrong is noted with line, place, value and remedy, all of it at once."""

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, PydanticCustomError

from cri_resmgr.config.problems import Invalid, Problem
from cri_resmgr.config.texts import Path, Tree
from cri_resmgr.values import cpusets, quantities

M = TypeVar("M", bound=BaseModel)

_SHOWN_CHARS = 60
_EXPECTED = {
    "bool_type": "write true or false",
    "string_type": "write a text; quote it if YAML takes it for something else",
    "int_type": "write a whole number",
    "dict_type": "write keys and values below it",
    "model_type": "write keys and values below it",
    "list_type": "write a list",
    "too_short": "write one at least",
    "missing": "say it",
}


class Part(BaseModel):
    """What all parts share: keys are in camel case, unknown ones are wrong, and nothing is converted silently."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=to_camel, use_attribute_docstrings=True
    )


def refused(reason: str) -> PydanticCustomError:
    """The error that a validator raises to say `reason`, and nothing else."""
    return PydanticCustomError("refused", "{reason}", {"reason": reason})


def _by(parse: Callable[[str], Any], *types: type) -> Callable[[Any], Any]:
    """A validator that makes `parse`'s value of a text, or of a number that YAML has read where a text was meant."""

    def validate(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, types):
            raise refused(f"{_shown(value)} will not do; write a text")
        try:
            return parse(str(value))
        except ValueError as error:
            raise refused(str(error)) from error

    return validate


Millicpu = Annotated[int, BeforeValidator(_by(quantities.cpu_millicpu, str, int, float))]
Bytes = Annotated[int, BeforeValidator(_by(quantities.bytes_of, str, int, float))]
CpuList = Annotated[int, BeforeValidator(_by(cpusets.parse, str, int))]


def _word(text: str) -> str:
    if not text or not text.isprintable() or any(mark in text for mark in ":/ "):
        raise refused(f"'{text}' is no name; write one without blanks, ':' and '/'")
    return text


Name = Annotated[str, AfterValidator(_word)]


def part(model: type[M], raw: Any, tree: Tree, *, at: Path = (), name: str = "") -> M | None:
    """What the part at a path says, people call it `name`; if it is wrong None, with the problems noted in the tree."""
    try:
        return model.model_validate({} if raw is None else raw)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            path = tuple(map(str, detail["loc"]))
            note(tree, (*at, *path), _message(model, detail), where=place(path, within=name))
        return None


def note(tree: Tree, path: Path, message: str, *, where: str) -> None:
    """Note a problem in the tree; the line is that of the path."""
    tree.problems.append(Problem(where, message, tree.line_of(path)))


def finished(tree: Tree, source: str) -> None:
    """Raise Invalid if anything has been noted in the tree."""
    if tree.problems:
        raise Invalid(sorted(tree.problems, key=lambda problem: problem.line), source)


def place(path: Path, *, within: str = "") -> str:
    """A path in words: `memoryNodes[1].near`, or `step 3: exit.pod`."""
    words = "".join(f"[{word}]" if word.isdecimal() else f".{word}" for word in path).removeprefix(".")
    return ": ".join(filter(None, (within, words)))


def _message(model: type[BaseModel], detail: ErrorDetails) -> str:
    if detail["type"] == "extra_forbidden":
        return _unknown_key(list(_keys(model, detail["loc"][:-1])), str(detail["loc"][-1]))
    if detail["type"] == "refused":
        return detail["msg"]
    if detail["type"] == "missing":
        return "is not there; it must be said"
    if detail["type"] == "greater_than_equal":
        return f"{detail['input']} is too small; the least is {detail['ctx']['ge']}"
    return f"{_shown(detail['input'])} will not do; {_EXPECTED.get(detail['type'], detail['msg'])}"


def _unknown_key(known: list[str], key: str) -> str:
    by_lower = {name.lower(): name for name in known}
    near = get_close_matches(key.lower(), by_lower, n=1)
    return f"unknown key; did you mean {by_lower[near[0]]}?" if near else f"unknown key; known: {', '.join(known)}"


def _keys(model: type[BaseModel], path: tuple[int | str, ...]) -> Iterator[str]:
    for word in path:
        if isinstance(word, str):
            fields = {field.alias: field.annotation for field in model.model_fields.values()}
            model = next(_models(fields[word]))
    return (str(field.alias) for field in model.model_fields.values())


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in an annotation such as `list[Model] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
