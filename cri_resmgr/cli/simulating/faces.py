"""What a terminal can show: colour where there is one, plain ASCII where there is nothing else.

A character of the picture is first put down as a stand-in from Unicode's private area, so that layout may count
columns; it gets its colour when the line is finished.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

from cri_resmgr.cli.simulating import occupying

_STAND_IN = 0xE000
_RED, _GREEN, _YELLOW, _BOLD, _DIM = "31", "32", "33", "1", "2"
_OWNERS = ("1;36", "1;35", "1;34", "1;32", "1;33")
_ASCII = str.maketrans("┌┐└┘─│·→", "++++-|.>")


@dataclass(frozen=True, slots=True)
class Faces:
    """How one output shows things."""

    coloured: bool
    ascii: bool

    def bad(self, text: str) -> str:
        """What is wrong."""
        return self._painted(text, _RED)

    def new(self, text: str) -> str:
        """What has come."""
        return self._painted(text, _GREEN)

    def changed(self, text: str) -> str:
        """What is not as it was."""
        return self._painted(text, _YELLOW)

    def strong(self, text: str) -> str:
        """What a reader looks for."""
        return self._painted(text, _BOLD)

    def faint(self, text: str) -> str:
        """What a reader may skip."""
        return self._painted(text, _DIM)

    def mark(self, mark: str) -> str:
        """A mark in the drawing, one column wide."""
        return chr(_STAND_IN + ord(mark)) if self.coloured else mark

    def finished(self, line: str) -> str:
        """The line as it is written."""
        if self.coloured:
            line = "".join(self._finished_mark(c) if _is_stand_in(c) else c for c in line)
        return line.translate(_ASCII) if self.ascii else line

    def _finished_mark(self, stand_in: str) -> str:
        mark = chr(ord(stand_in) - _STAND_IN)
        return self._painted(mark, _paint(mark))

    def _painted(self, text: str, paint: str) -> str:
        return f"\033[{paint}m{text}\033[0m" if self.coloured and text else text


def of(output: TextIO, environment: Mapping[str, str]) -> Faces:
    """The faces for an output; NO_COLOR and a dumb terminal have none."""
    coloured = output.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
    return Faces(coloured, ascii=not (output.encoding or "").lower().startswith("utf"))


def _is_stand_in(character: str) -> bool:
    return _STAND_IN <= ord(character) < _STAND_IN + 0x100


def _paint(mark: str) -> str:
    if mark == occupying.CONFLICT:
        return _RED
    if mark in occupying.LETTERS:
        return _OWNERS[occupying.LETTERS.index(mark) % len(_OWNERS)]
    return "0" if mark.isdecimal() or mark == occupying.MANY else _DIM
