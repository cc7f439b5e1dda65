"""What a configuration may say, for people at a terminal: sections by name, with their keys.

Names are matched as the predecessor did: `topology-aware` or `policy.topology-aware` is a section, `.aware` are those
whose path ends so, `policy.` those whose path begins so, `.pol.` those with it anywhere in the path.
"""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from textwrap import wrap
from typing import Any

import yaml
from pydantic_core import to_jsonable_python

from cri_resmgr.config.outline import Entry, Kind
from cri_resmgr.errors import BadInput

ROOT_NAME = "configuration"
_WIDTH_CHARS = 100


def sections(root: Entry, names: Sequence[str]) -> tuple[Entry, ...]:
    """The sections that any of the names is about, all of them without names. Raises BadInput for a name of none."""
    there = [entry for entry in root.walk() if entry.kind is Kind.SECTION]
    found = {name: [entry for entry in there if _is_meant(entry, name)] for name in names}
    if wrong := [_unknown(name, there) for name, entries in found.items() if not entries]:
        raise BadInput("\n".join(wrong))
    wanted = {entry.path for entries in found.values() for entry in entries}
    return tuple(entry for entry in there if entry.path in wanted or not names)


def lines(section: Entry) -> Iterator[str]:
    """A section in the predecessor's form: what it is, where, what is below it."""
    implicit = "" if section.keys else "implicit "
    name = section.path[-1] if section.path else ROOT_NAME
    yield from wrapped(f"- {implicit}module {name}: {section.meaning}", "", "  ")
    yield f"  full path: {section.name or ROOT_NAME}"
    if section.sections:
        yield f"  sub-modules: {', '.join(entry.path[-1] for entry in section.sections)}"
    if section.keys:
        yield "  description:"
    for key in section.keys:
        yield from _key(key, "    ")


def default(entry: Entry) -> str:
    """The default of a key as it would be written, `not said` if something else decides."""
    return "not said" if entry.default is None else flow(to_jsonable_python(entry.default))


def flow(value: Any) -> str:
    """A plain value as YAML on one line."""
    text: str = yaml.safe_dump(value, default_flow_style=True, width=float("inf"), sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def wrapped(text: str, first: str, others: str = "") -> list[str]:
    """A text in lines that fit a terminal, with what the first begins with, and the others if it is not the same."""
    return wrap(text, _WIDTH_CHARS, initial_indent=first, subsequent_indent=others or first, break_on_hyphens=False)


def _key(key: Entry, indent: str) -> Iterator[str]:
    deeper = f"{indent}    "
    yield from wrapped(f"{key.path[-1]}: {key.form} (default: {default(key)})", indent, deeper)
    yield from wrapped(key.meaning, deeper)
    for part in key.below.values():
        yield from _key(part, deeper)


def _is_meant(section: Entry, name: str) -> bool:
    path = section.name or ROOT_NAME
    match name.startswith("."), name.endswith("."):
        case True, True:
            return name.strip(".") in path
        case True, False:
            return path.endswith(name[1:])
        case False, True:
            return path.startswith(name[:-1])
        case _:
            return name in {path, path.rpartition(".")[2]}


def _unknown(name: str, there: Sequence[Entry]) -> str:
    paths = {entry.name or ROOT_NAME for entry in there}
    near = get_close_matches(name.strip("."), paths | {path.rpartition(".")[2] for path in paths}, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(paths))}"
    return f"'{name}' is no section; {hint}"
