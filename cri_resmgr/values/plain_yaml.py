"""The part of YAML that people write into annotations, read without a YAML library.

    peter:                               # block mappings and sequences, and flow ones, of which JSON is made
    - match: {key: name, operator: In, values: [sheep, 'wool*']}
      weight: 5

Every scalar is a text, as it stands there: whoever uses a tree knows where a `5` is a number.  What is read here, a
full reader reads likewise; what has no place in an annotation is refused: anchors, aliases, tags, merges, texts over
several lines, several documents, tabs.  So is a key that comes twice.
"""

import re
from collections.abc import Iterator
from typing import TypeAlias

from cri_resmgr.values.yaml_pieces import Line, lines, scalar

LIMIT_CHARS = 16_384  # some ten milliseconds of reading, in the loop where pods wait
LIMIT_DEPTH = 16
LIMIT_KEY_CHARS = 1000  # YAML itself ends near there

Value: TypeAlias = str | list["Value"] | dict[str, "Value"]

_END = re.compile(r"(?: +#.*| *)\Z")
_DASH = re.compile(r"-(?: |\Z)")
_COLON = re.compile(r" *:(?= |\Z)")
_FLOW_COLON = re.compile(r" *:")


def load(text: str) -> Value:
    """The value of a text; "" if there is none. Raises ValueError: which line, what is wrong, what to do."""
    if len(text) > LIMIT_CHARS:
        raise ValueError(f"it has {len(text)} characters; {LIMIT_CHARS} is the limit")
    reader = _Reader(lines(text))
    value = reader.block(0) if reader.indent >= 0 else ""
    if reader.indent >= 0:
        raise reader.wrong("does not belong here; check the indentation")
    return value


class _Reader:
    """A place in the lines; each method reads what begins there and leaves the place behind it."""

    __slots__ = ("_at", "_column", "_lines", "_text")

    def __init__(self, found: list[Line]) -> None:
        self._lines = found
        self._at, self._column, self._text = -1, 0, ""
        self._next_line()

    @property
    def indent(self) -> int:
        """How far right the place is; -1 behind the last line."""
        return self._lines[self._at].indent + self._column if self._at < len(self._lines) else -1

    def wrong(self, what: str) -> ValueError:
        """An error about the place."""
        return ValueError(f"line {self._lines[self._at].number}: '{self._text[self._column :][:40]}' {what}")

    # -- blocks: they end with a line

    def block(self, depth: int) -> Value:
        """The value that begins here."""
        if self._finds(_DASH):
            return self._sequence(depth)
        start = self._column
        value = self._value(depth, in_flow=False)
        if isinstance(value, str) and self._finds(_COLON):
            self._column = start
            return self._mapping(depth)
        self._end_line()
        return value

    def _sequence(self, depth: int) -> list[Value]:
        self._limit(depth)
        indent, items = self.indent, list[Value]()
        while self.indent == indent and self._finds(_DASH):
            self._column += 1
            items.append(self._below(indent, depth) if self._finds(_END) else self._beside(depth))
        return items

    def _mapping(self, depth: int) -> dict[str, Value]:
        self._limit(depth)
        indent, made = self.indent, dict[str, Value]()
        while self.indent == indent and not self._finds(_DASH):
            key = self._key(made, _COLON, in_flow=False)
            if self._finds(_END):
                made[key] = self._below(indent, depth, dash_beside=True)
            else:
                self._skip_blanks()
                made[key] = self._value(depth + 1, in_flow=False)
                self._end_line()
        return made

    def _beside(self, depth: int) -> Value:
        """What follows a dash on its line, and may go on below itself."""
        self._skip_blanks()
        return self.block(depth + 1)

    def _below(self, indent: int, depth: int, *, dash_beside: bool = False) -> Value:
        """What stands on the next lines, further right; a sequence may stand straight below its key."""
        self._next_line()
        if self.indent > indent or (dash_beside and self.indent == indent and self._finds(_DASH)):
            return self.block(depth + 1)
        return ""

    # -- values within a line, or between brackets

    def _value(self, depth: int, *, in_flow: bool) -> Value:
        if self._text[self._column] == "[":
            return [self._value(depth + 1, in_flow=True) for _ in self._entries("]", depth)]
        if self._text[self._column] == "{":
            return self._flow_mapping(depth)
        return self._scalar(in_flow=in_flow)

    def _flow_mapping(self, depth: int) -> dict[str, Value]:
        made: dict[str, Value] = {}
        for _ in self._entries("}", depth):
            key = self._key(made, _FLOW_COLON, in_flow=True)
            self._skip_lines()
            made[key] = "" if self._text[self._column] in ",}" else self._value(depth + 1, in_flow=True)
        return made

    def _entries(self, closing: str, depth: int) -> Iterator[None]:
        """Stop at each entry between brackets."""
        self._limit(depth)
        self._column += 1
        self._skip_lines()
        while self._text[self._column] != closing:
            yield
            self._skip_lines()
            if self._text[self._column] == ",":
                self._column += 1
                self._skip_lines()
            elif self._text[self._column] != closing:
                raise self.wrong(f"stands where , or {closing} is expected")
        self._column += 1

    def _key(self, made: dict[str, Value], colon: re.Pattern[str], *, in_flow: bool) -> str:
        start = self._column
        key = self._scalar(in_flow=in_flow)
        found = colon.match(self._text, self._column)
        if found is None or key in made or key == "<<" or found.end() - start > LIMIT_KEY_CHARS:
            self._column = start
            raise self.wrong("is there already; keep one" if key in made else "is no 'key: value'")
        self._column = found.end()
        return key

    def _scalar(self, *, in_flow: bool) -> str:
        try:
            value, self._column = scalar(self._text, self._column, in_flow=in_flow)
        except ValueError as error:
            raise self.wrong(str(error)) from error
        return value

    # -- moving

    def _finds(self, sign: re.Pattern[str]) -> bool:
        return sign.match(self._text, self._column) is not None

    def _limit(self, depth: int) -> None:
        if depth >= LIMIT_DEPTH:
            raise self.wrong(f"is nested deeper than {LIMIT_DEPTH} levels; make it flatter")

    def _skip_blanks(self) -> None:
        while self._text[self._column] == " ":
            self._column += 1

    def _skip_lines(self) -> None:
        """Go to what comes next between brackets, on a later line if need be."""
        while self._finds(_END):
            if self._at + 1 == len(self._lines):
                raise self.wrong("ends the text between brackets; close them")
            self._next_line()
        self._skip_blanks()

    def _end_line(self) -> None:
        if not self._finds(_END):
            raise self.wrong("does not belong here; put a text with ': ' or special signs in quotes")
        self._next_line()

    def _next_line(self) -> None:
        self._at += 1
        self._column = 0
        self._text = self._lines[self._at].text if self._at < len(self._lines) else ""
