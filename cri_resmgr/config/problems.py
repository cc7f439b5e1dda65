"""What is wrong with a configuration, as values: one problem a place, all of them at once."""

from collections.abc import Iterable
from dataclasses import dataclass

from cri_resmgr.errors import BadInput


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """A line counted from 1, 0 if it is not known; `text` names one of several texts, "" if there is one only."""

    text: str = ""
    number: int = 0

    def __str__(self) -> str:
        """`line 3`, or `line 3 of policy`; "" if it is not known."""
        return f"line {self.number}{self.text and ' of '}{self.text}" if self.number else ""


UNKNOWN = Line()


@dataclass(frozen=True, slots=True)
class Problem:
    """`where` is a dotted path such as `policy.Active`, "" for the whole text."""

    where: str
    message: str
    line: Line = UNKNOWN

    def __str__(self) -> str:
        """`line 3: policy.Active: …`."""
        return ": ".join(filter(None, (str(self.line), self.where, self.message)))


class Invalid(BadInput):
    """A configuration with problems; its message has one line for each of them, in the order of the text."""

    def __init__(self, problems: Iterable[Problem], source: str) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        self.source = source
        super().__init__("\n".join(f"{source}: {problem}" for problem in self.problems))
