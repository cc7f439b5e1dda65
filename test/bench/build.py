"""The Go programs of this folder, such as `backend` and `drive`, built once for each state of the sources."""

import os
import subprocess
from pathlib import Path

from equipment import Unavailable, cache, machine

MODULE = Path(__file__).parent
BUILD_DEADLINE_S = 1800


def programs() -> Path:
    """The directory of the programs, which are built on first use; raises Unavailable."""
    sources = sorted(MODULE.rglob("*.go"))
    digest = cache.key(
        os.uname().machine, *map(str, (path.relative_to(MODULE) for path in sources)), *sources, *_pins()
    )
    return cache.entry("bench", digest, _build, about="2 min")


def _pins() -> list[Path]:
    return [MODULE / "go.mod", MODULE / "go.sum"]


def _build(place: Path) -> None:
    environment = {
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly -buildvcs=false",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    done = subprocess.run(
        ["nice", machine.go(MODULE), "build", "-ldflags", "-s -w", "-o", f"{place}/", "./..."],
        check=False,
        cwd=MODULE,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=BUILD_DEADLINE_S,
    )
    if done.returncode:
        raise Unavailable(f"go build ./... failed in {MODULE}:\n{done.stderr.strip()}")
