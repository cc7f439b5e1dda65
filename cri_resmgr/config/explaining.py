"""One key for people: what it means, how it is written, what holds without it, and where a text says it."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from cri_resmgr.config import helping
from cri_resmgr.config.outline import Entry, Kind
from cri_resmgr.config.trees import Path, Tree
from cri_resmgr.errors import BadInput


def find(root: Entry, key: str) -> tuple[Entry, ...]:
    """The entry at a dotted path, or all whose last word is the key; case does not count. Raises BadInput."""
    there = {entry.name: entry for entry in root.walk() if entry.path}
    wanted = key.lower()
    found = [entry for name, entry in there.items() if name.lower() == wanted]
    found = found or [entry for entry in there.values() if entry.path[-1].lower() == wanted]
    if found:
        return tuple(found)
    words = {name.lower(): name for name in [*there, *(entry.path[-1] for entry in there.values())]}
    near = get_close_matches(wanted, words, n=1)
    hint = f"did you mean {words[near[0]]}?" if near else f"sections are {', '.join(root.below)}"
    raise BadInput(f"'{key}' is no key of a configuration; {hint}")


def lines(root: Entry, entry: Entry, said: Tree | None = None, source: str = "") -> Iterator[str]:
    """The explanation; with a tree also what that says, `source` being its name."""
    yield entry.name
    yield from helping.wrapped(entry.meaning, "  ")
    if entry.kind is Kind.SECTION:
        yield from helping.wrapped(", ".join(entry.below) or "none", "  keys:    ", " " * 11)
    else:
        yield from helping.wrapped(entry.form, "  written: ", " " * 11)
        if entry.unit:
            yield f"  unit:    {entry.unit}"
        yield f"  default: {helping.default(entry)}"
    if said is not None:
        there = list(_places(said.values, root, entry.path))
        yield from (f"  set:     {source} {said.line_of(path)}: {helping.flow(value)}" for path, value in there)
        if not there:
            yield f"  set:     not in {source}"


def _places(values: Any, root: Entry, path: Path) -> Iterator[tuple[Path, Any]]:
    """Every place in a tree that an entry's path is about, with the value there."""
    places: list[tuple[Path, Any]] = [((), values)]
    entry = root
    for word in path:
        if entry.each:
            places = [((*at, name), item) for at, value in places for name, item in _items(value)]
        entry = entry.below[word]
        places = [((*at, word), value[word]) for at, value in places if isinstance(value, dict) and word in value]
    yield from places


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from ((str(index), item) for index, item in enumerate(value))
