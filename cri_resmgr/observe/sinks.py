"""Where lines go: a descriptor that is written to without waiting for a reader that does not read.

A stalled journal, terminal or pipe must not stop the node.  A reader that is slow gets `PATIENCE_S` once; after that
lines are dropped until it reads again, and then it is told how many.
"""

import os
import select
import stat
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

PATIENCE_S = 0.1
CHUNK_BYTES = 4096  # PIPE_BUF: what is free when poll says that a pipe can be written


@dataclass(slots=True)
class Sink:
    """A descriptor with what has not been written to it. `prefixed` puts the journal's `<N>` before each line.

    Any thread may write: the dump's own does while the loop logs.
    """

    fd: int
    prefixed: bool = False
    dropped: int = 0
    cut: bool = False  # the last thing written was the beginning of a line
    _poll: select.poll = field(default_factory=select.poll)
    # One event at a time: its lines stay together, and `poll` refuses a second thread. Re-entrant, for the garbage
    # collector may log what it finds in the midst of a line.
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self._poll.register(self.fd, select.POLLOUT)

    def write(self, text: str, priority: int) -> None:
        """Write the lines of one event, or count them as dropped."""
        with self._lock:
            self._attempt(text, priority)

    def _attempt(self, text: str, priority: int) -> None:
        if self.dropped:
            if not self._writable(0):
                self.dropped += 1
                return
            lost, self.dropped = self.dropped, 0
            text = f"[logging] lines.dropped count={lost}\n{text}"
        mark = f"<{priority}>" if self.prefixed else ""
        whole = "".join(f"{mark}{line}\n" for line in text.split("\n")).encode(errors="backslashreplace")
        if self.cut:
            whole, self.cut = b"\n" + whole, False
        self._write(whole)

    def _write(self, whole: bytes) -> None:
        left = memoryview(whole)
        try:
            while left:
                if not self._writable(PATIENCE_S):
                    self.dropped, self.cut = 1, len(left) < len(whole)
                    return
                left = left[os.write(self.fd, left[:CHUNK_BYTES]) :]
        except OSError:  # a full disk, a closed pipe: nobody could be told
            self.dropped += 1

    def _writable(self, patience_s: float) -> bool:
        ready = self._poll.poll(patience_s * 1000)
        return bool(ready and ready[0][1] & select.POLLOUT)


def open_file(path: str) -> int:
    """A descriptor that appends to a file that only we and our group read. Raises OSError."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)


def is_journal(fd: int, environment: Mapping[str, str]) -> bool:
    """Is `fd` the stream that systemd told us about in JOURNAL_STREAM, and not one that it was redirected to?"""
    device, _, inode = environment.get("JOURNAL_STREAM", "").partition(":")
    try:
        found = os.fstat(fd)
    except OSError:
        return False
    return stat.S_ISSOCK(found.st_mode) and (str(found.st_dev), str(found.st_ino)) == (device, inode)
