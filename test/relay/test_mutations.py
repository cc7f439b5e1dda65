"""Every line that keeps windows, tables and streams right is needed by a fast test."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
DEADLINE_S = 3 * 3600


@pytest.mark.slow
@pytest.mark.timeout(DEADLINE_S)
def test_no_mutant_survives():
    done = subprocess.run(
        [sys.executable, str(ROOT / "hacks" / "mutate")],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
