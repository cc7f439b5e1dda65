"""Programs of Kubernetes that the machine has already, for those who do not insist on ours.

`make demo` does not: it says so by FOUND_WILL_DO=1 in the environment.  Tests run the same programs on every machine.
"""

import os
import subprocess
from collections.abc import Collection
from pathlib import Path

WANTED = "FOUND_WILL_DO"
SAYING_S = 20
_ASKED = {"kubectl": ("version", "--client")}
"""How a program is asked for its version, where `--version` will not do."""


def directory(names: Collection[str], *, version: str) -> Path | None:
    """A directory of $KUBEBUILDER_ASSETS or $PATH with all of them, each of the same minor version as `v1.2.3`."""
    if not os.environ.get(WANTED):
        return None
    paths = [os.environ.get("KUBEBUILDER_ASSETS", ""), *os.environ.get("PATH", "").split(os.pathsep)]
    minor = version.rpartition(".")[0] + "."
    places = (Path(path) for path in dict.fromkeys(filter(None, paths)))
    return next((place for place in places if all(_fits(place / name, minor) for name in names)), None)


def _fits(program: Path, minor: str) -> bool:
    if not os.access(program, os.X_OK):
        return False
    words = _ASKED.get(program.name, ("--version",))
    try:
        said = subprocess.run([program, *words], capture_output=True, text=True, timeout=SAYING_S, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return False
    return any(word.startswith(minor) for word in said.split())
