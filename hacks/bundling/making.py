"""A whole tree: assembled, listed, compiled, sealed; and what a script needs to ask for one."""

import os
import shutil
import subprocess
from pathlib import Path

from bundling import launchers, sbom, sealing, trees
from bundling.debian import Package
from bundling.recipes import REPOSITORY, Recipe


def tree(recipe: Recipe, architecture: str, target: Path, *, build: str) -> tuple[str, list[Package]]:
    """Make `target`, replacing what was there; its version, and Debian's packages in it."""
    aside = target.with_name(f".{target.name}.new")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    packages = trees.assemble(recipe, architecture, aside, cache())
    sbom.write(recipe, aside, packages, architecture=architecture, build=build)
    sealing.compile_all(aside, cache())
    if recipe.name == "bundle":
        launchers.bundle(aside, recipe.commands, build=build)
    version = sealing.seal(aside)
    shutil.rmtree(target, ignore_errors=True)
    aside.rename(target)
    return version, packages


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
