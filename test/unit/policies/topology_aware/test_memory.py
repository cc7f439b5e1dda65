"""Memory: where it is taken from, who makes room, what is too much."""

import json

import pytest

from cri_resmgr.host.grids import MemoryNode, grid
from cri_resmgr.policies.contract import PolicyRefusal
from cri_resmgr.values.hints import Hint
from cri_resmgr.values.machines import MemoryKind
from unit.policies.topology_aware.nodes import C4PMEM4, Node, annotated, key

GIB = 1 << 30
TWO_NODES = grid(nodes=2, cores=4, memory_bytes=100)
MIXED = grid(
    nodes=2,
    cores=4,
    memory_bytes=100,
    memory_nodes=[
        MemoryNode(200, MemoryKind.PMEM, 0, 17),
        MemoryNode(200, MemoryKind.PMEM, 1, 17),
        MemoryNode(30, MemoryKind.HBM, 0, 17),
    ],
)
"""Nodes 0 and 1 have DRAM, 2 and 3 PMEM, and 4, near to node 0, has HBM."""


def home(node: Node, name: str) -> str:
    return json.loads(node.container(name).holding.memo)["home"]


def booked(node: Node, name: str) -> list[int]:
    """Bytes of PMEM, DRAM and HBM."""
    return json.loads(node.container(name).holding.memo)["bytes"]


def test_a_container_that_needs_more_than_a_node_has_gets_a_larger_pool():
    node = Node(TWO_NODES)
    node.run("small", cpu=100, memory=100)
    node.run("large", cpu=100, memory=90)
    assert (home(node, "small"), home(node, "large")) == ("NUMA node #1", "NUMA node #0")
    node = Node(TWO_NODES)
    node.run("large", cpu=100, memory=101)
    assert (node.pool("large"), node.mems("large")) == ("socket #0", "0-1")


def test_it_is_taken_from_pmem_first():
    node = Node(MIXED)
    node.run("a", cpu=100, memory=150)
    node.run("b", cpu=100, memory=250)
    assert booked(node, "a") == [150, 0, 0]
    assert booked(node, "b") == [200, 50, 0]
    assert (node.mems("a"), node.mems("b")) == ("1,3", "0,2")


@pytest.mark.parametrize(
    ("words", "amounts", "mems", "pool"),
    [
        ("dram", [0, 20, 0], "1", "NUMA node #1"),
        ("pmem", [20, 0, 0], "3", "NUMA node #1"),
        ("hbm", [0, 0, 20], "4", "NUMA node #0"),
        ("hbm,dram", [0, 20, 0], "0,4", "NUMA node #0"),
        ("mixed", [20, 0, 0], "0,2,4", "NUMA node #0"),
    ],
)
def test_it_is_of_the_annotated_types_and_where_all_of_those_are(words, amounts, mems, pool):
    node = Node(MIXED)
    node.run("p", cpu=100, memory=20, annotations=annotated("memory-type", words))
    assert (booked(node, "p"), node.mems("p"), node.pool("p")) == (amounts, mems, pool)


def test_whoever_does_not_ask_for_hbm_stays_off_it():
    node = Node(MIXED)
    for i in range(4):
        node.run(f"p{i}", cpu=100)
    assert {node.mems(f"p{i}") for i in range(4)} == {"1,3", "0,2"}


def test_the_smaller_ones_move_up_for_one_that_is_promised_memory_around_them():
    node = Node(TWO_NODES)
    node.run("a", cpu=100, memory=60)
    node.run("b", cpu=100, memory=20)
    assert (home(node, "a"), home(node, "b")) == ("NUMA node #1", "NUMA node #0")
    change = node.run("large", cpu=100, memory=110).neighbours
    assert set(change) == {key("a"), key("b")}
    assert change[key("a")].assignment.cpuset_mems == "0-1"
    assert change[key("a")].assignment.cpuset_cpus == node.cpus("a")
    assert [home(node, name) for name in ("a", "b", "large")] == ["socket #0"] * 3


def test_nobody_moves_who_leaves_enough_room():
    node = Node(TWO_NODES)
    node.run("a", cpu=100, memory=20)
    node.run("b", cpu=6000, memory=60)
    assert (node.pool("b"), home(node, "a")) == ("socket #0", "NUMA node #1")


def test_a_wave_of_moves_ends_at_the_top():
    node = Node(grid(packages=2, nodes=2, cores=4, memory_bytes=100))
    node.run("leaf", cpu=100, memory=50)
    node.run("socket", cpu=5000, memory=120)
    assert (home(node, "leaf"), home(node, "socket")) == ("NUMA node #1", "socket #1")
    node.run("large", cpu=9000, limit=9500, memory=210)
    assert [home(node, name) for name in ("leaf", "socket", "large")] == ["root"] * 3
    assert [sum(booked(node, name)) for name in ("leaf", "socket", "large")] == [50, 120, 210]


