"""Writes a message dump to the log and, if asked, to a file, at its own pace.

A thread of its own: rendering a message takes longer than relaying it, and a log or a disk may stall.  What the
calls hand over is bounded in number and in bytes; beyond that entries are dropped and counted, never waited for.
Each counter has one writer, so none needs a lock.
"""

import contextlib
import errno
import os
import queue
import stat
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from structlog.typing import FilteringBoundLogger

from cri_resmgr.observe.dump_entries import Entry

LIMIT_ENTRIES = 4096
LIMIT_BYTES = 8 << 20
FILE_LIMIT_BYTES = 128 << 20  # then the file becomes FILE.1 and a new one is begun


@dataclass(frozen=True, slots=True)
class Target:
    """Where a dump goes from now on: the log, at info or debug level, and a file unless it is ""."""

    file: str = ""
    debug: bool = False


class Writer:
    """Takes entries from any one thread; `close` waits for what was taken, but not for long."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self.dropped = 0
        self._log = log
        self._queue: queue.SimpleQueue[Entry | Target | None] = queue.SimpleQueue()
        self._taken = self._taken_bytes = 0  # written by whoever calls `put`
        self._done = self._done_bytes = 0  # written by the thread
        self._file: TextIO | None = None
        self._target = Target()
        self._reported = 0
        self._thread: threading.Thread | None = None

    def put(self, entry: Entry) -> None:
        """Hand over an entry; when too much is waiting it is dropped and counted."""
        size_bytes = len(entry.raw or b"")
        if self._taken - self._done >= LIMIT_ENTRIES or self._taken_bytes - self._done_bytes + size_bytes > LIMIT_BYTES:
            self.dropped += 1
            return
        if self._thread is None:
            self._start()
        self._taken += 1
        self._taken_bytes += size_bytes
        self._queue.put(entry)

    def direct(self, target: Target) -> None:
        """Send what is put from now on to `target`; a file that was not in use until now is begun anew."""
        self._queue.put(target)
        if target.file and self._thread is None:
            self._start()

    def close(self, deadline_s: float = 2.0) -> None:
        """Write what is waiting and end; give up after `deadline_s`."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(deadline_s)

    def _start(self) -> None:
        # A daemon: a sink that stalls for ever must not keep the process.
        self._thread = threading.Thread(target=self._run, name="message-dump", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            # Whatever a message or a sink does, the next one is written.
            try:
                self._take(item)
            except Exception as error:  # noqa: BLE001
                with contextlib.suppress(Exception):
                    self._log.error("dump.failed", error=repr(error))
        with contextlib.suppress(Exception):
            self._report()
        self._close_file()

    def _take(self, item: Entry | Target) -> None:
        if isinstance(item, Target):
            self._turn_to(item)
            return
        try:
            self._write(item)
        finally:
            self._done += 1
            self._done_bytes += len(item.raw or b"")
        if self._queue.empty():
            self._report()

    def _turn_to(self, target: Target) -> None:
        stays = self._file is not None and target.file == self._target.file
        if not stays:
            self._close_file()
        self._target = target
        if not stays:
            self._open_file()

    def _write(self, entry: Entry) -> None:
        lines = entry.lines()
        log = self._log.debug if self._target.debug else self._log.info
        if entry.warning:
            log = self._log.warning
        for line in lines:
            log(line)
        if self._file is not None:
            self._copy(self._file, "".join(f"[{entry.stamp()}] {line}\n" for line in lines))

    def _copy(self, file: TextIO, text: str) -> None:
        try:
            file.write(text)
            file.flush()
            if file.tell() > FILE_LIMIT_BYTES:
                Path(self._target.file).replace(f"{self._target.file}.1")
                self._close_file()
                self._open_file()
        except OSError as error:
            self._give_up_file(error)

    def _open_file(self) -> None:
        if self._target.file:
            try:
                self._file = _begun(self._target.file)
            except OSError as error:
                self._give_up_file(error)

    def _give_up_file(self, error: OSError) -> None:
        self._log.warning(
            "dump.file_failed",
            file=self._target.file,
            error=str(error),
            remedy="dumps go to the log only; give dump.File a path of a regular file that can be written",
        )
        self._close_file()

    def _close_file(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError as error:
                self._log.warning("dump.file_incomplete", file=self._target.file, error=str(error))

    def _report(self) -> None:
        if (dropped := self.dropped) != self._reported:
            self._log.warning(
                "dump.dropped",
                messages=dropped - self._reported,
                remedy="the log or the file is too slow for this dump; narrow dump.Config",
            )
            self._reported = dropped


def _begun(path: str) -> TextIO:
    """An empty file for root only: messages tell about workloads. No link that somebody else has laid is followed."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    file = os.fdopen(descriptor, "w", encoding="utf-8")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "not a regular file", path)
    file.truncate(0)
    return file
