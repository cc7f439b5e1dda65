"""The whole configuration as JSON schema, for editors and other programs.

It takes everything that `check` takes, dotted keys and empty sections included.  What a schema cannot say (that two
keys are the same, that an expression is none) is left to `check`.
"""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from cri_resmgr.config import forms, outline
from cri_resmgr.config.outline import Entry, Kind
from cri_resmgr.config.trees import Path

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DEFINITIONS = "#/$defs/"

Schema = dict[str, Any]


def of(model: type[BaseModel]) -> Schema:
    """The schema of a configuration, plain values for JSON."""
    root = outline.of(model)
    whole: Schema = {"$schema": DIALECT, **model.model_json_schema()}
    for entry in root.walk():
        if entry.path:
            _describe(_property(whole, entry.path), entry)
        if entry.kind is Kind.SECTION:
            _make_section(whole, entry)
        elif entry.kind is Kind.PART:
            _make_part(whole, entry)
    for definition in (whole, *whole["$defs"].values()):
        definition.pop("title", None)
        definition["description"] = " ".join(definition.get("description", "").split())
    return whole


def text(model: type[BaseModel]) -> str:
    """The schema as it is printed."""
    return json.dumps(of(model), indent=1, ensure_ascii=False)


def _describe(schema: Schema, entry: Entry) -> None:
    schema.pop("title", None)
    schema["description"] = entry.meaning
    if entry.default is None:
        schema.pop("default", None)


def _make_section(whole: Schema, section: Entry) -> None:
    """A section may say nothing, and a dot in a key of it goes deeper."""
    schema = _object(whole, section.path)
    schema["type"] = ["object", "null"]
    for path in _deeper(section):
        above = _pointer(whole, (*section.path, *path[:-1]))
        name = ".".join(path)
        if len(path) > 1:
            schema["properties"][name] = {"$ref": f"{above}/properties/{path[-1]}"}
        if _takes_names(_property(whole, (*section.path, *path))):
            pattern = "^" + name.replace(".", r"\.") + r"\."
            schema.setdefault("patternProperties", {})[pattern] = True


def _make_part(whole: Schema, part: Entry) -> None:
    """Names in a part may be in any case."""
    schema, pointer = _object(whole, part.path), _pointer(whole, part.path)
    schema["patternProperties"] = {
        forms.any_case(name): {"$ref": f"{pointer}/properties/{name}"} for name in part.below
    }


def _deeper(section: Entry) -> Iterator[Path]:
    """The path, from the section, of each entry that a key in it can name."""
    for name, entry in section.below.items():
        yield (name,)
        if entry.kind is Kind.SECTION:
            yield from ((name, *path) for path in _deeper(entry))


def _property(whole: Schema, path: Path) -> Schema:
    """What the schema says of the key at a path of the outline."""
    found: Schema = _object(whole, path[:-1])["properties"][path[-1]]
    return found


def _object(whole: Schema, path: Path) -> Schema:
    """What the schema says of the mapping that the entry at a path is about."""
    pointer = _pointer(whole, path)
    found: Schema = whole["$defs"][pointer.removeprefix(_DEFINITIONS)] if path else whole
    return found


def _pointer(whole: Schema, path: Path) -> str:
    return next(_references(_property(whole, path))) if path else "#"


def _references(schema: Any) -> Iterator[str]:
    """The definitions that a schema refers to, from without to within."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"]
        for inner in schema.values():
            yield from _references(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _references(inner)


def _takes_names(schema: Schema) -> bool:
    """Can a value be a mapping from names that users choose?"""
    return schema.get("type") == "object" or any(map(_takes_names, schema.get("anyOf", ())))
