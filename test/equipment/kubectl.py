"""kubectl as people call it, against whichever API server a kubeconfig names."""

import subprocess
from pathlib import Path

from equipment.tools import tool

DEADLINE_S = 60


class KubectlError(RuntimeError):
    """What kubectl complained of."""


def kubectl(
    kubeconfig: Path,
    *words: str | Path,
    stdin: str | None = None,
    deadline_s: float = DEADLINE_S,
    program: Path | None = None,
) -> str:
    """What it prints; raises KubectlError when it fails.  `program`: another one than that which was built here."""
    command = [program or tool("kubectl"), f"--kubeconfig={kubeconfig}", *words]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=deadline_s, check=False)
    if done.returncode:
        raise KubectlError(f"kubectl {' '.join(map(str, words))}: {(done.stderr + done.stdout).strip()}")
    return done.stdout
