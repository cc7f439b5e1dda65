"""Image vectors as files: charts/images.yaml, and the overwrite that an operator may lay over it.

An entry of the overwrite changes an entry of the vector if name, versions and architectures are the same, and else
stands behind it as one more; that is Gardener's rule, and a trap for whoever leaves out the architectures.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from cri_resmgr.errors import BadInput
from extension import constraints
from extension.constraints import Constraint
from extension.images import Source

OVERWRITE_ENVIRONMENT = "IMAGEVECTOR_OVERWRITE"
"""The environment variable with the path of the overwrite; the charts of Gardener's extensions agree on it."""

Vector = tuple[Source, ...]


def load(path: Path) -> Vector:
    """The entries of a file. Raises BadInput."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"image vector {path}: cannot be read: {error}; name a readable file") from error
    return parse(text, str(path))


def parse(text: str, source: str) -> Vector:
    """The entries of a text, `source` being its name in messages. Raises BadInput."""
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadInput(f"image vector {source}: is no YAML: {error}") from error
    entries = (tree or {}).get("images") if isinstance(tree or {}, dict) else None
    if not isinstance(entries, list):
        raise BadInput(f"image vector {source}: has no list 'images'; write 'images:' and entries that begin with '- '")
    return tuple(_entry(entry, f"image vector {source}: images[{at}]") for at, entry in enumerate(entries))


def overwritten(vector: Vector, overwrite: Iterable[Source]) -> Vector:
    """The vector with an overwrite over it."""
    entries = {_key(source): source for source in vector}
    for over in overwrite:
        entries[_key(over)] = _merged(entries.get(_key(over)), over)
    return tuple(entries.values())


def _merged(base: Source | None, over: Source) -> Source:
    if base is None or over.ref:
        return over
    return replace(over, tag=over.tag or base.tag)


def _key(source: Source) -> tuple[str, str, str, tuple[str, ...]]:
    runtime, target = source.runtime_version, source.target_version
    return source.name, runtime.text if runtime else "", target.text if target else "", source.architectures


def _entry(entry: Any, where: str) -> Source:
    if not isinstance(entry, dict):
        raise BadInput(f"{where}: is no mapping; write name, repository and tag")
    texts = {key: _text(entry, key, where) for key in ("name", "ref", "repository", "tag")}
    if not texts["name"]:
        raise BadInput(f"{where}: has no name; write the image's")
    if bool(texts["ref"]) == bool(texts["repository"]):
        raise BadInput(f"{where} ({texts['name']}): give either ref, or repository and tag")
    if texts["ref"] and texts["tag"]:
        raise BadInput(f"{where} ({texts['name']}): ref has the tag in it; leave out tag")
    return Source(
        **texts,
        runtime_version=_constraint(entry, "runtimeVersion", where),
        target_version=_constraint(entry, "targetVersion", where),
        architectures=_architectures(entry, where),
    )


def _text(entry: Mapping[str, Any], key: str, where: str) -> str:
    """The text below a key, "" if there is none; what YAML takes for a number is none."""
    value = entry.get(key)
    if value is None:
        return ""
    if not isinstance(value, str) or not value:
        raise BadInput(f"{where}.{key}: {value!r} is no text; put it into quotation marks or leave it out")
    return value


def _constraint(entry: Mapping[str, Any], key: str, where: str) -> Constraint | None:
    text = _text(entry, key, where)
    try:
        return constraints.parse(text) if text else None
    except ValueError as error:
        raise BadInput(f"{where}.{key}: {error}") from error


def _architectures(entry: Mapping[str, Any], where: str) -> tuple[str, ...]:
    found = entry.get("architectures") or []
    if not isinstance(found, list) or not all(isinstance(each, str) and each for each in found):
        raise BadInput(f"{where}.architectures: {found!r} is no list of texts; write one such as [amd64, arm64]")
    return tuple(found)
