"""A machine that was written down is the same machine."""

import json
from dataclasses import replace

import pytest

from cri_resmgr.host.grids import MemoryNode, grid
from cri_resmgr.values import machine_texts
from cri_resmgr.values.machines import Machine, MemoryKind, Priority

SMALL = grid()
LARGE = grid(packages=2, dies=2, nodes=2, cores=16, threads=2, numbering="linux", isolated=0b1100, offline=1 << 255)
TIERED = grid(packages=2, memory_nodes=[MemoryNode(1 << 30, MemoryKind.PMEM, 0, 17)])
HYBRID = replace(
    grid(cores=4),
    core_kinds={"performance": 0b11, "efficient": 0b1100},
    priorities={Priority.HIGH: 0b11, Priority.LOW: 0b1100},
)


@pytest.mark.parametrize(
    "machine",
    [SMALL, LARGE, TIERED, HYBRID, Machine(0, (), (), (), ())],
    ids=["small", "large", "tiered", "hybrid", "none"],
)
def test_what_was_written_is_read_as_it_was(machine):
    assert machine_texts.read(machine_texts.written(machine)) == machine


def test_sets_can_be_read_by_people():
    raw = json.loads(machine_texts.written(LARGE))
    assert (raw["isolated"], raw["offline"], raw["packages"][1]["nodes"]) == ("2-3", "255", "4-7")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"online": 3}', machine_texts.written(TIERED).replace("pmem", "x")])
def test_another_text_is_no_machine(text):
    with pytest.raises(ValueError, match="no machine that this version knows"):
        machine_texts.read(text)
