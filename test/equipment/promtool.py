"""Prometheus' own promtool, out of Debian's package without installing it: that would start a Prometheus."""

import shutil
import subprocess
from pathlib import Path

from equipment import Unavailable, cache

PACKAGE = "prometheus"
DOWNLOAD_DEADLINE_S = 300
DEADLINE_S = 60


class PromtoolError(Exception):
    """What promtool complained of."""


def promtool(*arguments: str | Path) -> str:
    """What it prints.  Raises PromtoolError."""
    program = cache.entry("promtool", cache.key(PACKAGE), _make, about="some seconds") / "promtool"
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    if done.returncode:
        raise PromtoolError(f"{done.stdout}\n{done.stderr}".strip())
    return done.stdout


def _make(place: Path) -> None:
    if _run(place, "apt-get", "-qq", "download", PACKAGE):
        _run(place, "apt-get", "-qq", "update")
        if said := _run(place, "apt-get", "-qq", "download", PACKAGE):
            raise Unavailable(f"apt-get download {PACKAGE} failed:\n{said}")
    (package,) = place.glob(f"{PACKAGE}_*.deb")
    if said := _run(place, "dpkg-deb", "-x", package, place / "tree"):
        raise Unavailable(f"{package.name} cannot be unpacked:\n{said}")
    (place / "tree/usr/bin/promtool").rename(place / "promtool")
    shutil.rmtree(place / "tree")
    package.unlink()


def _run(place: Path, *command: str | Path) -> str:
    """What it complained of, empty if all went well."""
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=DOWNLOAD_DEADLINE_S, check=False)
    return (done.stderr or f"exit code {done.returncode}") if done.returncode else ""
