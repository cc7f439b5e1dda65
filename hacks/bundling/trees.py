"""A tree from packages, wheels and our own files.

    VERSION, MANIFEST
    bin/            commands
    lib/            the loader `ld.so` and shared libraries, flat
    lib/python3.11/ the standard library
    lib/python3/dist-packages/  wheels and our packages, where Debian's Python looks by itself
    libexec/        the interpreter
    share/          licences, the list of what is in here

It has no links and no empty directories.  Put at `/usr` it is a root file system; anywhere else its commands name its
own loader.
"""

import fnmatch
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bundling import debian, wheels
from bundling.debian import Package
from bundling.recipes import (
    PYTHON,
    REPOSITORY,
    WITHOUT_EXTENSIONS,
    WITHOUT_MODELS,
    WITHOUT_MODULES,
    WITHOUT_TESTS,
    WITHOUT_TLS,
    WITHOUT_WHEEL_FILES,
    Recipe,
)

LOADERS = {"amd64": "ld-linux-x86-64.so.2", "arm64": "ld-linux-aarch64.so.1"}
TRIPLES = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
DIST_PACKAGES = "lib/python3/dist-packages"
INTERPRETER = f"libexec/{PYTHON}"
_NOT_LIBRARIES = ("ld-linux*", "libBrokenLocale*", "libmemusage*", "libpcprofile*", "libthread_db*", "libnss_*",
                  "libnsl*", "libc_malloc_debug*")  # fmt: skip


def assemble(recipe: Recipe, architecture: str, tree: Path, packages: Sequence[Package]) -> None:
    """Fill the empty directory `tree`."""
    with tempfile.TemporaryDirectory(prefix="cri-resmgr-bundle-") as directory:
        unpacked = Path(directory)
        for package in packages:
            debian.unpack(package, unpacked)
        _interpreter(unpacked, architecture, tree, tls=recipe.tls)
        _licences(unpacked, packages, tree / "share/licenses")
    wheels.install(recipe.requirements, architecture, tree / DIST_PACKAGES)
    _prune(tree / DIST_PACKAGES, (*WITHOUT_WHEEL_FILES, *WITHOUT_MODELS, *WITHOUT_TESTS))
    for name in recipe.ours:
        _copy(REPOSITORY / name, tree / DIST_PACKAGES / name, ours=lambda path: _wanted(path, recipe.left_out))
    shutil.copyfile(REPOSITORY / "LICENSE", tree / "share/licenses/LICENSE")


def _interpreter(unpacked: Path, architecture: str, tree: Path, *, tls: bool) -> None:
    """Debian's Python with its standard library, and the shared libraries of all packages."""
    standard = unpacked / "usr/lib" / PYTHON
    _prune(standard, WITHOUT_MODULES)
    _prune(standard / "lib-dynload", (*WITHOUT_EXTENSIONS, *(() if tls else WITHOUT_TLS)))
    _copy(standard, tree / "lib" / PYTHON)
    (tree / "libexec").mkdir()
    shutil.copyfile(unpacked / "usr/bin" / PYTHON, tree / INTERPRETER)
    triple = TRIPLES[architecture]
    for directory in (unpacked / "lib" / triple, unpacked / "usr/lib" / triple):
        for library in directory.glob("lib*.so.*"):
            if not any(fnmatch.fnmatch(library.name, pattern) for pattern in _NOT_LIBRARIES):
                shutil.copyfile(library, tree / "lib" / library.name)
    shutil.copyfile(unpacked / "lib" / triple / LOADERS[architecture], tree / "lib/ld.so")


def _licences(unpacked: Path, packages: Sequence[Package], target: Path) -> None:
    """Debian's copyright files; the wheels carry theirs beside their metadata."""
    target.mkdir(parents=True)
    for package in packages:
        notice = unpacked / "usr/share/doc" / package.name / "copyright"
        shutil.copyfile(notice, target / package.name)


def _prune(directory: Path, patterns: Sequence[str]) -> None:
    """Remove what a pattern names: by its own name, or with `/` by its path in `directory`."""
    for path in sorted(directory.rglob("*")):
        inner = path.relative_to(directory).as_posix()
        if any(fnmatch.fnmatch(inner if "/" in pattern else path.name, pattern) for pattern in patterns):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _wanted(path: Path, left_out: Sequence[str]) -> bool:
    inner = path.relative_to(REPOSITORY)
    parts = [str(inner), *map(str, inner.parents)]
    return not any(fnmatch.fnmatch(part, pattern) for part in parts for pattern in left_out)


def _copy(source: Path, target: Path, ours: Callable[[Path], bool] = lambda _: True) -> None:
    """Copy files without their times and owners; links become what they show."""
    for path in _files(source):
        if ours(path):
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)


def _files(directory: Path) -> Iterator[Path]:
    for path in sorted(directory.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyi":
            yield path
