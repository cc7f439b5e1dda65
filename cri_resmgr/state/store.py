"""The store: what the ledger holds, in SQLite, so that it survives `kill -9` at any instruction.

One row a container and one a pod; a write tells only what changed, in one transaction.  In WAL mode with
synchronous=NORMAL a commit goes to the page cache and waits for no disk: a crash of the daemon loses nothing, a crash
of the machine perhaps the last moments, which reconciling with the runtime covers.  The disk is waited for by
checkpoints only, and `checkpoint` makes them elsewhere.

A damaged file is moved aside, never deleted, and `rebuilt` tells the manager to learn from the runtime what runs.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import structlog

from cri_resmgr.state import rows, schema
from cri_resmgr.state.connecting import connect, prepare, roll_back
from cri_resmgr.state.failures import CorruptError, explained
from cri_resmgr.state.files import Place, occupy
from cri_resmgr.state.ledger import Changes
from cri_resmgr.values.workloads import Container, Pod

NO_VALUES: Mapping[str, str] = MappingProxyType({})

log = structlog.get_logger("store")


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Store:
    """The file, locked for this process.  Make one with `open`; belongs to the event loop."""

    __slots__ = ("_connection", "_now", "_place", "rebuilt")

    def __init__(self, place: Place, *, now: Callable[[], datetime] = _utc_now) -> None:
        self._place = place
        self._now = now
        self._connection: sqlite3.Connection | None = None
        self.rebuilt = False  # what the ledger must know has been lost and has to come from the runtime

    @classmethod
    def open(cls, directory: Path, *, now: Callable[[], datetime] = _utc_now) -> "Store":
        """Open `state.db` in `directory`, made or migrated where necessary.

        Raises `BadInput` for a place that cannot be used, a store in use and one of a newer version, and `Degraded`
        when the disk does not let us; neither changes anything.
        """
        store = cls(occupy(directory), now=now)
        try:
            store._open()
        except BaseException:
            store.close()
            raise
        return store

    @property
    def path(self) -> Path:
        """The database; SQLite keeps `-wal` and `-shm` beside it."""
        return self._place.path

    @property
    def size_bytes(self) -> int:
        """What the store takes on disk."""
        return self._place.size_bytes()

    @property
    def wal_bytes(self) -> int:
        """What of it is write-ahead log, which a checkpoint empties."""
        return self._place.wal_bytes()

    def load(self) -> tuple[tuple[Pod, ...], tuple[Container, ...]]:
        """Everything that is stored; nothing, with `rebuilt` set, if it turns out to be damaged."""
        try:
            with self._working() as connection:
                return rows.read_pods(connection), rows.read_containers(connection)
        except CorruptError as error:
            self.start_anew(error)
            return (), ()

    def write(self, changes: Changes, values: Mapping[str, str] = NO_VALUES) -> None:
        """Commit the changes, and values beside the ledger, all or none.

        Raises `Degraded`, or `CorruptError` if `start_anew` is needed.
        """
        _check_keys(values)
        with self._working() as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
                rows.write_pods(connection, changes.pods)
                rows.write_containers(connection, changes.containers)
                connection.executemany(schema.PUT_META, values.items())
                connection.execute("COMMIT")
            finally:
                roll_back(connection)

    def get(self, key: str) -> str | None:
        """A value that was set, None if it never was."""
        with self._working() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def set(self, key: str, value: str) -> None:
        """Remember a value beside the ledger, at once.  Raises `Degraded`."""
        _check_keys((key,))
        with self._working() as connection:
            connection.execute(schema.PUT_META, (key, value))

    def start_anew(self, why: CorruptError) -> None:
        """Move the damaged file aside and go on with an empty one.

        Raises `Degraded` if the disk does not let us; the next use tries again.
        """
        try:
            aside = self._place.move_aside(self._now())
        finally:  # after it: SQLite leaves a file that has moved as it is, else it would fold the log in
            self._disconnect()
        log.error("store.corrupt", path=str(self.path), moved_to=str(aside), error=str(why))
        self.rebuilt = True
        self._connect()

    def close(self) -> None:
        """Fold the log into the database and let another process use the store."""
        self._disconnect()
        self._place.release()

    def _open(self) -> None:
        try:
            self._connect()
        except CorruptError as error:
            self.start_anew(error)

    def _connect(self) -> sqlite3.Connection:
        self._place.make_file()
        self._connection = connect(self.path)
        try:
            prepare(self._connection, self.path)
        except CorruptError:
            raise  # with the connection open, which `start_anew` wants
        except BaseException:
            self._disconnect()
            raise
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _working(self) -> Iterator[sqlite3.Connection]:
        # Without a connection, an earlier attempt to start anew has met a full disk.
        connection = self._connection or self._connect()
        try:
            yield connection
        except (sqlite3.Error, schema.MalformedError) as error:
            raise explained(error, self.path) from error


def _check_keys(keys: Iterable[str]) -> None:
    if schema.VERSION_KEY in keys:
        raise ValueError(f"{schema.VERSION_KEY} belongs to the schema: choose another key")
