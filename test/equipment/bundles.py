"""Bundles as `hacks/build-bundle` makes them, from a copy of the checkout that nobody edits meanwhile."""

import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
BUILDERS = ("bundling", "build-bundle", "build-image-roots", "build-images", "image-names", "make-base-image",
            "push-images")  # fmt: skip
CONTENTS = ("LICENSE", "pyproject.toml", "Dockerfile", ".dockerignore", "charts", "cri_resmgr", "extension",
            "installer", "requirements", *(f"hacks/{name}" for name in BUILDERS))  # fmt: skip
"""What decides what is in an image."""
PARTS = (*CONTENTS, "Makefile")
DEADLINE_S = 600


def copy_checkout(target: Path) -> Path:
    """What a build reads, in `target`."""
    target.mkdir(parents=True)
    for part in PARTS:
        source = REPOSITORY / part
        if source.is_dir():
            shutil.copytree(source, target / part, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            (target / part).parent.mkdir(exist_ok=True)
            shutil.copy(source, target / part)
    return target


def build(checkout: Path, output: Path, *options: str | Path) -> Path:
    """The bundle of `checkout` in `output`; the commit in it is always the same."""
    command = [sys.executable, checkout / "hacks/build-bundle", "--build", "test", "--output", output, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    if done.returncode:
        raise RuntimeError(f"build-bundle failed:\n{done.stdout}{done.stderr}")
    return output


def bare_root(target: Path) -> Path:
    """A root file system with a static shell and nothing else: no Python, no C library."""
    for directory in ("bin", "dev", "opt", "proc", "run", "sys", "tmp", "var"):
        (target / directory).mkdir(parents=True)
    shutil.copy("/bin/busybox", target / "bin/busybox")
    for applet in ("sh", "readlink", "env", "ln", "mv"):
        (target / "bin" / applet).symlink_to("busybox")
    return target
