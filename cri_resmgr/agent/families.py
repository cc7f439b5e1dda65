"""Several texts of Prometheus' format as one: no family twice, and nothing that a scrape would fail for.

A family is its HELP and TYPE lines with the samples after them.  The format wants each once and in one piece, so of two
of a name the first one stays.  A line that is none is left out: one bad writer must not cost everybody's metrics.
"""

import re
from collections.abc import Iterable, Iterator

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_HEAD = re.compile(rf"# (HELP|TYPE) ({_NAME}) (.*)")
_LABELS = r'\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\]|\\["\\n])*",?)*\}'
_SAMPLE = re.compile(rf"({_NAME})(?:{_LABELS})? (?:[-+]?(?:[0-9.]+(?:[eE][-+]?[0-9]+)?|Inf)|NaN)(?: -?[0-9]+)?")
_PARTS = ("_bucket", "_sum", "_count")
_OF_PARTS = ("histogram", "summary")


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
    family, parts = "", tuple[str, ...]()
    for line in text.splitlines():
        if head := _HEAD.fullmatch(line):
            word, name, said = head.groups()
            if name != family:
                family, parts = name, ()
            if word == "TYPE" and said in _OF_PARTS:
                parts = _PARTS
        elif sample := _SAMPLE.fullmatch(line):
            if sample[1] not in {family, *(family + part for part in parts)}:
                family, parts = sample[1], ()
        else:
            continue
        yield family, f"{line}\n"
