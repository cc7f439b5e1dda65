"""What was on the host before us, written down before it is changed.

The file has two lists of (path, what was there): `baseline`, from before the first installation, and the changes of
the operation that runs.  An operation that ends well adds its changes to the baseline; one that is turned back puts
its own back.  A crash at any point leaves a journal that says which of the two is to be done.
"""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from installer import files
from installer.errors import Failed
from installer.files import Found

FORMAT = 1
FORWARD, BACKWARD = "forward", "backward"


@dataclass(frozen=True, slots=True)
class Entry:
    """A path of the host, with what was there; `whole` directories are ours with all that is in them."""

    path: str
    before: Found
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """The journal's content; `operation` is '' between two."""

    operation: str = ""
    direction: str = FORWARD
    reason: str = ""
    version: str = ""
    owns_state: bool = True
    changes: tuple[Entry, ...] = ()
    baseline: tuple[Entry, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """The file's text."""
        lists = {name: [_entry_json(entry) for entry in getattr(self, name)] for name in ("changes", "baseline")}
        plain = ("operation", "direction", "reason", "version", "owns_state")
        return {"format": FORMAT, **{name: getattr(self, name) for name in plain}, **lists}


class Journal:
    """The journal in a directory; every method that changes it returns when the change is on disk."""

    def __init__(self, directory: Path) -> None:
        """Read it, if there is one; raises Failed when it cannot be understood."""
        self._directory, self._file = directory, directory / "journal.json"
        self.record = self._read()

    @property
    def exists(self) -> bool:
        """Something of ours is on this host, or is being put there or taken away."""
        return self._file.exists()

    @property
    def owned(self) -> tuple[Entry, ...]:
        """What this host had before us, the oldest word for each path, in the order in which we changed them."""
        known = {entry.path for entry in self.record.baseline}
        return (*self.record.baseline, *(entry for entry in self.record.changes if entry.path not in known))

    def begin(self, operation: str) -> None:
        """Start an operation, or go on with one that was interrupted."""
        if not self.exists:
            self._make_directory()
        self._write(replace(self.record, operation=operation, direction=FORWARD, reason=""))

    def note(self, path: str, before: Found, *, whole: bool) -> None:
        """Keep what is at a path, unless this operation has changed it already."""
        if not any(entry.path == path for entry in self.record.changes):
            self._write(replace(self.record, changes=(*self.record.changes, Entry(path, before, whole))))

    def turn_back(self, reason: str) -> None:
        """From now on the operation is undone."""
        self._write(replace(self.record, direction=BACKWARD, reason=reason))

    def commit(self, version: str) -> None:
        """The operation has ended well."""
        self._write(replace(self.record, operation="", version=version, changes=(), baseline=self.owned))

    def abandon(self) -> None:
        """The operation's changes are undone."""
        self._write(replace(self.record, operation="", direction=FORWARD, changes=()))

    def forget(self, path: str) -> None:
        """A path that was ours is as it was before us."""
        left = tuple(entry for entry in self.record.baseline if entry.path != path)
        self._write(replace(self.record, baseline=left))

    def clear(self, *, everything: bool) -> None:
        """Take away the daemon's state, if there was none before us, and the journal itself.

        With `everything` also what the installer tells others in the journal's directory, and the directory.
        """
        above, owns = self._directory.parent, self.record.owns_state
        for child in _children(above) if owns else ():
            if child != self._directory:
                _remove(child)
        for child in _children(self._directory) if everything else ():
            if child != self._file:
                _remove(child)
        self._file.unlink(missing_ok=True)
        self.record = Record()
        if everything:
            files.remove(self._directory)
        if everything and owns:
            files.remove(above)

    def _make_directory(self) -> None:
        above = self._directory.parent
        # An empty one is what a crash of ours leaves before there is a journal.
        owns = not any(child != self._directory for child in _children(above))
        for directory, mode in ((above, 0o710), (self._directory, 0o755)):
            if not directory.is_dir():
                files.put_directory(directory, mode=mode)
        if owns and above.stat().st_mode & 0o067:  # for an agent's pod that was first the kubelet makes it, open to all
            above.chmod(0o710)
        self.record = replace(self.record, owns_state=owns)

    def _write(self, record: Record) -> None:
        text = json.dumps(record.as_json(), indent=1)
        files.put_file(self._file, text.encode(), mode=0o600)
        self.record = record

    def _read(self) -> Record:
        try:
            fields = json.loads(self._file.read_bytes())
        except FileNotFoundError:
            return Record()
        except (OSError, ValueError) as error:
            raise Failed(
                f"{self._file}: cannot be read: {error}; see docs/operations-node.md for what it is"
            ) from error
        if fields.pop("format", None) != FORMAT:
            raise Failed(f"{self._file}: written by another version of the installer; use that one to uninstall")
        lists = {name: tuple(_entry(one) for one in fields[name]) for name in ("changes", "baseline")}
        return Record(**{**fields, **lists})


def _children(directory: Path) -> Iterator[Path]:
    return iter(sorted(directory.iterdir())) if directory.is_dir() else iter(())


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        os.unlink(path)  # noqa: PTH108 - the same for links


def _entry_json(entry: Entry) -> dict[str, Any]:
    return {"path": entry.path, "whole": entry.whole, "before": entry.before.as_json()}


def _entry(fields: dict[str, Any]) -> Entry:
    return Entry(fields["path"], Found.from_json(fields["before"]), fields["whole"])
