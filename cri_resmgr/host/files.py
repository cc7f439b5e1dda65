"""The kernel's small files: one value each, and an error that names the file and what should stand in it.

A file that must be there raises BadInput when it is not; one with a default need not.  Either way, what is in it must
make sense.
"""

import os

from cri_resmgr.errors import BadInput
from cri_resmgr.values import cpusets

LIST = "a list such as 0-3,8"
NUMBER = "a whole number"
_LARGEST = 1 << 16  # sysfs gives a page at most, /proc/meminfo half of one


def text(path: str) -> str | None:
    """What stands in a file, without white space around it; None if it is not there, or not to be read now."""
    try:
        return _read(path)
    except OSError:
        return None


def required(path: str, expected: str) -> str:
    """The same of a file that must be there. Raises BadInput."""
    try:
        return _read(path)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; expected {expected}") from error


def number(path: str, *, default: int | None = None) -> int:
    """The number in a file. Raises BadInput."""
    found = required(path, NUMBER) if default is None else text(path)
    if found is None and default is not None:
        return default
    try:
        return int(found or "")
    except ValueError as error:
        raise BadInput(f"{path}: '{found}'; expected {NUMBER}") from error


def members(path: str, *, default: int | None = None) -> int:
    """The set that a file lists. Raises BadInput."""
    found = required(path, LIST) if default is None else text(path)
    if found is None and default is not None:
        return default
    try:
        return cpusets.parse(found or "")
    except ValueError as error:
        raise BadInput(f"{path}: '{found}'; expected {LIST}") from error


def numbered(directory: str, prefix: str) -> int:
    """The set of n for which there is an entry `prefix`n in a directory, empty if there is no directory."""
    try:
        with os.scandir(directory) as entries:
            rests = [entry.name.removeprefix(prefix) for entry in entries if entry.name.startswith(prefix)]
    except OSError:
        return 0
    return cpusets.of(int(rest) for rest in rests if rest.isdecimal() and int(rest) < cpusets.LIMIT)


def _read(path: str) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # a third of what open() costs, and there are thousands
    try:
        return os.read(descriptor, _LARGEST).decode(errors="replace").strip()
    finally:
        os.close(descriptor)
