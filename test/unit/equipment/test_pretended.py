"""A daemon that is shown more CPUs than there are sees them, and real processes beside them."""

import os

from cri_resmgr.host import topology
from cri_resmgr.host.cgroups import effective_of
from equipment import pretended


def test_the_machine_is_what_it_is_said_to_be_and_its_processes_are_real(tmp_path):
    root = pretended.host_root(tmp_path / "host", pretended.three_cpus())
    assert topology.discover(root) == pretended.three_cpus()
    assert effective_of(os.getpid(), root=root) == effective_of(os.getpid())
