"""The connection of the store's one writer: checked, migrated, and set so that a commit never waits for the disk."""

import contextlib
import sqlite3
from pathlib import Path

from cri_resmgr.errors import BadInput
from cri_resmgr.state import schema
from cri_resmgr.state.failures import explained, primary_code

OPENING_BUSY_MS = 1000  # another program may be reading just now
CACHE_KIB = 512
# A row takes about 1.3 KiB and a commit writes whole pages: measured, 10 instead of 25 KiB of log for a container.
PAGE_BYTES = 1024

SETTINGS = (
    "PRAGMA synchronous = NORMAL",
    "PRAGMA wal_autocheckpoint = 0",  # checkpoints wait for the disk: `checkpoint` makes them in a thread
    "PRAGMA busy_timeout = 0",  # the event loop waits for nobody: a write that finds a lock is tried again later
    f"PRAGMA cache_size = -{CACHE_KIB}",
    "PRAGMA temp_store = MEMORY",
)


def connect(path: Path) -> sqlite3.Connection:
    """Open the file at `path` without looking into it; `prepare` must follow."""
    try:
        return sqlite3.connect(path, timeout=OPENING_BUSY_MS / 1000, isolation_level=None)
    except sqlite3.Error as error:
        raise explained(error, path) from error


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Check the file, bring it to our schema version and set the connection up.

    Raises `BadInput` for a newer version or a lock of another program, `CorruptError` for damage, else `Degraded`.
    """
    try:
        _check(connection, path)
        for setting in SETTINGS:
            connection.execute(setting)
    except (sqlite3.Error, schema.MalformedError) as error:
        roll_back(connection)
        raise _refusal(error, path) from error


def roll_back(connection: sqlite3.Connection) -> None:
    """Leave no transaction open; SQLite has already ended some of those that failed."""
    if connection.in_transaction:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")


def _check(connection: sqlite3.Connection, path: Path) -> None:
    # Nothing may be written before the version is known to be ours.
    found = schema.version(connection)
    if found > len(schema.MIGRATIONS):
        raise BadInput(
            f"the store {path} has schema version {found}, this program knows versions up to {len(schema.MIGRATIONS)}: "
            f"install the version that wrote it, or move {path} away to rebuild it from the runtime"
        )
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise schema.MalformedError(verdict)
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")  # of a new file
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise BadInput(f"the store {path} needs a local file system with shared memory: choose another --relay-dir")
    if found < len(schema.MIGRATIONS):
        schema.migrate(connection, found=found, migrations=schema.MIGRATIONS)


def _refusal(error: sqlite3.Error | schema.MalformedError, path: Path) -> Exception:
    if primary_code(error) == sqlite3.SQLITE_BUSY:
        return BadInput(f"the store {path} is in use by another program: find it with 'fuser {path}' and end it")
    return explained(error, path)
