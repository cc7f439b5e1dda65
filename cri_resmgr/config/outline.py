"""All that can be said in a configuration, as one tree of entries made from the models.

From it come the meaning of a written key, hints, help, explanations and the reference page.  Three kinds of entries:

    section   keys and sections below it; the predecessor called them modules. Names are as they stand, and a dot in
              a key goes deeper: `policy.topology-aware: {…}`
    value     a key with a value
    part      a key with mappings in its value, such as a list of pools. The predecessor took the names in them in
              any case, and so do we; a dot is a dot
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cri_resmgr.config import forms
from cri_resmgr.config.trees import Path


class Kind(Enum):
    """What an entry is."""

    SECTION = "section"
    VALUE = "value"
    PART = "part"


@dataclass(frozen=True, slots=True)
class Entry:
    """One key; `below` has what can be said in its value, by name."""

    path: Path
    kind: Kind
    meaning: str
    form: str = ""
    unit: str = ""
    default: Any = None
    """None: not said, something else decides."""
    below: Mapping[str, "Entry"] = field(default_factory=dict)
    each: bool = False
    """The value is a list, or a mapping from names that users choose, and `below` is about each item."""
    idle: bool = False
    """It is taken and has no effect."""

    @property
    def name(self) -> str:
        """The dotted path, "" for the whole configuration."""
        return ".".join(self.path)

    @property
    def sections(self) -> tuple["Entry", ...]:
        """The sections right below this one."""
        return tuple(entry for entry in self.below.values() if entry.kind is Kind.SECTION)

    @property
    def keys(self) -> tuple["Entry", ...]:
        """The other entries right below this one."""
        return tuple(entry for entry in self.below.values() if entry.kind is not Kind.SECTION)

    def walk(self) -> Iterator["Entry"]:
        """This entry and all below it, in the order of the models."""
        yield self
        for entry in self.below.values():
            yield from entry.walk()


def of(model: type[BaseModel]) -> Entry:
    """The whole that a model describes."""
    return Entry((), Kind.SECTION, _words(model.__doc__), below=_below(model, (), Kind.SECTION))


def at(root: Entry, path: Path) -> Entry | None:
    """The entry that says what can be below a path of a tree, with indices and chosen names in it; None if nothing."""
    entry, inside = root, True
    for word in path:
        if not inside:
            inside = True
        elif word in entry.below:
            entry = entry.below[word]
            inside = not entry.each
        else:
            return None
    return entry if inside else None


def spelled(root: Entry, path: Path, key: str) -> Path:
    """What a key means below a path: words of the outline where they are known, else the key as it is written."""
    entry = at(root, path)
    if entry is None or entry.kind is Kind.VALUE:
        return (key,)
    if entry.kind is Kind.PART:
        return (next((name for name in entry.below if name.lower() == key.lower()), key),)
    first, dot, rest = key.partition(".")
    if not dot or not first or not rest or key in entry.below:
        return (key,)
    return (first, *spelled(root, (*path, first), rest))


def _below(model: type[BaseModel], path: Path, kind: Kind) -> dict[str, Entry]:
    fields = ((field.alias or name, field) for name, field in model.model_fields.items())
    return {name: _entry(field, (*path, name), kind) for name, field in fields}


def _entry(info: FieldInfo, path: Path, parent: Kind) -> Entry:
    inner = forms.models(info.annotation)
    each = bool(inner) and forms.has_many(info.annotation)
    kind = Kind.VALUE if not inner else Kind.PART if each or parent is Kind.PART else Kind.SECTION
    form = forms.of(info.annotation, tuple(info.metadata))
    return Entry(
        path,
        kind,
        _words(info.description),
        form=form.words if form else forms.written(info.annotation),
        unit=form.unit if form else "",
        default=None if kind is Kind.SECTION else info.get_default(call_default_factory=True),
        below=_below(inner[0], path, kind) if inner else {},
        each=each,
        idle=bool(info.exclude),
    )


def _words(text: str | None) -> str:
    return " ".join((text or "").split())
