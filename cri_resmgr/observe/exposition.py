"""Prometheus' text format 0.0.4, written line by line.

The client library takes 45 ms for the thousand lines of an ordinary scrape, and 50 ms more to be imported, while every
call of the node waits: it copies, sorts and escapes each label of each line.  The format is small, so we write it;
the library's parser is the oracle in the tests.

Labels are escaped once for all lines of a method and passed around as text: `service="…",method="…"`.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})


def head(name: str, kind: str, text: str) -> str:
    """The two lines that begin a metric; `kind` is counter, gauge or histogram."""
    return f"# HELP {name} {text.translate(_HELP_ESCAPES)}\n# TYPE {name} {kind}\n"


def labels(**values: str) -> str:
    """Label pairs as `sample` and `histogram` want them."""
    return ",".join(f'{name}="{_utf8(value).translate(_ESCAPES)}"' for name, value in values.items())


def sample(name: str, value: float, pairs: str = "") -> str:
    """One line."""
    return f"{name}{{{pairs}}} {+value}\n" if pairs else f"{name} {+value}\n"  # + makes a number of a bool


def histogram(name: str, pairs: str, *, bounds: Sequence[str], counts: Sequence[int], total: float) -> Iterator[str]:
    """The lines of one histogram; `counts` are of each bucket alone, the last one beyond all bounds."""
    reached = 0
    for bound, reached in zip(bounds, accumulate(counts), strict=True):
        yield f'{name}_bucket{{{pairs},le="{bound}"}} {reached}\n'
    yield f"{name}_count{{{pairs}}} {reached}\n{name}_sum{{{pairs}}} {total}\n"


def _utf8(value: str) -> str:
    # A client may call its method anything; one scrape must not fail for it.
    return value.encode("utf-8", "backslashreplace").decode()
