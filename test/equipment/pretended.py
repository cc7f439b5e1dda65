"""A machine with more CPUs than this one has, for the daemon to believe in.

Two CPUs are too few for much to happen to them.  What there is too much of is reserved for the system, and no test
runs a system: nobody is ever sent where nothing is.  All that a process shows, and its control groups, are real.
"""

from pathlib import Path

from cri_resmgr.host.grids import grid
from cri_resmgr.values.machines import Machine
from equipment import sysfs_tree

REAL = ("proc", "sys/fs", "sys/dev")


def host_root(directory: Path, machine: Machine) -> Path:
    """A directory for `--host-root`, made in `directory`, that shows this machine."""
    root = sysfs_tree.write(machine, directory)
    for path in REAL:
        (root / path).symlink_to(f"/{path}")
    return root


def three_cpus() -> Machine:
    """CPUs 0 and 1, which there are, and CPU 2, which is to be reserved."""
    return grid(cores=3, memory_bytes=8 << 30)
