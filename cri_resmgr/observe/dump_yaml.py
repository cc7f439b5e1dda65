"""Plain values as YAML lines: keys sorted, one form for each value, nothing that a terminal could trip over.

The daemon has no YAML library on its run path, and a dump needs no more than this.
"""

import base64
import math
import re
from collections.abc import Iterator, Mapping, Sequence

LIMIT_CHARS = 4096  # of one value; the rest is counted, not shown
KEY_LIMIT_CHARS = 320  # more than any label or annotation may have
_PLAIN = re.compile(r"[A-Za-z_/][\w./@+-]*(?::[\w./@+-]+)*", re.ASCII)
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "null", "none"})


def lines(tree: Mapping[str, object]) -> list[str]:
    """The YAML of `tree`, which may hold mappings, lists, strings, bytes, numbers and booleans."""
    return list(_mapping(tree, "")) if tree else ["{}"]


def escaped(text: str) -> str:
    """`text` with everything that is not printable written as in a YAML string."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in text)


def _mapping(tree: Mapping[str, object], indent: str) -> Iterator[str]:
    for key in sorted(tree):
        value, name = tree[key], _text(key, KEY_LIMIT_CHARS)
        if isinstance(value, Mapping) and value:
            yield f"{indent}{name}:"
            yield from _mapping(value, indent + "  ")
        elif isinstance(value, list) and value:
            yield f"{indent}{name}:"
            yield from _list(value, indent)
        else:
            yield f"{indent}{name}: {_scalar(value)}"


def _list(items: Sequence[object], indent: str) -> Iterator[str]:
    for item in items:
        if isinstance(item, Mapping) and item:
            first, *rest = _mapping(item, indent + "  ")
            yield f"{indent}- {first.lstrip()}"
            yield from rest
        else:
            yield f"{indent}- {_scalar(item)}"


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else f"{'-' if value < 0 else ''}.inf"
    if isinstance(value, bytes):
        value = _decoded(value)
    if isinstance(value, str):
        return _text(value, LIMIT_CHARS)
    if isinstance(value, float):  # YAML 1.1 reads an exponent only behind a point
        mantissa, exponent, power = repr(value).partition("e")
        return repr(value) if not exponent or "." in mantissa else f"{mantissa}.0e{power}"
    return "{}" if isinstance(value, Mapping) else "[]" if isinstance(value, list) else repr(value)


def _decoded(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = "\0"
    return text if text.isprintable() else base64.b64encode(raw).decode()


def _text(text: str, limit: int) -> str:
    if len(text) > limit:
        text = f"{text[:limit]}... and {len(text) - limit} characters more"
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return '"' + escaped(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'
