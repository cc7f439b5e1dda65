"""kubectl as people call it, against whichever API server a kubeconfig names."""

import subprocess
from pathlib import Path

from equipment.tools import tool

DEADLINE_S = 60


class KubectlError(RuntimeError):
    """What kubectl complained of, or that it said nothing in time."""


def kubectl(
    kubeconfig: Path,
    *words: str | Path,
    stdin: str | None = None,
    deadline_s: float = DEADLINE_S,
    program: Path | None = None,
) -> str:
    """What it prints; raises KubectlError when it fails or hangs.  `program`: another one than that built here."""
    command = [program or tool("kubectl"), f"--kubeconfig={kubeconfig}", *words]
    said = f"kubectl {' '.join(map(str, words))}"
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=deadline_s, check=False)
    except subprocess.TimeoutExpired as error:
        raise KubectlError(f"{said}: nothing within {deadline_s} s") from error
    if done.returncode:
        raise KubectlError(f"{said}: {(done.stderr + done.stdout).strip()}")
    return done.stdout
