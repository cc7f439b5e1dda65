"""How close pools are to where devices are."""

import pytest

from cri_resmgr.host.grids import grid
from cri_resmgr.policies.allocating import Allocator
from cri_resmgr.policies.contract import Context
from cri_resmgr.policies.topology_aware import hinting
from cri_resmgr.policies.topology_aware.growing import grown
from cri_resmgr.policies.topology_aware.limits import limits
from cri_resmgr.values import cpusets
from cri_resmgr.values.hints import Hint
from unit.policies.topology_aware.nodes import O1, Node

MACHINE = grid(packages=2, dies=2, nodes=2, cores=1, threads=2)
"""CPUs 2k and 2k+1 are node k; nodes 0-1 and 2-3 are the dies of package 0, 4-7 are package 1."""
TREE = grown(MACHINE, limits(Context(MACHINE, reserved=O1), Allocator(MACHINE)), Allocator(MACHINE))
POOLS = ("NUMA node #1", "die #0/0", "socket #0", "root")


def score(hint: Hint, name: str) -> float:
    pool = TREE.named(name)
    assert pool is not None
    return hinting.score(hint, pool)


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        ({"cpus": "2-3"}, [1, 1, 1, 1]),
        ({"cpus": "1-2"}, [0.5, 1, 1, 1]),
        ({"cpus": "2,8"}, [0.5, 0.5, 0.5, 1]),
        ({"cpus": "4"}, [0, 1, 1, 1]),
        ({"nodes": "1"}, [1, 0.9, 0.9, 0.81]),
        ({"nodes": "0"}, [0, 0.9, 0.9, 0.81]),
        ({"nodes": "2"}, [0, 0, 0.9, 0.81]),
        ({"nodes": "1-2"}, [1, 0.9, 0.9, 0.81]),
        ({"nodes": "5"}, [0, 0, 0, 0.81]),
        ({"packages": "0"}, [0.25, 0.5, 1, 0.9]),
        ({"packages": "1"}, [0, 0, 0, 0.9]),
        ({"cpus": "4", "nodes": "1", "packages": "0"}, [0, 1, 1, 1]),
        ({"nodes": "1", "packages": "1"}, [1, 0.9, 0.9, 0.81]),
    ],
    ids=str,
)
def test_pools_score_by_the_first_set_of_a_hint_that_is_not_empty(hint, expected):
    made = Hint("/devices/x", **{name: cpusets.parse(text) for name, text in hint.items()})
    assert [score(made, name) for name in POOLS] == expected


def test_all_hints_count_together_and_those_that_apply_by_themselves():
    node = TREE.named("NUMA node #1")
    near, far, half = Hint("/a", nodes=0b10), Hint("/b", nodes=0b1), Hint("/c", cpus=0b110)
    assert hinting.scores([], node) == (0, 0)
    assert hinting.scores([near, half], node) == (0.5, 0.5)
    assert hinting.scores([far, half, half], node) == (0, 0.25)
    assert hinting.scores([far], node) == (0, 0)


def test_the_kubelets_own_sets_are_no_hint():
    assert hinting.scores([Hint("kubelet", cpus=1)], TREE.root) == (0, 0)


def test_a_container_goes_to_its_device():
    node = Node()
    decision = node.run("p", cpu=1000, hints=(Hint("/devices/pci", nodes=0b1000),))
    assert (node.pool("p"), node.cpus("p")) == ("NUMA node #3", "12")
    assert decision.candidates[0].scores["hints"] == 1
    assert decision.candidates[1].verdict == "is farther by hints"


def test_devices_of_different_nodes_draw_it_to_the_pool_that_is_near_to_most():
    node = Node()
    node.run("p", cpu=1000, hints=(Hint("/a", nodes=0b100), Hint("/b", nodes=0b1000)))
    assert node.pool("p") == "socket #1"
