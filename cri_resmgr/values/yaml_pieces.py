"""What YAML is made of: lines with something on them, and single values, plain or in one of two kinds of quotes.

A plain value ends before `: ` and ` #`; between brackets also before any of `,?[]{}`.  Quotes close on their line.
"""

import re
from dataclasses import dataclass

_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_DOCUMENT = re.compile(r"(?:---|\.\.\.)(?: |\Z)|%")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*+)"')
_SINGLE = re.compile(r"'((?:[^']|'')*+)'")
_WORD = r"(?:[^ \t:#]|:(?! |\Z)|(?<! )#)++"
_PLAIN = re.compile(rf"{_WORD}(?: ++{_WORD})*+")
_FLOW_WORD = r"(?:[^ \t:#,?\[\]{}]|:(?![ ,\[\]{}]|\Z)|(?<! )#)++"
_FLOW_PLAIN = re.compile(rf"{_FLOW_WORD}(?: ++{_FLOW_WORD})*+")
_LONE_SIGN = re.compile(r"[-?](?: |\Z)")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))")
_ESCAPED = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_REFUSED = {
    "&": "is an anchor; write the value where it is needed",
    "*": "is an alias; put a text that begins with * in quotes",
    "!": "is a tag; write the value without it",
    "|": "is a text over several lines; write it on one line, in quotes",
    ">": "is a text over several lines; write it on one line, in quotes",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A line without the blanks around it; numbers count from 1."""

    number: int
    indent: int
    text: str


def lines(text: str) -> list[Line]:
    """The lines of a text, empty ones and comments left out. Raises ValueError."""
    found = []
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        content = line.strip(" ")
        if sign := _UNPRINTABLE.search(line):
            raise ValueError(f"line {number}: there is the character {sign[0]!r}; remove it")
        if content.startswith("\t"):
            raise ValueError(f"line {number}: it is indented with a tab; use blanks")
        if _DOCUMENT.match(line):
            raise ValueError(f"line {number}: '{line[:40]}' is about documents; write one, without marks")
        if content and content[0] != "#":
            found.append(Line(number, len(line) - len(line.lstrip(" ")), content))
    return found


def scalar(text: str, column: int, *, in_flow: bool) -> tuple[str, int]:
    """The value that begins at a column, and the column after it. Raises ValueError: `is …`."""
    first = text[column]
    if first in "\"'":
        return _quoted(text, column)
    if first in _REFUSED:
        raise ValueError(_REFUSED[first])
    found = (_FLOW_PLAIN if in_flow else _PLAIN).match(text, column)
    forbidden = ",[]{}#%@`:" if in_flow else ",[]{}#%@`"
    if found is None or first in forbidden or _LONE_SIGN.match(text, column):
        raise ValueError("is no value; put it in quotes, or a value before it")
    return found[0], found.end()


def _quoted(text: str, column: int) -> tuple[str, int]:
    double = text[column] == '"'
    found = (_DOUBLE if double else _SINGLE).match(text, column)
    if found is None:
        raise ValueError("has a quote that is not closed; close it on the same line")
    return _ESCAPE.sub(_unescaped, found[1]) if double else found[1].replace("''", "'"), found.end()


def _unescaped(escape: re.Match[str]) -> str:
    if digits := escape[1] or escape[2]:
        sign = chr(int(digits, 16))
        if "\ud800" <= sign <= "\udfff":
            raise ValueError(f"has {escape[0]}, half a character; write the character itself")
        return sign
    if escape[3] not in _ESCAPED:
        raise ValueError(f"has {escape[0]}, which stands for nothing; double the backslash, or use single quotes")
    return _ESCAPED[escape[3]]
