"""The last steps of a tree: modes and times, VERSION and MANIFEST."""

import hashlib
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bundling.debian import run
from bundling.recipes import REPOSITORY

EPOCH_S = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
"""The time that all files have."""
_EXECUTABLE = re.compile(r"bin/.*|libexec/.*|lib/ld\.so")


def seal(tree: Path) -> str:
    """Set modes and times, write VERSION and MANIFEST; the version.

    The version names the content: equal trees have equal versions, and different ones lie beside each other on a node.
    """
    sums = list(_sums(tree))
    digest = hashlib.sha256("".join(sums).encode()).hexdigest()[:12]
    version = f"{_product_version()}-{digest}"
    (tree / "VERSION").write_text(f"{version}\n")
    sums.append(_sum(tree, tree / "VERSION"))
    (tree / "MANIFEST").write_text("".join(sorted(sums, key=lambda line: line.split("  ", 1)[1])))
    for path in sorted(tree.rglob("*"), reverse=True):
        if path.is_dir():
            path.chmod(0o755)
        else:
            path.chmod(0o755 if _EXECUTABLE.fullmatch(path.relative_to(tree).as_posix()) else 0o644)
        os.utime(path, (EPOCH_S, EPOCH_S))
    tree.chmod(0o755)
    os.utime(tree, (EPOCH_S, EPOCH_S))
    return version


def archive(tree: Path, target: Path, *, name: str) -> None:
    """Write `tree` as a compressed tar file with one directory `name` in it."""

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = "root"
        entry.mtime = EPOCH_S
        return entry

    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}-") as aside:
        with tarfile.open(fileobj=aside, mode="w", format=tarfile.GNU_FORMAT) as tar:
            tar.add(tree, name, filter=plain)
        aside.flush()
        compressed = Path(f"{aside.name}.gz")
        run(["gzip", "--no-name", "--keep", "--force", aside.name], cwd=target.parent)
        shutil.move(compressed, target)


def _product_version() -> str:
    text = (REPOSITORY / "cri_resmgr/__init__.py").read_text()
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    if found is None:
        raise SystemExit("cri_resmgr/__init__.py has no __version__")
    return found[1]


def _sums(tree: Path) -> Iterator[str]:
    for path in sorted(tree.rglob("*")):
        if path.is_file():
            yield _sum(tree, path)


def _sum(tree: Path, path: Path) -> str:
    """A line as `sha256sum` writes and checks it."""
    return f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(tree).as_posix()}\n"
