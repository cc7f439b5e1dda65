"""Which machines a test runs on: one in `make test`, the others in `make test-all`."""

import pytest

from equipment.guest.inits import MINIMAL, SYSTEMD, Init
from equipment.guest.topologies import C4PMEM4, N4C8, N4C16, N4D4C16, Topology

FIRST = (N4C16, SYSTEMD)
"""Its snapshot is the only one that a plain `make test` needs."""


def on(*machines: tuple[Topology, Init]) -> pytest.MarkDecorator:
    """Run the test on each of these machines; with systemd the cgroup driver is systemd's, else cgroupfs."""
    cases = [
        pytest.param(
            (topology, init),
            id=f"{topology.name}-{init.name}",
            marks=[] if (topology, init) == FIRST else pytest.mark.slow,
        )
        for topology, init in machines
    ]
    return pytest.mark.parametrize("machine", cases, indirect=True)


EVERY = tuple((topology, init) for topology in (N4C16, N4D4C16, N4C8, C4PMEM4) for init in (SYSTEMD, MINIMAL))
