"""What a container may know about its own CPUs: `/.cri-resmgr/resources.sh`, for programs that pin their threads.

    mount = exporter.mount_for(container, policy.exports(container))  # at CreateContainer; None for no file
    exporter.changed(container, policy.exports(container))            # whenever its holding may have changed
    exporter.gone(container)                                          # it is removed, or was never made
    exporter.sweep(ledger.containers)                                 # once at start
    await exporter.close()                                            # at the end

Each container has a directory of its own below `<relay-dir>/containers`, which is bind-mounted, so that a new file may
take the place of the old one under a reader's eyes: never half a file.  A container that got no file when it was made
gets none later, since nothing can be mounted into it any more.

One decision may change the files of hundreds, and a disk takes a millisecond for each: only the first file of a
container is waited for, all else is done in a thread, the last of several changes only.  The files are a courtesy: what
the disk does not take is reported, and the container runs.
"""

import asyncio
import contextlib
import os
import re
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import structlog

from cri_resmgr.cri.messages import Mount
from cri_resmgr.values.workloads import Container

MOUNT_POINT = "/.cri-resmgr"
FILE = "resources.sh"
DIRECTORY_MODE, FILE_MODE = 0o755, 0o644  # the container's user is anybody
PARENT_MODE = 0o710

_is_plain = re.compile(r"[A-Za-z0-9._-]{1,80}").fullmatch
_SPECIAL = str.maketrans({character: f"\\{character}" for character in '\\"$`'})

log = structlog.get_logger("resource-manager")


@dataclass(frozen=True, slots=True)
class _Job:
    """A file's new text, or None: it goes, with its directory."""

    container: Container
    text: str | None


class Exporter:
    """The files of one node below `relay_dir`; belongs to the event loop.

    `failed(container, text)` is told what the disk did not take.
    """

    def __init__(self, relay_dir: Path, *, failed: Callable[[Container, str], None] = lambda *_: None) -> None:
        self._parent, self._failed = relay_dir / "containers", failed
        self._texts: dict[str, str | None] = dict.fromkeys(_names(self._parent))  # by directory; None: not known
        self._waiting: dict[str, _Job] = {}
        self._doing: dict[str, _Job] = {}
        self._lock = threading.Lock()  # while a file or directory is touched
        self._working: asyncio.Task[None] | None = None

    def mount_for(self, container: Container, exports: Mapping[str, str]) -> Mount | None:
        """Write the file of a container that is about to be made; what to mount into it, None for no file."""
        if not exports:
            return None
        name, text = _name(container.key), text_of(exports)
        try:
            with self._lock:  # what was to be done for an earlier container of this name is not to be done any more
                self._waiting.pop(name, None)
                self._doing.pop(name, None)
                _make(self._parent, PARENT_MODE)
                _make(self._parent / name, DIRECTORY_MODE)
                _replace(self._parent / name / FILE, text)
        except OSError as error:
            self._report(container, error)
            return None
        self._texts[name] = text
        return Mount(str(self._parent / name), MOUNT_POINT, readonly=True)

    def changed(self, container: Container, exports: Mapping[str, str]) -> None:
        """Bring the file of a container up to date, if it has one."""
        name, text = _name(container.key), text_of(exports)
        if self._texts.get(name, text) != text:
            self._texts[name] = text
            self._do(name, _Job(container, text))

    def gone(self, container: Container) -> None:
        """Remove the file of a container that will not run any more."""
        name = _name(container.key)
        if name in self._texts:
            del self._texts[name]
            self._do(name, _Job(container, None))

    def sweep(self, keys: Collection[str]) -> None:
        """Remove the files of all containers but those with these keys."""
        for name in self._texts.keys() - set(map(_name, keys)):
            del self._texts[name]
            _remove(self._parent / name)

    async def close(self) -> None:
        """Wait until all is written."""
        while self._working is not None:
            await asyncio.shield(self._working)

    def _do(self, name: str, job: _Job) -> None:
        self._waiting[name] = job
        if self._working is None:
            self._working = asyncio.create_task(self._work(), name="exporting")

    async def _work(self) -> None:
        try:
            while self._waiting:
                self._doing, self._waiting = self._waiting, {}
                for job, error in await asyncio.to_thread(self._done):
                    if (name := _name(job.container.key)) in self._texts:
                        self._texts[name] = None
                    self._report(job.container, error)
        finally:
            self._working = None

    def _done(self) -> list[tuple[_Job, OSError]]:
        """Do the jobs, in a thread; returns those that failed."""
        failed = []
        for name, job in tuple(self._doing.items()):
            with self._lock:
                try:
                    if self._doing.pop(name, None) is not None:
                        _finish(self._parent / name, job.text)
                except OSError as error:
                    failed.append((job, error))
        return failed

    def _report(self, container: Container, error: OSError) -> None:
        where = error.filename or self._parent
        text = f"{where}: {error.strerror}; the container goes without {FILE} or with an old one"
        log.warning("export.failed", container=container.key, error=text)
        self._failed(container, text)


def _names(parent: Path) -> list[str]:
    try:
        return [path.name for path in parent.iterdir()]
    except OSError:
        return []


def _name(key: str) -> str:
    """A directory's name for a container's key; two keys share none, since a plain part has no `~`."""
    parts = key.split("/")
    plain = all(map(_is_plain, parts))
    return "~".join(parts) if plain else sha256(key.encode(errors="surrogateescape")).hexdigest()


def text_of(exports: Mapping[str, str]) -> str:
    """Assignments that any shell can read, sorted by name: `SHARED_CPUS="0-3"`."""
    return "".join(f'{name}="{exports[name].translate(_SPECIAL)}"\n' for name in sorted(exports))


def _make(directory: Path, mode: int) -> None:
    directory.mkdir(exist_ok=True)
    directory.chmod(mode)  # whatever the umask is


def _finish(directory: Path, text: str | None) -> None:
    if text is None:
        _remove(directory)
    elif (directory / FILE).read_bytes() != text.encode():
        _replace(directory / FILE, text)


def _replace(file: Path, text: str) -> None:
    aside = file.with_name(f".{file.name}")
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(fd, "wb") as out:
        os.fchmod(fd, FILE_MODE)
        out.write(text.encode())
    aside.replace(file)


def _remove(directory: Path) -> None:
    # Two files that we know; whatever else is there was not put there by us, and keeps the directory.
    for name in (FILE, f".{FILE}"):
        with contextlib.suppress(OSError):
            (directory / name).unlink()
    with contextlib.suppress(OSError):
        directory.rmdir()
