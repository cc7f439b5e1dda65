"""Changes of the host, each in the journal before it is made; making one again changes nothing."""

import os
from pathlib import Path

from installer import files
from installer.files import ABSENT
from installer.journal import Entry, Journal


class Changes:
    """The host's paths below `root`; methods say whether anything was changed."""

    def __init__(self, root: Path, journal: Journal) -> None:
        """Paths are the host's own and absolute."""
        self._root, self._journal = root, journal

    def file(self, path: str, content: bytes, *, mode: int = 0o644) -> bool:
        """A regular file of ours with this content."""
        at, found = self._at(path)
        wanted = (content, mode, os.geteuid(), os.getegid())
        if found.kind == "file" and (found.content, found.mode, found.uid, found.gid) == wanted:
            return False
        self._directory(at.parent, str(Path(path).parent))
        self._journal.note(path, found, whole=False)
        files.put_file(at, content, mode=mode)
        return True

    def link(self, path: str, target: str) -> bool:
        """A symbolic link."""
        at, found = self._at(path)
        if found.kind == "link" and found.target == target:
            return False
        self._directory(at.parent, str(Path(path).parent))
        self._journal.note(path, found, whole=False)
        files.put_link(at, target)
        return True

    def tree(self, path: str, source: Path) -> None:
        """A copy of `source`: a directory that is ours with all that is in it."""
        at, found = self._at(path)
        self._directory(at.parent, str(Path(path).parent))
        self._journal.note(path, found, whole=True)
        files.put_tree(at, source)

    def give_back(self, path: str) -> None:
        """What was there before us, if we have changed it at all."""
        for entry in self._journal.owned:
            if entry.path == path:
                self._journal.note(path, self._at(path)[1], whole=False)
                self.put_back(entry)

    def put_back(self, entry: Entry) -> None:
        """What was there before."""
        at = files.inside(self._root, entry.path)
        if at.parent.is_dir():
            files.put_back(at, entry.before, whole=entry.whole)

    def _at(self, path: str) -> tuple[Path, files.Found]:
        at = files.inside(self._root, path)
        return at, files.look(at)

    def _directory(self, at: Path, path: str) -> None:
        if at.is_dir():
            return
        self._directory(at.parent, str(Path(path).parent))
        self._journal.note(path, ABSENT, whole=False)
        files.put_directory(at, mode=0o755)
