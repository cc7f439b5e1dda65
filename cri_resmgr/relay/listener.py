"""The listening socket: always somebody listens, restarts keep it, and it is never taken from a living daemon.

Under systemd the descriptor is handed to the service manager's store and found again at the next start, so that
clients who connect in between wait in the backlog.  A socket does not know the path that it was renamed to, so the
name in the store tells which file it is.  Without a kept socket one is bound aside and renamed over the path.
"""

import contextlib
import fcntl
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from cri_resmgr.errors import BadInput
from cri_resmgr.wire import sockets

log = structlog.get_logger("relay")

BACKLOG = 1024
SOCKET_MODE = 0o660
DIRECTORY_MODE = 0o711


@dataclass(frozen=True, slots=True)
class Listener:
    """A bound socket, the lock that says that it is ours, and the name by which systemd keeps it."""

    path: Path
    socket: socket.socket
    lock: int
    name: str
    inherited: bool

    def close(self, *, unlink: bool) -> None:
        """Listen no more; with `unlink` the path goes as well, if it is still ours."""
        if unlink and _name(self.path) == self.name:
            self.path.unlink(missing_ok=True)
        self.socket.close()
        os.close(self.lock)


def open_listener(path: Path, *, kept: Mapping[str, socket.socket]) -> Listener:
    """Listen on `path`, with the socket that systemd kept for us if it is still the one at the path.

    Raises `BadInput` when the path is something else, or a living process listens there; nothing is changed then.
    """
    _make_directory(path)
    lock = _lock(path)
    try:
        found = kept.get(_name(path) or "")
        listening = found or _bound(path)
    except BaseException:
        os.close(lock)
        raise
    listening.setblocking(False)
    log.info("listener.open", path=str(path), kept=found is not None)
    return Listener(path, listening, lock, _name(path) or "", inherited=found is not None)


def _name(path: Path) -> str | None:
    """Which file is at the path, in letters that systemd allows in a descriptor's name."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return f"relay-{status.st_dev}-{status.st_ino}"


def _make_directory(path: Path) -> None:
    try:
        path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"--relay-socket {path}: cannot use {path.parent}: {error.strerror}; name another place"
        ) from error


def _bound(path: Path) -> socket.socket:
    try:
        sockets.refuse_taken(path)
        return sockets.bind(path, mode=SOCKET_MODE, backlog=BACKLOG)
    except sockets.Taken as taken:
        raise BadInput(f"--relay-socket {path}: {taken}; stop or remove it yourself, or name another path") from taken
    except OSError as error:
        raise BadInput(f"--relay-socket {path}: {error.strerror or error}; name another path") from error


def _lock(path: Path) -> int:
    file = f"{path}.lock"
    try:
        lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise BadInput(f"--relay-socket {path}: {file}: {error.strerror}; remove it, or name another path") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        text = f"--relay-socket {path}: already served by process {owner}; stop it first, or name another path"
        raise BadInput(text) from error
    with contextlib.suppress(OSError):  # the id is for people; a full disk must not keep us from serving
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock
