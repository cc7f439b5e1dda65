"""The Python libraries that the guest needs: those of our own environment, which its Debian does not have.

They are part of the image: they change rarely, and a snapshot holds in memory what has once been read.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from equipment import Unavailable

PROJECT, EXTRA = "gardener-extension-cri-resmgr", "node"
DEBIAN_PYTHON = (3, 11)


def names() -> set[str]:
    """The distributions that the daemon needs, and grpcio for the client of tests."""
    return closure([*required(PROJECT, EXTRA), "grpcio"])


def versions() -> str:
    """Everything on which `furnish` depends."""
    return repr(sorted((name, metadata.version(name)) for name in names()))


def furnish(target: Path) -> None:
    """Copy them to a directory for PYTHONPATH; raises Unavailable when they are for another Python than Debian's."""
    if sys.version_info[:2] != DEBIAN_PYTHON:
        wanted = ".".join(map(str, DEBIAN_PYTHON))
        raise Unavailable(f"the guest has Python {wanted}, our libraries are for {sys.version}; use {wanted} here")
    for distribution in map(metadata.distribution, names()):
        for file in distribution.files or ():
            if ".." not in file.parts and file.suffix != ".pyc":  # programs; what is compiled anew
                place = target / file
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(distribution.locate_file(file)), place)
    compile_below(target)


def compile_below(directory: Path) -> None:
    """Compile all modules: emulated seconds are dear.  They will not be compared with their sources."""
    how = ["-q", "-j", "2", "--invalidation-mode", "unchecked-hash"]
    subprocess.run([sys.executable, "-m", "compileall", *how, directory], check=True, timeout=300)


def required(distribution: str, extra: str = "") -> Iterator[str]:
    """What a distribution needs here, with one of its extras."""
    for text in metadata.requires(distribution) or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement.name


def closure(distributions: Iterable[str]) -> set[str]:
    """These distributions and all that they need."""
    found: set[str] = set()
    wanted = list(distributions)
    while wanted:
        name = wanted.pop()
        if name not in found:
            found.add(name)
            wanted.extend(required(name))
    return found
