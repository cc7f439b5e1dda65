"""Constraints on Kubernetes versions as image vectors write them: `>= 1.30, < 1.33`, `1.31.x`, `~1.31 || 1.33 - 1.34`.

The meaning is that of Masterminds/semver v3, which Gardener uses, for versions without pre-release.  In `1.31` and
`1.31.x` the rest is open: as such they mean any 1.31, `> 1.31` means 1.32 and later, `<= 1.31` any 1.31 and earlier.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile

Version = tuple[int, int, int]

_NUMBER = r"v?(?:\d+|[xX*])(?:\.(?:\d+|[xX*])){0,2}"
_REST = r"(?:[-+][0-9A-Za-z.+-]*)?"
_TERM = re.compile(rf"(?P<operator>[<>=!~^]*)\s*(?P<number>{_NUMBER}){_REST}(?:\s*,\s*|\s+|$)")
_RANGE = re.compile(rf"({_NUMBER}){_REST}\s+-\s+({_NUMBER}){_REST}")
_EXACT = re.compile(r"(v?[0-9]+\.[0-9]+\.[0-9]+|=)")


@dataclass(frozen=True, slots=True)
class _Term:
    test: Callable[[Version, "_Term"], bool]
    version: Version
    known: int
    """How many parts of the version are said, 0 to 3."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """What a text asks of a version; `exact` if it names one, which counts more than a range."""

    text: str
    alternatives: tuple[tuple[_Term, ...], ...]
    exact: bool

    def holds(self, version: Version) -> bool:
        """Whether one of the alternatives is wholly true of it."""
        return any(all(term.test(version, term) for term in terms) for terms in self.alternatives)


def parse(text: str) -> Constraint:
    """The constraint that a text says. Raises ValueError."""
    alternatives = tuple(_terms(part, text) for part in text.split("||"))
    return Constraint(text, alternatives, _EXACT.match(text) is not None)


def version(text: str) -> Version:
    """A version such as `v1.34.1-gke.3` without what is after its numbers. Raises ValueError."""
    found = re.fullmatch(rf"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?{_REST}", text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no version; write one such as 1.34.1")
    major, minor, patch = (int(part or 0) for part in found.groups())
    return major, minor, patch


def _terms(part: str, text: str) -> tuple[_Term, ...]:
    """The terms of one alternative, which are all between commas or blanks."""
    rest, terms = _RANGE.sub(r">=\1 <=\2", part).strip(), []
    while rest:
        found = _TERM.match(rest)
        if found is None or found["operator"] not in _TESTS:
            raise ValueError(f"{text!r} is no constraint on versions; write one such as '>= 1.30' or '1.31.x'")
        numbers = [int(each) for each in takewhile(str.isdecimal, found["number"].lstrip("v").split("."))]
        padded = (*numbers, 0, 0, 0)
        terms.append(_Term(_TESTS[found["operator"]], (padded[0], padded[1], padded[2]), len(numbers)))
        rest = rest[found.end() :]
    if not terms:
        raise ValueError(f"{text!r} has an empty alternative; write one such as '>= 1.30'")
    return tuple(terms)


def _same(found: Version, term: _Term) -> bool:
    return found[: term.known] == term.version[: term.known]


def _below(found: Version, term: _Term) -> bool:
    return found < term.version


def _above(found: Version, term: _Term) -> bool:
    return found[: term.known] > term.version[: term.known]


def _tilde(found: Version, term: _Term) -> bool:
    return found >= term.version and found[: min(term.known, 2)] == term.version[: min(term.known, 2)]


def _caret(found: Version, term: _Term) -> bool:
    """No change in the first part that is said and not zero, nor in those before it."""
    said = term.version[: term.known]
    fixed = next((at for at, number in enumerate(said) if number), term.known - 1) + 1
    return found >= term.version and found[:fixed] == term.version[:fixed]


_TESTS: dict[str, Callable[[Version, _Term], bool]] = {
    **dict.fromkeys(("", "="), _same),
    "!=": lambda found, term: not _same(found, term),
    ">": _above,
    "<": _below,
    **dict.fromkeys((">=", "=>"), lambda found, term: not _below(found, term)),
    **dict.fromkeys(("<=", "=<"), lambda found, term: not _above(found, term)),
    **dict.fromkeys(("~", "~>"), _tilde),
    "^": _caret,
}
