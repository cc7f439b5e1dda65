"""How values are written: in words for people, as JSON schema for editors; kept beside each field of the models.

A field of a plain type needs no form: `written` says what `bool` and `list[str]` look like.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

_TYPE_OR_NULL = 2
_PLAIN = {bool: "true or false", str: "a text", int: "a whole number", float: "a number", Any: "anything"}


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """An annotation of a field whose type does not say enough."""

    words: str
    schema: Mapping[str, Any]
    unit: str = ""
    """What a number in it counts, "" where the words say so."""

    def __get_pydantic_json_schema__(self, _core: Any, _handler: Any) -> dict[str, Any]:
        """What pydantic puts in its schema of the field."""
        return dict(self.schema)


def one_of(*words: str, in_any_case: bool = False) -> Form:
    """The form of a value that is one of a few words."""
    choice: list[dict[str, Any]] = [{"enum": list(words)}]
    if in_any_case:
        choice.append({"type": "string", "pattern": any_case(*words)})
    return Form(" or ".join(filter(None, (", ".join(words[:-1]), words[-1]))), {"anyOf": choice})


def any_case(*words: str) -> str:
    """The pattern, as JSON schema has them, of one of the words whatever their case; `[…]` in them is kept."""
    signs = (
        "".join(sign.lower() if not sign.isalpha() else f"[{sign.upper()}{sign.lower()}]" for sign in w) for w in words
    )
    return f"^({'|'.join(signs)})$"


def of(annotation: Any, metadata: Iterable[Any] = ()) -> Form | None:
    """The form among the annotations of a field, or of the one type that it may have beside null."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return of(inner[0], (*metadata, *inner[1:]))
    if origin in {Union, UnionType} and len(inner) == _TYPE_OR_NULL and NoneType in inner:
        return of(next(one for one in inner if one is not NoneType), metadata)
    return next((one for one in metadata if isinstance(one, Form)), None)


def written(annotation: Any) -> str:
    """In words what a value of a type looks like."""
    form = of(annotation)
    if form is not None:
        return form.words
    if get_origin(annotation) is not None:
        return _of_many(get_origin(annotation), get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "keys and values"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(str(member.value) for member in annotation)
    return _PLAIN.get(annotation, "a word")


def _of_many(origin: Any, inner: tuple[Any, ...]) -> str:
    """The same for a type that is made of others."""
    if origin is Annotated:
        return written(inner[0])
    if origin is Literal:
        return " or ".join(map(str, inner))
    if origin is dict:
        return f"a mapping, each value {written(inner[1])}"
    if origin in {list, tuple}:
        return f"a list, each item {written(inner[0])}"
    return " or ".join(written(one) for one in inner if one is not NoneType)


def models(annotation: Any) -> tuple[type[BaseModel], ...]:
    """The models in a type such as `list[Model] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (annotation,)
    return tuple(model for argument in get_args(annotation) for model in models(argument))


def has_many(annotation: Any) -> bool:
    """Is a value of the type a list, or a mapping from names that users choose?"""
    return get_origin(annotation) in {list, tuple, dict} or any(map(has_many, get_args(annotation)))
