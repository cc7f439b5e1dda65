"""Sets of CPUs, and of memory nodes, as integers: bit 5 is CPU 5.

`&`, `|`, `& ~` and `.bit_count()` are the set algebra, and a thousand CPUs cost what one costs.  As text they are the
kernel's list format, `0-3,8` (Documentation/admin-guide/cputopology, "bitmap list").
"""

from collections.abc import Iterable, Iterator

LIMIT = 8192  # CONFIG_NR_CPUS of the largest distribution kernels


def parse(text: str) -> int:
    """The set that a list such as `0-3,8` names, `` the empty one. Raises ValueError."""
    found = 0
    for part in text.split(",") if text.strip() else ():
        first, dash, last = part.strip().partition("-")
        low = _number(first, text)
        high = _number(last, text) if dash else low
        if not low <= high < LIMIT:
            raise ValueError(f"'{part.strip()}' is no range: the lower number comes first, both are below {LIMIT}")
        found |= (1 << high + 1) - (1 << low)
    return found


def text(members: int) -> str:
    """The set as a list with ranges; `` if it is empty."""
    parts, start = [], 0
    while members:
        gap = (members & -members).bit_length() - 1
        members >>= gap
        length = (~members & members + 1).bit_length() - 1
        low = start + gap
        parts.append(str(low) if length == 1 else f"{low}-{low + length - 1}")
        members >>= length
        start = low + length
    return ",".join(parts)


def ids(members: int) -> Iterator[int]:
    """The numbers in a set, ascending."""
    while members:
        lowest = members & -members
        yield lowest.bit_length() - 1
        members ^= lowest


def of(numbers: Iterable[int]) -> int:
    """The set of these numbers."""
    found = 0
    for number in numbers:
        found |= 1 << number
    return found


def _number(digits: str, text: str) -> int:
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"'{text}' is no list of numbers; write one such as 0-3,8")
    return int(digits)
