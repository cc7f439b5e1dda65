"""What a container may know about its own CPUs: `/.cri-resmgr/resources.sh`, for programs that pin their threads.

    mount = exporter.mount_for(container, policy.exports(container))  # at CreateContainer; None for no file
    exporter.changed(container, policy.exports(container))            # whenever its holding has changed
    exporter.gone(container)                                          # it is removed, or was never made
    exporter.sweep(ledger.containers)                                 # once at start

Each container has a directory of its own below `<relay-dir>/containers`, which is bind-mounted, so that a new file may
take the place of the old one under a reader's eyes: never half a file.  A container that got no file when it was made
gets none later, since nothing can be mounted into it any more.  The file is a courtesy: a disk that does not take it
is reported, and the container runs.
"""

import contextlib
import os
import re
from collections.abc import Callable, Collection, Mapping
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


class Exporter:
    """The files of one node below `relay_dir`; `failed(container, text)` is told what the disk did not take."""

    def __init__(self, relay_dir: Path, *, failed: Callable[[Container, str], None] = lambda *_: None) -> None:
        self._parent, self._failed = relay_dir / "containers", failed

    def mount_for(self, container: Container, exports: Mapping[str, str]) -> Mount | None:
        """Write the file of a container that is about to be made; what to mount into it, None for no file."""
        if not exports:
            return None
        directory = self._directory(container.key)
        try:
            _make(self._parent, PARENT_MODE)
            _make(directory, DIRECTORY_MODE)
            _replace(directory / FILE, text_of(exports))
        except OSError as error:
            self._report(container, error)
            return None
        return Mount(str(directory), MOUNT_POINT, readonly=True)

    def changed(self, container: Container, exports: Mapping[str, str]) -> None:
        """Bring the file of a container up to date, if it has one."""
        file = self._directory(container.key) / FILE
        try:
            text = text_of(exports)
            if file.read_bytes() != text.encode():
                _replace(file, text)
        except FileNotFoundError:
            return
        except OSError as error:
            self._report(container, error)

    def gone(self, container: Container) -> None:
        """Remove the file of a container that will not run any more."""
        _remove(self._directory(container.key))

    def sweep(self, keys: Collection[str]) -> None:
        """Remove the files of all containers but those with these keys."""
        kept = {self._directory(key).name for key in keys}
        with contextlib.suppress(FileNotFoundError):
            for directory in self._parent.iterdir():
                if directory.name not in kept:
                    _remove(directory)

    def _directory(self, key: str) -> Path:
        parts = key.split("/")
        plain = all(map(_is_plain, parts))  # so that `~` cannot be in one of them, and two keys share no name
        return self._parent / ("~".join(parts) if plain else sha256(key.encode(errors="surrogateescape")).hexdigest())

    def _report(self, container: Container, error: OSError) -> None:
        text = (
            f"{error.filename or self._parent}: {error.strerror}; the container goes without {FILE} or with an old one"
        )
        log.warning("export.failed", container=container.key, error=text)
        self._failed(container, text)


def text_of(exports: Mapping[str, str]) -> str:
    """Assignments that any shell can read, sorted by name: `SHARED_CPUS="0-3"`."""
    return "".join(f'{name}="{exports[name].translate(_SPECIAL)}"\n' for name in sorted(exports))


def _make(directory: Path, mode: int) -> None:
    directory.mkdir(exist_ok=True)
    directory.chmod(mode)  # whatever the umask is


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
