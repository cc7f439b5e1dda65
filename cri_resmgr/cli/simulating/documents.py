"""YAML text to validated parts: what is wrong is noted with line, place, value and remedy, all of it at once."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from cri_resmgr.config import messages, outline
from cri_resmgr.config.messages import refused, shown
from cri_resmgr.config.problems import Invalid, Problem
from cri_resmgr.config.trees import Path, Tree
from cri_resmgr.values import cpusets, quantities

M = TypeVar("M", bound=BaseModel)


class Part(BaseModel):
    """What all parts share: keys are in camel case, unknown ones are wrong, and nothing is converted silently."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=to_camel, use_attribute_docstrings=True
    )


def _by(parse: Callable[[str], Any], *types: type) -> Callable[[Any], Any]:
    """A validator that makes `parse`'s value of a text, or of a number that YAML has read where a text was meant."""

    def validate(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, types):
            raise refused(f"{shown(value)} will not do; write a text")
        try:
            return parse(str(value))
        except ValueError as error:
            raise refused(error) from error

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
            known = outline.at(outline.of(model), path[:-1])
            message = messages.of(detail, known.below if known else ())
            note(tree, (*at, *path), message, where=place(path, within=name))
        return None


def note(tree: Tree, path: Path, message: str, *, where: str) -> None:
    """Note a problem in the tree; the line is that of the path."""
    tree.problems.append(Problem(where, message, tree.line_of(path)))


def finished(tree: Tree, source: str) -> None:
    """Raise Invalid if anything has been noted in the tree."""
    if tree.problems:
        raise Invalid(tree.problems, source)


def place(path: Path, *, within: str = "") -> str:
    """A path in words: `memoryNodes[1].near`, or `step 3: exit.pod`."""
    words = "".join(f"[{word}]" if word.isdecimal() else f".{word}" for word in path).removeprefix(".")
    return ": ".join(filter(None, (within, words)))
