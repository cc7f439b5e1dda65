"""The root file system of an image: a tree at `/usr`, its loader where programs look for it, users, `/tmp`.

No shell and no package manager.  The installation's image has the bundle as a whole at `/bundle`, and runs from it.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from bundling import launchers
from bundling.debian import Package
from bundling.recipes import BUNDLE, Recipe
from bundling.sealing import EPOCH_S

LOADER_PATHS = {"amd64": "lib64/ld-linux-x86-64.so.2", "arm64": "lib/ld-linux-aarch64.so.1"}
_FILES = {
    "etc/passwd": "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n",
    "etc/group": "root:x:0:\nnonroot:x:65532:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
_DIRECTORIES = ("dev", "proc", "run", "sys", "tmp", "var/lib")


def tree_in(root: Path, recipe: Recipe) -> Path:
    """Where in `root` the tree belongs."""
    return root / ("bundle" if recipe is BUNDLE else "usr")


def complete(root: Path, recipe: Recipe, architecture: str, packages: Sequence[Package]) -> None:
    """Add to `root`, which has its tree already, what makes it bootable as a container."""
    for name in _DIRECTORIES:
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "var/run").symlink_to("../run")
    if recipe is BUNDLE:
        (root / "usr").symlink_to("bundle")
    loader = root / LOADER_PATHS[architecture]
    loader.parent.mkdir(exist_ok=True)
    loader.symlink_to("../usr/lib/ld.so")
    for name, text in _FILES.items():
        _write(root / name, text)
    # Where scanners for known weaknesses look for packages that no package manager has installed.
    for package in packages:
        _write(root / "var/lib/dpkg/status.d" / package.name, package.control)
    launchers.image(root / "bin", recipe.commands)
    _settle(root, tree_in(root, recipe))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _settle(root: Path, tree: Path) -> None:
    """Modes and times of all that is not in `tree`."""
    for path in sorted(root.rglob("*"), reverse=True):
        if not path.is_relative_to(tree) or path == tree:
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.parent == root / "bin" else 0o644)
            os.utime(path, (EPOCH_S, EPOCH_S), follow_symlinks=False)
    (root / "tmp").chmod(0o1777)
    root.chmod(0o755)
    os.utime(root, (EPOCH_S, EPOCH_S))
