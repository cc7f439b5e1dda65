"""Several texts of Prometheus' format as one: no family twice, and nothing that a scrape would fail for.

A family is its HELP and TYPE lines with the samples after them.  The format wants each once and in one piece, so of two
of a name the first one stays.  A line that is none is left out: one bad writer must not cost everybody's metrics.
"""

import re
from collections.abc import Iterable, Iterator

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_HEAD = re.compile(rf"# (?:HELP|TYPE) ({_NAME}) .*")
_LABELS = r'\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\]|\\["\\n])*",?)*\}'
_SAMPLE = re.compile(rf"({_NAME})(?:{_LABELS})? (?:[-+]?(?:[0-9.]+(?:[eE][-+]?[0-9]+)?|Inf)|NaN)(?: -?[0-9]+)?")
_PARTS = ("_bucket", "_sum", "_count")


def merged(texts: Iterable[str]) -> str:
    """One text; of two families of a name that of the earlier text."""
    known: set[str] = set()
    kept: list[str] = []
    for text in texts:
        mine: set[str] = set()
        for family, line in _lines(text):
            if family not in known:
                mine.add(family)
                kept.append(line)
        known |= mine
    return "".join(kept)


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Each good line with its family."""
    family = ""
    for line in text.splitlines():
        if head := _HEAD.fullmatch(line):
            family = head[1]
        elif sample := _SAMPLE.fullmatch(line):
            family = _family(sample[1], family)
        else:
            continue
        yield family, f"{line}\n"


def _family(name: str, current: str) -> str:
    return current if name.removeprefix(current) in {"", *_PARTS} and current else name
