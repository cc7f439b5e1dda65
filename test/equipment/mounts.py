"""Mounts below a directory: found in the kernel's list and taken away, deepest first."""

import re
import shutil
import subprocess
from pathlib import Path

_OCTAL = re.compile(r"\\([0-7]{3})")


def mounts_below(directory: Path, table: str | None = None) -> list[Path]:
    """Mount points at or below `directory`, the last mounted first; `table` is text as in /proc/mounts."""
    lines = (table or Path("/proc/self/mounts").read_text()).splitlines()
    points = [Path(_OCTAL.sub(lambda match: chr(int(match[1], 8)), line.split()[1])) for line in lines]
    return [point for point in reversed(points) if point.is_relative_to(directory)]


def unmount_below(directory: Path) -> None:
    """Unmount everything at or below `directory`, also what is in use (it goes when its last user does)."""
    for point in mounts_below(directory):
        subprocess.run(["umount", "--lazy", point], check=True, capture_output=True)


def remove_tree(directory: Path) -> None:
    """Remove a directory and the mounts below it; nothing happens when it does not exist.

    Deleting through an overlooked mount would reach somebody else's files, so what is still mounted is an error.
    """
    unmount_below(directory)
    if left := mounts_below(directory):
        raise RuntimeError(f"still mounted below {directory}: {', '.join(map(str, left))}")
    if directory.exists():
        shutil.rmtree(directory)
