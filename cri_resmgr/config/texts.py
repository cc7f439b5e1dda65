"""Configuration text to a tree of plain values, within limits; knows YAML and dotted keys, and no section.

A key may be dotted at any level of sections: `policy.static: {…}` is `policy: {static: {…}}`.  What is said twice is
wrong, whether in one mapping or once dotted and once nested.  Aliases are followed, and counted each time: a text
that unfolds beyond a limit is refused before it takes memory.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from cri_resmgr.config.problems import Problem

LIMIT_BYTES = 1 << 20
LIMIT_NODES = 20_000
LIMIT_DEPTH = 32
SECTION_DEPTH = 3  # keys below this are names that users choose; a dot there is a dot

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE = "tag:yaml.org,2002:merge"
_REMEDIES = (
    ("alias", "a word that starts with * needs quotes, as in Debug: '*'"),
    ("cannot start any token", "quote the value; indent with blanks, not tabs"),
    ("mapping values are not allowed", "a value with ': ' in it needs quotes"),
    ("expected a single document", "write one document only, without --- in between"),
)

Path = tuple[str, ...]


@dataclass(slots=True)
class Tree:
    """What a text says: nested mappings, the line of each path, and what is wrong with it."""

    limit_nodes: int = LIMIT_NODES
    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    nodes: int = 0

    def complain(self, path: Path, message: str, line: int = 0) -> None:
        """Note a problem; the line is that of the path unless given."""
        self.problems.append(Problem(".".join(path), message, line or self.line_of(path)))

    def line_of(self, path: Path) -> int:
        """The line of the path or of what encloses it; 0 if unknown."""
        known = (self.lines[path[:size]] for size in range(len(path), 0, -1) if path[:size] in self.lines)
        return next(known, 0)


class _TooMuch(Exception):  # noqa: N818 - ends the walk, seen by nobody
    pass


def load(text: str) -> Tree:
    """The tree of a text; without any value when the text is empty or is no YAML."""

    def fill(tree: Tree, loader: Any, root: yaml.Node) -> None:
        if isinstance(root, yaml.MappingNode):
            tree.values = _mapping(tree, loader, root, ())
        elif loader.construct_object(root) is not None:
            tree.complain((), "is no mapping; write sections such as 'policy:'", _line(root))

    return _loaded(text, Tree(), fill)


def load_list(text: str, *, limit_nodes: int) -> Tree:
    """The same for a text that is a list: `values` has its items under their index, "0" for the first."""

    def fill(tree: Tree, loader: Any, root: yaml.Node) -> None:
        if not isinstance(root, yaml.SequenceNode):
            tree.complain((), "is no list; begin each item with '- '", _line(root))
            return
        for index, item in enumerate(root.value):
            path = (str(index),)
            tree.lines[path] = _line(item)
            tree.values[path[0]] = _value(tree, loader, item, path)

    return _loaded(text, Tree(limit_nodes), fill)


def _loaded(text: str, tree: Tree, fill: Callable[[Tree, Any, yaml.Node], None]) -> Tree:
    try:
        loader = _LOADER(text)
        try:
            root = loader.get_single_node()
            if root is not None:
                fill(tree, loader, root)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        tree.problems.append(_not_yaml(error))
    except _TooMuch as error:
        tree.complain((), str(error))
    return tree


def _not_yaml(error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    said = " ".join(filter(None, (getattr(error, "context", None), getattr(error, "problem", None)))) or str(error)
    remedy = next((remedy for sign, remedy in _REMEDIES if sign in said), "correct the line or the one before it")
    return Problem("", f"not YAML: {said}; {remedy}", mark.line + 1 if mark else 0)


def _line(node: yaml.Node) -> int:
    line: int = node.start_mark.line
    return line + 1


def _value(tree: Tree, loader: Any, node: yaml.Node, path: Path) -> Any:
    tree.nodes += 1
    if tree.nodes > tree.limit_nodes:
        raise _TooMuch(f"has more than {tree.limit_nodes} values with its aliases followed; make it smaller")
    if len(path) > LIMIT_DEPTH:
        raise _TooMuch(f"is nested deeper than {LIMIT_DEPTH} levels; make it flatter")
    if isinstance(node, yaml.MappingNode):
        return _mapping(tree, loader, node, path)
    if isinstance(node, yaml.SequenceNode):
        return [_value(tree, loader, item, (*path, str(index))) for index, item in enumerate(node.value)]
    try:
        return loader.construct_object(node)
    except ValueError as error:  # `2020-99-99` looks like a date
        tree.complain(path, f"'{node.value[:60]}' cannot be read: {error}; quote it", _line(node))
        return node.value


def _mapping(tree: Tree, loader: Any, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
    made: dict[str, Any] = {}
    seen: dict[str, int] = {}
    for key_node, value_node in sorted(node.value, key=lambda pair: bool(pair[0].tag == _MERGE)):  # own keys win
        line = _line(key_node)
        for key, value, at in _entries(tree, loader, (key_node, value_node), path):
            if key_node.tag == _MERGE:
                made.setdefault(key, value)
                continue
            if key in seen:
                tree.complain(at, f"is there already on line {seen[key]}; keep one of the two", line)
                continue
            seen[key] = line
            tree.lines.setdefault(at, line)
            _place(tree, made, value, (path, at[len(path) :]))
    return made


def _entries(tree: Tree, loader: Any, pair: tuple[yaml.Node, yaml.Node], path: Path) -> Iterator[tuple[str, Any, Path]]:
    """The key, value and full path of one line of a mapping; several for a merge, none for a wrong key."""
    key_node, value_node = pair
    if key_node.tag == _MERGE:
        merged = _value(tree, loader, value_node, path)
        for mapping in merged if isinstance(merged, list) else [merged]:
            if not isinstance(mapping, dict):
                tree.complain(path, "<< takes a mapping or a list of mappings", _line(key_node))
                continue
            yield from ((key, value, (*path, key)) for key, value in mapping.items())
        return
    key = _value(tree, loader, key_node, path) if isinstance(key_node, yaml.ScalarNode) else None
    if not isinstance(key, str):
        tree.complain(path, "has a key that is no word; quote it", _line(key_node))
        return
    parts = key.split(".") if len(path) < SECTION_DEPTH and all(key.split(".")) else [key]
    at = (*path, *parts)
    yield key, _value(tree, loader, value_node, at), at


def _place(tree: Tree, into: dict[str, Any], value: Any, at: tuple[Path, Path]) -> None:
    """Put a value where its dotted key says; mappings join, anything else must be new there."""
    path, (first, *rest) = at
    here = (*path, first)
    if rest:
        below = into.setdefault(first, {})
        if isinstance(below, dict):
            _place(tree, below, value, (here, tuple(rest)))
        else:
            tree.complain((*here, *rest), f"{'.'.join(here)} has a value already; keep one of the two")
    elif isinstance(value, dict) and isinstance(into.get(first), dict):
        for key, inner in value.items():
            _place(tree, into[first], inner, (here, (key,)))
    elif first in into:
        tree.complain(here, "is said twice, once with a dotted key; keep one of the two")
    else:
        into[first] = value
