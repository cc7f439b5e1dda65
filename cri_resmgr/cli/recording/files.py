"""A recording's file: for its owner alone, never one that was there before, whole lines, and not longer than asked."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cri_resmgr.errors import BadInput, Degraded

MODE = 0o600
_END = '{"event":"end"'


@dataclass(slots=True)
class File:
    """`full` from the first line on that did not fit; of those only the one that ends a recording is written."""

    path: Path
    limit_bytes: int
    descriptor: int
    lines: int = 0
    size_bytes: int = 0
    full: bool = False

    @classmethod
    def begun(cls, path: Path, *, limit_bytes: int) -> "File":
        """A new one. Raises BadInput."""
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            return cls(path, limit_bytes, os.open(path, flags, MODE))
        except FileExistsError as error:
            raise BadInput(f"{path} is there already; name a file that is not, or remove it") from error
        except OSError as error:
            raise BadInput(f"{path}: {error.strerror}; name a file in a directory that can be written to") from error

    def write(self, lines: Iterable[str]) -> None:
        """Add the lines. Raises Degraded for a disk that does not take them."""
        text = "".join(f"{line}\n" for line in lines if self._fits(line)).encode()
        try:
            while text:
                text = text[os.write(self.descriptor, text) :]
        except OSError as error:
            text_ = f"{self.path}: {error.strerror}; what is in it can be replayed, what came after is lost"
            raise Degraded(text_) from error

    def close(self) -> None:
        """It is as long as it will be."""
        os.close(self.descriptor)

    def unmade(self) -> None:
        """There was nothing to keep."""
        self.close()
        self.path.unlink(missing_ok=True)

    def _fits(self, line: str) -> bool:
        size_bytes = len(line) + 1  # lines are ASCII
        self.full = self.full or self.size_bytes + size_bytes > self.limit_bytes
        if self.full and not line.startswith(_END):
            return False
        self.lines += 1
        self.size_bytes += size_bytes
        return True
