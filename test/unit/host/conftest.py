from pathlib import Path

import pytest

from cri_resmgr.host.grids import grid
from equipment.sysfs_tree import write


@pytest.fixture
def tree(tmp_path) -> Path:
    """Two packages with two nodes, of two cores with two threads each."""
    return write(grid(packages=2, nodes=2, cores=2, threads=2), tmp_path)
