"""The store's place on disk: who may write there, who uses it now, and what becomes of a damaged file.

    <relay-dir>/            0710, made with its parents
        state.db            0600, with state.db-wal and state.db-shm beside it
        state.db.lock       held by the process that uses the store; says its pid
        state.db.corrupt-<UTC stamp>   damaged, moved aside, never deleted by us

What exists may be stricter than these modes but never writable by group or others (core spec §3.1).
"""

import contextlib
import errno
import fcntl
import itertools
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from cri_resmgr.errors import BadInput, Degraded

DIRECTORY_MODE = 0o710
FILE_MODE = 0o600
OTHERS_WRITE = 0o022
COMPANIONS = ("-wal", "-shm")
TROUBLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENFILE, errno.EMFILE, errno.ENOMEM}

log = structlog.get_logger("store")


@dataclass(frozen=True, slots=True)
class Place:
    """A directory that has been checked, locked for this process."""

    path: Path
    lock_fd: int

    def release(self) -> None:
        """Let another process use the store."""
        os.close(self.lock_fd)

    def size_bytes(self) -> int:
        """What the store takes on disk."""
        return _size_bytes(self.path) + self.wal_bytes()

    def wal_bytes(self) -> int:
        """What has been committed since the last checkpoint took effect."""
        return _size_bytes(self.path.with_name(f"{self.path.name}-wal"))

    def move_aside(self, at: datetime) -> Path:
        """Put the damaged file, with its companions, where nobody opens it; returns where the file now is."""
        aside = _unused(self.path.with_name(f"{self.path.name}.corrupt-{at:%Y%m%dT%H%M%SZ}"))
        for suffix in ("", *COMPANIONS):  # SQLite finds companions by name, so the pieces stay openable together
            with _explained(self.path), contextlib.suppress(FileNotFoundError):
                self.path.with_name(self.path.name + suffix).rename(f"{aside}{suffix}")
        return aside

    def make_file(self) -> None:
        """Make the file if it is not there, so that SQLite does not choose its mode."""
        with _explained(self.path):
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE))


def occupy(directory: Path, name: str = "state.db") -> Place:
    """Make or check the directory and lock it.

    Raises `BadInput` for wrong types, modes and owners and for a store in use, `Degraded` when the disk fails.
    """
    path = directory / name
    with _explained(directory):
        _make_directory(directory)
        for suffix in ("", *COMPANIONS):
            _check_file(path.with_name(name + suffix))
        place = Place(path, _lock(path.with_name(f"{name}.lock")))
    try:
        place.make_file()
    except BaseException:
        place.release()
        raise
    return place


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(mode=DIRECTORY_MODE, parents=True)
    except FileExistsError:
        _check(directory, directory.stat().st_mode, right_type=directory.is_dir(), preferred=DIRECTORY_MODE)
    else:
        directory.chmod(DIRECTORY_MODE)  # whatever the umask is


def _check_file(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        mode = path.lstat().st_mode
        _check(path, mode, right_type=stat.S_ISREG(mode), preferred=FILE_MODE)


def _check(path: Path, mode: int, *, right_type: bool, preferred: int) -> None:
    if not right_type:
        wanted = "a directory" if preferred == DIRECTORY_MODE else "a regular file"
        raise BadInput(f"{path} is not {wanted}: move it away, or choose another --relay-dir")
    bits = stat.S_IMODE(mode)
    if bits & OTHERS_WRITE:
        raise BadInput(
            f"{path} has mode {bits:04o}, so others may write there: run 'chmod go-w {path}' if you trust it"
        )
    if bits & ~preferred:
        log.warning("store.mode_is_wide", path=str(path), mode=f"{bits:04o}", preferred=f"{preferred:04o}")


def _lock(path: Path) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError as error:
        pid = os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(fd)
        raise BadInput(f"{path} says that this store is in use by pid {pid}: stop that process first") from error
    except BaseException:
        os.close(fd)
        raise
    return fd


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or path
        if error.errno in TROUBLE:
            raise Degraded(f"the store cannot be used: {where}: {error.strerror}; free space or repair it") from error
        raise BadInput(f"the store cannot be used: {where}: {error.strerror}; choose another --relay-dir") from error


def _unused(path: Path) -> Path:
    candidates = itertools.chain([path], (path.with_name(f"{path.name}.{n}") for n in itertools.count(1)))
    return next(candidate for candidate in candidates if not candidate.exists())


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
