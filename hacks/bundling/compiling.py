"""Byte code for trees of any architecture, by Debian's own interpreter on this machine's."""

import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bundling import debian
from bundling.debian import Mirror, run
from bundling.recipes import INTERPRETER, NEEDED, PYTHON
from bundling.trees import LOADERS, TRIPLES

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def here() -> str:
    """This machine's architecture, by Debian's name."""
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        raise SystemExit(f"trees are made on x86_64 and aarch64, not on {machine}")
    return _ARCHITECTURES[machine]


class Compiler:
    """Compiles with the interpreter in `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._loader = root / "lib" / TRIPLES[here()] / LOADERS[here()]
        self._libraries = [root / "lib" / TRIPLES[here()], root / "usr/lib" / TRIPLES[here()]]

    def compile(self, tree: Path) -> None:
        """Write byte code for all of `tree`.

        Its readers trust it without a look at the source: nobody writes into a tree, and its MANIFEST shows who did.
        """
        command = [
            "env", "PYTHONHASHSEED=0", self._loader, "--inhibit-cache",
            "--library-path", ":".join(map(str, self._libraries)), self._root / "usr/bin" / PYTHON, "-I",
            "-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash", "-s", tree, "-p", "", tree / "lib",
        ]  # fmt: skip
        run(command, cwd=self._root)


@contextmanager
def compiler(mirror: Mirror) -> Iterator[Compiler]:
    """One from the packages of `mirror`, which is for this machine's architecture."""
    with tempfile.TemporaryDirectory(prefix="cri-resmgr-compile-") as directory:
        for package in mirror.download((*NEEDED, *INTERPRETER)):
            debian.unpack(package, Path(directory))
        yield Compiler(Path(directory))