def test_it_reaches_those_beside_and_the_newcomer_when_somebody_moves_up_far():
    node = Node(grid(packages=2, nodes=2, cores=4, memory_bytes=100))
    node.run("beside", cpu=100, memory=95)
    node.run("below", cpu=100, memory=60)
    decision = node.run("large", cpu=100, memory=150)
    assert (node.pool("large"), decision.assignment.cpuset_mems) == ("socket #1", "0-3")
    assert [home(node, name) for name in ("beside", "below", "large")] == ["root"] * 3


def test_only_those_move_who_have_memory_of_the_type_in_question():
    node = Node(MIXED, colocate_pods=True)
    for name, words in (("p:a", "dram"), ("p:b", "pmem"), ("p:c", "dram")):
        node.run(name, cpu=100, memory=50, annotations=annotated("memory-type", words, f"/container.{name[2:]}"))
    assert [home(node, name) for name in ("p:a", "p:b", "p:c")] == ["NUMA node #1"] * 3
    node.run("own", cpu=5000, memory=40, annotations=annotated("memory-type", "dram"))
    assert [home(node, name) for name in ("p:a", "p:b", "p:c")] == ["socket #0", "NUMA node #1", "socket #0"]


def test_memory_of_one_type_is_in_nobodys_way_who_has_another():
    node, near = Node(MIXED), (Hint("/devices/x", nodes=0b10),)
    node.run("first", cpu=1000, hints=near)
    node.run("dram", cpu=1000, memory=60, hints=near, annotations=annotated("memory-type", "dram"))
    node.run("pmem", cpu=100, memory=300, annotations=annotated("memory-type", "pmem"))
    assert (home(node, "dram"), node.own("dram"), home(node, "pmem")) == ("NUMA node #1", "5", "socket #0")
    node.end("first")
    assert node.stage.restore() == {}


def test_a_place_that_is_promised_to_others_is_none_even_for_those_who_need_nothing():
    node = Node(TWO_NODES)
    node.run("large", cpu=100, memory=150)
    node.run("small", cpu=100)
    assert home(node, "small") == "socket #0"


def test_too_much_is_refused_with_what_is_short_and_where():
    node = Node(TWO_NODES)
    node.run("a", cpu=100, memory=90)
    state = node.stage.state
    with pytest.raises(PolicyRefusal) as refused:
        node.run("b", cpu=100, memory=130)
    assert str(refused.value) == (
        "Guaranteed, 100m of CPU: shares CPUs, but no pool can hold it; short of 20 bytes of memory: socket #0; "
        "short of 120 bytes of memory: NUMA node #1; short of 30 bytes of memory: NUMA node #0. "
        "Request less memory or other types of it, or end something that holds memory"
    )
    assert node.stage.state == state


def test_a_type_that_is_used_up_is_not_replaced_by_another():
    node = Node(MIXED)
    with pytest.raises(PolicyRefusal, match="memory"):
        node.run("p", cpu=100, memory=31, annotations=annotated("memory-type", "hbm"))


def test_a_burstable_limit_that_fits_nowhere_refuses_nobody():
    """The scheduler counts requests only: the predecessor fails pods that it has sent."""
    node = Node(TWO_NODES)
    spec = {"containers": {"c0": {"requests": {"cpu": "100m", "memory": "40"}, "limits": {"cpu": 1, "memory": "500"}}}}
    decision = node.run("p", cpu=100, limit=1000, memory=500, annotations={"intel.com/resources": json.dumps(spec)})
    assert sum(booked(node, "p")) == 40
    assert "its memory limit fits nowhere: only what it requests is booked" in decision.reasons


COLD = annotated("cold-start", "duration: 60s")


def test_a_cold_start_is_on_pmem_alone_until_the_time_has_come():
    node = Node(C4PMEM4)
    decision = node.run("p", cpu=500, memory=GIB, annotations=COLD)
    assert (node.pool("p"), node.mems("p"), decision.revisit_after_start_s) == ("socket #1", "7", 60)
    warm = node.stage.revisit(key("p"))
    assert (node.mems("p"), warm.revisit_after_start_s, warm.neighbours) == ("1,7", 0, {})
    assert node.stage.revisit(key("p")).assignment == warm.assignment


def test_a_cold_start_survives_a_restart():
    node = Node(C4PMEM4)
    node.run("p", cpu=500, memory=GIB, annotations=COLD)
    assert node.stage.restore() == {}
    assert (node.mems("p"), node.container("p").revisit_after_start_s) == ("7", 60)
    node.stage.revisit(key("p"))
    assert node.stage.restore() == {}
    assert node.mems("p") == "1,7"


def test_where_pmem_is_too_small_there_is_no_cold_start():
    node = Node(C4PMEM4)
    decision = node.run("p", cpu=500, memory=17 * GIB, annotations=COLD)
    assert decision.revisit_after_start_s == 0
    assert "not enough PMEM to start cold" in decision.reasons


def test_without_pinning_nothing_is_said_about_memory():
    node = Node(pin_memory=False)
    node.run("p", cpu=1000)
    assert node.container("p").given.cpuset_mems is None
    assert node.cpus("p") == "4"
