"""Emptying the store's log without making anybody wait for the disk.

A checkpoint copies the log into the database and syncs both; the first commit after it begins the log anew and syncs
its header.  All of that happens in a thread, on a connection of its own, in two steps:

1. copy back (PASSIVE): the writer goes on; on a slow disk this takes as long as it takes;
2. restart: the writer pauses, the little that came since is copied, and a small commit begins the log anew.

Without the second step the syncing of the header would fall to the event loop, and a log that is written to all the
time would never become short.  While it lasts, `paused` is true; a commit that cannot wait is late, never lost.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import structlog

LIMIT_BYTES = 8 << 20
BUSY_S = 1.0
PAUSE_DEADLINE_S = 1.0

log = structlog.get_logger("store")


class Checkpointer:
    """Starts a checkpoint when the log has passed `limit_bytes`; at most one runs."""

    __slots__ = ("_limit_bytes", "_next_bytes", "_path", "_resumed", "_task")

    def __init__(self, path: Path, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self._path = path
        self._limit_bytes = self._next_bytes = limit_bytes
        self._task: asyncio.Task[None] | None = None
        self._resumed = asyncio.Event()
        self._resumed.set()

    @property
    def running(self) -> bool:
        """Whether a checkpoint is being made."""
        return self._task is not None

    @property
    def paused(self) -> bool:
        """Whether the writer must wait."""
        return not self._resumed.is_set()

    def grown(self, log_bytes: int) -> None:
        """The log has this size now."""
        if log_bytes >= self._next_bytes and self._task is None:
            self._task = asyncio.create_task(self._checkpoint(), name="store.checkpoint")

    async def resumed(self) -> bool:
        """Wait while paused; False if that takes too long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._resumed.wait(), PAUSE_DEADLINE_S)
        return not self.paused

    async def finish(self) -> None:
        """Wait for a running checkpoint.  A thread cannot be cancelled, so this has no deadline of its own."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def _checkpoint(self) -> None:
        try:
            await asyncio.to_thread(copy_back, self._path)
            self._resumed.clear()
            log_bytes = await asyncio.to_thread(restart, self._path)
            # A reader elsewhere may have kept the log from being restarted: then wait until it has grown again.
            self._next_bytes = log_bytes + self._limit_bytes
        except sqlite3.Error as error:
            log.warning("store.checkpoint_failed", path=str(self._path), error=str(error))
        finally:
            self._resumed.set()
            self._task = None


def copy_back(path: Path) -> None:
    """Copy into the database what the log holds, beside the writer."""
    with _connection(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


def restart(path: Path) -> int:
    """Copy the rest and begin the log anew, with the writer paused; returns the log's size."""
    with _connection(path) as connection:
        connection.execute("PRAGMA journal_size_limit = 0")
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        # SQLite writes nothing for a value that does not change.
        connection.execute("REPLACE INTO meta (key, value) VALUES ('log_restarted_at', strftime('%Y-%m-%dT%H:%M:%fZ'))")
    return path.with_name(f"{path.name}-wal").stat().st_size


@contextlib.contextmanager
def _connection(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        yield connection
