"""What the doctor has to say, one sentence about one thing."""

from dataclasses import dataclass
from enum import StrEnum


class Grade(StrEnum):
    """How bad it is; only WRONG makes the command fail."""

    WELL = "well"
    WARNING = "warning"
    WRONG = "wrong"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """`about` is a word or two; `remedy` is empty when there is nothing to do."""

    about: str
    grade: Grade
    text: str
    remedy: str = ""


def well(about: str, text: str) -> Finding:
    """All is as it should be."""
    return Finding(about, Grade.WELL, text)


def wrong(about: str, text: str, remedy: str) -> Finding:
    """Something is broken."""
    return Finding(about, Grade.WRONG, text, remedy)


def warning(about: str, text: str, remedy: str) -> Finding:
    """Something will surprise somebody."""
    return Finding(about, Grade.WARNING, text, remedy)


def unknown(about: str, text: str) -> Finding:
    """It cannot be told here."""
    return Finding(about, Grade.UNKNOWN, text)
