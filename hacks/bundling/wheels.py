"""Wheels for any architecture, each with the hash that its requirement file names, through pip and its index."""

import sys
from pathlib import Path

from bundling.debian import run
from bundling.recipes import REPOSITORY

# Newest first: Debian 12 has glibc 2.36.
GLIBCS = (*(f"manylinux_2_{minor}" for minor in range(36, 16, -1)), "manylinux2014")
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


def install(requirements: str, architecture: str, target: Path) -> None:
    """Unpack what `requirements` names into `target`; nothing of it is run or compiled."""
    platforms = [f"--platform={glibc}_{MACHINES[architecture]}" for glibc in GLIBCS]
    run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            "--root-user-action=ignore", "--no-deps", "--no-compile", "--require-hashes",
            "--only-binary=:all:", "--implementation=cp", "--python-version=3.11", *platforms, f"--target={target}",
            "--requirement", REPOSITORY / "requirements" / requirements,
        ],
        cwd=REPOSITORY,
    )  # fmt: skip
