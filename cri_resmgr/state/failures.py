"""What an error of SQLite means for us: the file is damaged, or something around it failed for now.

Only damage may ever cost the file.  A full disk, a lock of another program or a missing permission passes, and the
same write is tried again later.
"""

import sqlite3
from pathlib import Path

from cri_resmgr.errors import Degraded
from cri_resmgr.state.schema import MalformedError

# Primary result codes (the low byte of the extended ones), https://www.sqlite.org/rescode.html
DAMAGE = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_ERROR,  # our statements are fixed, so a table or column is missing
}
REMEDIES = {
    sqlite3.SQLITE_FULL: "free space on its file system",
    sqlite3.SQLITE_READONLY: "remount or repair its file system",
    sqlite3.SQLITE_IOERR: "look for errors of its disk in the kernel's log",
    sqlite3.SQLITE_CANTOPEN: "free space on its file system, check the directory's mode",
    sqlite3.SQLITE_PERM: "check owner and mode",
    sqlite3.SQLITE_BUSY: "end the transaction of the other program that has it open (see 'fuser')",
    sqlite3.SQLITE_LOCKED: "end the transaction of the other program that has it open (see 'fuser')",
}


class CorruptError(Degraded):
    """The file is damaged: it must be moved aside and told everything anew."""


def explained(error: sqlite3.Error | MalformedError, path: Path) -> Degraded:
    """The error to raise instead; a `CorruptError` if the file is damaged."""
    if _is_damage(error):
        return CorruptError(f"the store {path} is damaged ({error}): it is moved aside and rebuilt from the runtime")
    remedy = REMEDIES.get(primary_code(error), "report this with the log")
    return Degraded(f"the store {path} does not work ({error}): {remedy}; nothing is lost, it is tried again")


def primary_code(error: Exception) -> int:
    """SQLite's primary result code; 0 if the error is not SQLite's own."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _is_damage(error: Exception) -> bool:
    code = primary_code(error)
    # Python's module has one such error of its own, for text that is not UTF-8.
    undecodable = isinstance(error, sqlite3.OperationalError) and not code
    return undecodable or code in DAMAGE or isinstance(error, MalformedError)
