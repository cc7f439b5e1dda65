"""What is at a path, put there whole, and put back byte for byte.

Nobody ever sees half of something: it is made aside, synced and renamed.  An aside that a crash left has a fixed name
and goes with the next change of its path.
"""

import base64
import contextlib
import os
import shutil
import stat
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

ASIDE = ".cri-resmgr-new"


@dataclass(frozen=True, slots=True)
class Found:
    """What was at a path: `kind` is absent, file, link, directory or other; a directory's inside is not kept."""

    kind: str
    mode: int = 0
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    content: bytes = b""
    target: str = ""

    def as_json(self) -> dict[str, Any]:
        """For the journal."""
        return {**asdict(self), "content": base64.b64encode(self.content).decode()}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Found":
        """What `as_json` gave."""
        return cls(**{**fields, "content": base64.b64decode(fields["content"])})


ABSENT = Found("absent")


def look(path: Path) -> Found:
    """What is there now; links are not followed."""
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    found = Found("other", stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, status.st_mtime_ns)
    if stat.S_ISLNK(status.st_mode):
        return replace(found, kind="link", target=str(path.readlink()))
    if stat.S_ISREG(status.st_mode):
        return replace(found, kind="file", content=path.read_bytes())
    return replace(found, kind="directory") if stat.S_ISDIR(status.st_mode) else found


def put_file(path: Path, content: bytes, *, mode: int) -> None:
    """A regular file, replaced as a whole."""
    aside = _aside(path)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb") as out:  # noqa: PTH123 - a descriptor, not a path
        out.write(content)
        out.flush()
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    _rename(aside, path)


def put_link(path: Path, target: str) -> None:
    """A symbolic link, replaced as a whole."""
    aside = _aside(path)
    aside.symlink_to(target)
    _rename(aside, path)


def put_directory(path: Path, *, mode: int) -> None:
    """An empty directory where nothing is."""
    path.mkdir(mode=mode)
    if stat.S_IMODE(path.stat().st_mode) != mode:  # an unusual umask
        path.chmod(mode)
    sync_directory(path.parent)


def put_tree(path: Path, source: Path) -> None:
    """A copy of a whole tree, replaced as a whole; modes and times are the source's, the owner is root."""
    aside = _aside(path)
    shutil.copytree(source, aside, symlinks=True)
    os.sync()
    if path.is_dir():
        shutil.rmtree(path)
    _rename(aside, path)


def first_cause(error: OSError) -> str:
    """What went wrong first: a copy of a tree goes on after an error, and then has one for each file."""
    if isinstance(error, shutil.Error):
        source, _, cause = error.args[0][0]
        return f"{source}: {cause}"
    return str(error)


def remove(path: Path, *, whole: bool = False) -> None:
    """Take away a file, a link, or a directory that is empty; with `whole` a directory whatever is in it."""
    _aside(path)
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
    elif whole:
        shutil.rmtree(path)
    else:
        # What somebody else has put there since is not ours to lose.
        with contextlib.suppress(OSError):
            path.rmdir()
    if path.parent.is_dir():
        sync_directory(path.parent)


def put_back(path: Path, before: Found, *, whole: bool = False) -> None:
    """Make it what it was: content or target, mode, owner, time of change."""
    _aside(path)
    if before.kind == "directory" or look(path) == before:
        return None
    if before.kind in {"absent", "other"}:
        return remove(path, whole=whole)
    if before.kind == "file":
        put_file(path, before.content, mode=before.mode)
    else:
        put_link(path, before.target)
    os.chown(path, before.uid, before.gid, follow_symlinks=False)
    if before.kind == "file":
        path.chmod(before.mode)  # a change of owner clears set-id bits
    os.utime(path, ns=(before.mtime_ns, before.mtime_ns), follow_symlinks=False)
    return None


def sync_directory(path: Path) -> None:
    """What was renamed there stays renamed after a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def inside(root: Path, path: str) -> Path:
    """Where a path of the host is below `root`, which is its mounted root: absolute links stay inside."""
    at, rest, hops = root, [part for part in path.split("/") if part], 0
    while rest:
        part, *rest = rest
        if part == "..":
            at = at if at == root else at.parent
        elif rest and (link := at / part).is_symlink() and hops < 40:  # noqa: PLR2004 - the kernel's limit
            target, hops = str(link.readlink()), hops + 1
            at = root if target.startswith("/") else at
            rest = [piece for piece in target.split("/") if piece not in {"", "."}] + rest
        else:
            at /= part
    return at


def _aside(path: Path) -> Path:
    """The name next to it for what is being made; whatever a crash left there goes."""
    aside = path.with_name(f".{path.name}{ASIDE}")
    if aside.is_dir() and not aside.is_symlink():
        shutil.rmtree(aside)
    else:
        aside.unlink(missing_ok=True)
    return aside


def _rename(aside: Path, path: Path) -> None:
    aside.rename(path)
    sync_directory(path.parent)
