"""A first look at configuration text, before anything is made of it: is it YAML, and not too much of it?

It goes through the events of the parser one by one, so that a text costs no memory and little time until its size is
known.  Aliases are not followed here: who follows them counts again.
"""

import yaml

from cri_resmgr.config.problems import UNKNOWN, Line, Problem

LIMIT_BYTES = 1 << 20
LIMIT_DEPTH = 32

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_REMEDIES = (
    ("alias", "a word that starts with * needs quotes, as in Debug: '*'"),
    ("cannot start any token", "quote the value; indent with blanks, not tabs"),
    ("mapping values are not allowed", "a value with ': ' in it needs quotes"),
    ("expected a single document", "write one document only, without --- in between"),
)


class TooMuch(Exception):  # noqa: N818 - ends the reading of a text, and is told as a problem of it
    """The text is larger or deeper than it may be; the message says what, and what to do."""


def scan(text: str, *, limit_nodes: int) -> None:
    """Nothing if the text may be read. Raises TooMuch and YAMLError."""
    if len(text) > LIMIT_BYTES or len(text.encode()) > LIMIT_BYTES:
        raise TooMuch(f"is larger than {LIMIT_BYTES} bytes; make it smaller")
    nodes = depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        if isinstance(event, yaml.NodeEvent):
            nodes += 1
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        check(nodes, depth, limit_nodes=limit_nodes)


def check(nodes: int, depth: int, *, limit_nodes: int) -> None:
    """Nothing if so many values, nested so deep, may be. Raises TooMuch."""
    if nodes > limit_nodes:
        raise TooMuch(f"has more than {limit_nodes} values with its aliases followed; make it smaller")
    if depth > LIMIT_DEPTH:
        raise TooMuch(f"is nested deeper than {LIMIT_DEPTH} levels; make it flatter")


def problem(error: yaml.YAMLError, *, where: str, text: str) -> Problem:
    """Why a text is no YAML; `text` is its name if there are several."""
    mark = getattr(error, "problem_mark", None)
    said = " ".join(filter(None, (getattr(error, "context", None), getattr(error, "problem", None)))) or str(error)
    remedy = next((remedy for sign, remedy in _REMEDIES if sign in said), "correct the line or the one before it")
    return Problem(where, f"not YAML: {said}; {remedy}", Line(text, mark.line + 1) if mark else UNKNOWN)
