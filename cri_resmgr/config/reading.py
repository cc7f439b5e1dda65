"""The nodes of a text to values in a tree, which other keys and other texts may have begun.

What is said twice is wrong, whether in one mapping, once with a dotted key and once nested, or in two texts.  Aliases
are followed, and counted each time: a text that unfolds beyond a limit is refused before it takes memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from cri_resmgr.config import scanning
from cri_resmgr.config.problems import Line
from cri_resmgr.config.trees import Path, Spell, Tree

LIMIT_NUMBER_CHARS = 64
_MERGE = "tag:yaml.org,2002:merge"
_TEXT = "tag:yaml.org,2002:str"


@dataclass(frozen=True, slots=True)
class Reader:
    """Goes through the nodes of one text; `text` is its name if it is one of several."""

    tree: Tree
    loader: Any
    spell: Spell
    text: str

    def line(self, node: yaml.Node) -> Line:
        """Where a node begins."""
        return Line(self.text, node.start_mark.line + 1)

    def value(self, node: yaml.Node, path: Path) -> Any:
        """What a node says, as plain values."""
        self._count(path)
        if isinstance(node, yaml.MappingNode):
            made: dict[str, Any] = {}
            self.fill(made, node, path)
            return made
        if isinstance(node, yaml.SequenceNode):
            return [self._item(item, (*path, str(index))) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def fill(self, into: dict[str, Any], node: yaml.MappingNode, path: Path) -> None:
        """Put what a mapping says into another one, which dotted keys may have begun."""
        seen: dict[Path, Line] = {}
        for key_node, value_node, merged in self._pairs(node, path):
            line = self.line(key_node)
            key = self._scalar(key_node, path)
            if not isinstance(key, str):
                self.tree.complain(path, "has a key that is no word; quote it", line)
                continue
            at = self.spell(path, key)
            if at not in seen:
                seen[at] = line
                self.put(into, value_node, path, at=at, line=line)
            elif not merged:
                self.tree.complain((*path, *at), f"is there already on {seen[at]}; keep one of the two", line)

    def put(self, into: dict[str, Any], node: yaml.Node, path: Path, *, at: Path, line: Line) -> None:
        """Put a value where its key says; mappings join, and anything else must be new there."""
        whole, *above = (*path, *at), *at[:-1]
        for size, word in enumerate(above, len(path) + 1):
            self.tree.lines.setdefault(whole[:size], line)
            if into.get(word) is None:
                into[word] = {}
            below: Any = into[word]
            if isinstance(below, dict):
                into = below
            else:
                self.tree.complain(whole, "is below a key that has a value already; keep one of the two", line)
                return
        there = into.get(at[-1])
        if isinstance(node, yaml.MappingNode) and isinstance(there, dict):
            self.fill(there, node, whole)
            return
        first = self.tree.lines.setdefault(whole, line)
        value = self.value(node, whole)
        if there is None:
            into[at[-1]] = value
        elif value is not None:
            self.tree.complain(whole, f"is there already on {first}; keep one of the two", line)

    def _item(self, node: yaml.Node, path: Path) -> Any:
        self.tree.lines[path] = self.line(node)
        return self.value(node, path)

    def _scalar(self, node: yaml.Node, path: Path) -> Any:
        """What a word or number says; None for a collection."""
        if not isinstance(node, yaml.ScalarNode):
            return None
        if node.tag != _TEXT and len(node.value) > LIMIT_NUMBER_CHARS:
            self.tree.complain(path, f"'{node.value[:60]}…' is too long for a number; quote it", self.line(node))
            return node.value
        try:
            return self.loader.construct_object(node)
        except ValueError as error:  # `2020-99-99` looks like a date
            self.tree.complain(path, f"'{node.value[:60]}' cannot be read: {error}; quote it", self.line(node))
            return node.value

    def _pairs(self, node: yaml.MappingNode, path: Path) -> Iterator[tuple[yaml.Node, yaml.Node, bool]]:
        """The keys and values of a mapping, and after its own those that it merges."""
        merges = []
        for key_node, value_node in node.value:
            self._count(path)
            if key_node.tag == _MERGE:
                merges.append(value_node)
            else:
                yield key_node, value_node, False
        for value_node in merges:
            for mapping in value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]:
                if isinstance(mapping, yaml.MappingNode):
                    yield from ((key, value, True) for key, value, _ in self._pairs(mapping, (*path, "<<")))
                else:
                    self.tree.complain(path, "<< takes a mapping or a list of mappings", self.line(value_node))

    def _count(self, path: Path) -> None:
        self.tree.nodes += 1
        scanning.check(self.tree.nodes, len(path), limit_nodes=self.tree.limit_nodes)
