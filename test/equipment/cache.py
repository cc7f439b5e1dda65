"""Things that take minutes are made once for each machine and kept: programs, images, root file systems.

An entry is a directory `NAME-KEY` in `${XDG_CACHE_HOME:-~/.cache}/cri-resmgr/`, outside of the checkout, so a fresh
clone finds it.  KEY is a digest of all that it is made from.  It is made aside and renamed when whole: what is there
is complete.  A lock for each NAME makes a second process wait instead of making the same thing again; the kernel
frees it when its holder dies, so no stale lock needs cleaning.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from equipment.progress import progress

UNUSED_S = 30 * 24 * 3600
"""An older entry of the same name goes when nobody has asked for it for that long."""


def directory() -> Path:
    """Where entries live; it exists."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(base) / "cri-resmgr"
    path.mkdir(parents=True, exist_ok=True)
    return path


def key(*parts: str | bytes | Path) -> str:
    """A digest of texts, bytes and files (name and content), in this order."""
    digest = hashlib.sha256()
    for part in parts:
        pieces = [part.name.encode(), part.read_bytes()] if isinstance(part, Path) else [part]
        for piece in pieces:
            data = piece.encode() if isinstance(piece, str) else piece
            digest.update(len(data).to_bytes(8))  # ("ab", "c") is not ("a", "bc")
            digest.update(data)
    return digest.hexdigest()[:16]


def entry(name: str, digest: str, make: Callable[[Path], None], *, about: str) -> Path:
    """The directory `name-digest`; when there is none, `make` fills an empty one, which should take `about` that long.

    An exception of `make` leaves no entry behind.
    """
    place = directory() / f"{name}-{digest}"
    if not place.exists():
        with _locked(name):
            if not place.exists():  # else another process has made it while we waited
                with progress(f"building {name} (about {about})"):
                    _make_whole(place, name, make)
                _remove_unused(name)
    os.utime(place)
    return place


def _make_whole(place: Path, name: str, make: Callable[[Path], None]) -> None:
    # Only the holder of the lock is here, so what lies aside was left by one that died.
    for left in directory().glob(f".{name}-*"):
        shutil.rmtree(left, ignore_errors=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=directory()))
    try:
        make(aside)
        aside.chmod(0o755)
        aside.rename(place)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _remove_unused(name: str) -> None:
    for place in directory().glob(f"{name}-{'[0-9a-f]' * 16}"):
        if time.time() - place.stat().st_mtime > UNUSED_S:
            shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def _locked(name: str) -> Iterator[None]:
    with (directory() / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with progress(f"waiting for another process that builds {name}"):
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield
