"""What is wrong with a configuration, as values: one problem a place, all of them at once."""

from collections.abc import Iterable
from dataclasses import dataclass

from cri_resmgr.errors import BadInput


@dataclass(frozen=True, slots=True)
class Problem:
    """`where` is a dotted path such as `policy.Active`, "" for the whole text; `line` counts from 1, 0 is unknown."""

    where: str
    message: str
    line: int = 0

    def __str__(self) -> str:
        """`line 3: policy.Active: …`."""
        line = f"line {self.line}" if self.line else ""
        return ": ".join(filter(None, (line, self.where, self.message)))


class Invalid(BadInput):
    """A configuration with problems; its message has one line for each of them."""

    def __init__(self, problems: Iterable[Problem], source: str) -> None:
        self.problems, self.source = tuple(problems), source
        super().__init__("\n".join(f"{source}: {problem}" for problem in self.problems))
