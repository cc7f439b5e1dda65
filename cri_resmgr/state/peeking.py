"""Values beside the ledger, read before the store is opened: without its lock, and without a trace.

For what a daemon must know before it may change anything.  Advice: whatever is wrong with the file, opening it says
so later, and until then there is nothing in it.
"""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import structlog

NAME = "state.db"
_PATIENCE_S = 2.0

log = structlog.get_logger("store")


def values(directory: Path, keys: Sequence[str]) -> dict[str, str]:
    """The values of these keys in the store of a directory, those that are not "" and can be read."""
    path = directory / NAME
    if not path.exists():
        return {}
    # SQLite makes a log and its index even for a reader; where there is none nobody writes, and none is needed.
    alone = not path.with_name(f"{NAME}-wal").exists()
    uri = f"file:{quote(os.fspath(path))}?mode=ro{'&immutable=1' if alone else ''}"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=_PATIENCE_S)) as connection:
            found = [connection.execute("SELECT key, value FROM meta WHERE key = ?", (key,)).fetchone() for key in keys]
    except (OSError, sqlite3.Error) as error:
        log.warning("store.unread", path=str(path), error=str(error))
        return {}
    return {row[0]: row[1] for row in found if row and isinstance(row[1], str) and row[1]}
