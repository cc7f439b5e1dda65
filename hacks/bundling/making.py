"""A whole tree: assembled, listed, compiled, sealed; and what a script needs to ask for one."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bundling import launchers, sbom, sealing, trees
from bundling.compiling import Compiler, compiler, here
from bundling.debian import Mirror, Package
from bundling.recipes import BUNDLE, REPOSITORY, Recipe


class Workshop:
    """Makes trees for one architecture; `build` is the commit that they are made from."""

    def __init__(self, architecture: str, compiler: Compiler, mirror: Mirror, *, build: str) -> None:
        self.architecture = architecture
        self._compiler, self._mirror, self._build = compiler, mirror, build

    def tree(self, recipe: Recipe, target: Path) -> tuple[str, list[Package]]:
        """Make `target`, replacing what was there; its version, and Debian's packages in it."""
        aside = target.with_name(f".{target.name}.new")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        packages = self._mirror.download(recipe.debian)
        trees.assemble(recipe, self.architecture, aside, packages)
        sbom.write(recipe, aside, packages, architecture=self.architecture, build=self._build)
        self._compiler.compile(aside)
        if recipe is BUNDLE:
            launchers.bundle(aside, recipe.commands, build=self._build)
        version = sealing.seal(aside)
        shutil.rmtree(target, ignore_errors=True)
        aside.rename(target)
        return version, packages


@contextmanager
def workshop(architecture: str, *, build: str) -> Iterator[Workshop]:
    """A workshop with the newest packages; what they are compiled with goes with it."""
    native = Mirror(here(), cache())
    mirror = native if architecture == here() else Mirror(architecture, cache())
    with compiler(native) as made:
        yield Workshop(architecture, made, mirror, build=build)


def cache() -> Path:
    """Where packages are kept between two builds."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(base) / "cri-resmgr" / "downloads"
    path.mkdir(parents=True, exist_ok=True)
    return path


def commit() -> str:
    """The commit of the checkout; `unknown` where there is none."""
    command = ["git", "-C", str(REPOSITORY), "rev-parse", "--short=12", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"
