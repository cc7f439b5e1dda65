"""The disk with the code under test, which is plugged in after a restore: snapshots know nothing of it."""

import shutil
import subprocess
from pathlib import Path

from equipment import machine
from equipment.guest.image import PAYLOAD, PYTHON
from equipment.guest.libraries import compile_below

REPOSITORY = Path(__file__).parents[3]
PROGRAM = f"{PAYLOAD}/cri-resmgr"
LAUNCHER = f"""\
#!/bin/sh
export PYTHONPATH={PAYLOAD}:$PYTHONPATH
exec {PYTHON} -m cri_resmgr.cli.main "$@"
"""
_SPARE_MIB = 16


def payload(place: Path) -> Path:
    """Make the disk in the empty directory `place`."""
    machine.ensure_apt("e2fsprogs")
    tree = place / "tree"
    shutil.copytree(REPOSITORY / "cri_resmgr", tree / "cri_resmgr", ignore=shutil.ignore_patterns("__pycache__"))
    compile_below(tree)
    (tree / "cri-resmgr").write_text(LAUNCHER)
    (tree / "cri-resmgr").chmod(0o755)
    disk = place / "payload.ext4"
    size_mib = sum(path.stat().st_size for path in tree.rglob("*")) // 2**20 + _SPARE_MIB
    form = ["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-d", tree, disk, f"{size_mib}M"]
    subprocess.run(form, check=True, capture_output=True, timeout=300)
    shutil.rmtree(tree)
    return disk
