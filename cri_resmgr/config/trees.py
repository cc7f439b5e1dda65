"""A text as a tree: plain values, the line of each, and what is wrong."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cri_resmgr.config.problems import UNKNOWN, Line, Problem

LIMIT_NODES = 50_000

Path = tuple[str, ...]
Spell = Callable[[Path, str], Path]
"""What a key means below a path: one word in its right spelling, or several if it goes deeper."""


def as_written(_path: Path, key: str) -> Path:
    """A key means itself."""
    return (key,)


@dataclass(slots=True)
class Tree:
    """What a text says: nested mappings, the line of each path, and what is wrong with it."""

    limit_nodes: int = LIMIT_NODES
    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[Path, Line] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    nodes: int = 0

    def complain(self, path: Path, message: str, line: Line = UNKNOWN) -> None:
        """Note a problem; the line is that of the path unless given."""
        self.problems.append(Problem(".".join(path), message, line if line.number else self.line_of(path)))

    def line_of(self, path: Path) -> Line:
        """The line of the path or of what encloses it."""
        known = (self.lines[path[:size]] for size in range(len(path), 0, -1) if path[:size] in self.lines)
        return next(known, UNKNOWN)
