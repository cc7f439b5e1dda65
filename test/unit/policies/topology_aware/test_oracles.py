"""The predecessor's end-to-end tests of this policy, by number: what they assert, and the very CPUs that follow.

Guaranteed containers have a CPU request in these tables, Burstable ones a limit beside it, BestEffort ones neither.
"""

import pytest

from cri_resmgr.errors import BadInput
from cri_resmgr.host.grids import grid
from cri_resmgr.policies.contract import CpuLimit
from unit.policies.topology_aware.nodes import C4PMEM4, N4C16, O1, Node, annotated, cpuset

MIB = 1 << 20
SYSTEM = {"namespace": "kube-system"}


def cpus_in_turn(node: Node, *wishes: dict) -> list[str]:
    """The CPUs of containers that come one after the other."""
    names = [f"pod{len(node.stage.containers) + i}" for i in range(len(wishes))]
    for name, wish in zip(names, wishes, strict=True):
        node.run(name, memory=100 * MIB if wish.get("cpu") else 0, **wish)
    return [node.cpus(name) for name in names]


@pytest.mark.parametrize(
    ("wishes", "cpus", "mems"),
    [
        ([{"cpu": 1000}] * 4, ["4", "8", "12", "1"], ["1", "2", "3", "0"]),
        ([{"cpu": 3000}] * 4, ["4-6", "8-10", "12-14", "1-3"], ["1", "2", "3", "0-1"]),
        ([{"cpu": 2000, "limit": 4000}] * 4, ["4-7", "8-11", "12-15", "1-3"], ["1", "2", "3", "0"]),
        ([{"cpu": 5000}] * 2, ["8-12", "1-5"], ["2-3", "0-1"]),
    ],
    ids=["a: one CPU each", "b: three CPUs each", "c: Burstable", "d: five CPUs each"],
)
def test_ta_1_containers_are_spread_over_the_nodes(wishes, cpus, mems):
    node = Node()
    assert cpus_in_turn(node, *wishes) == cpus
    assert [node.mems(f"pod{i}") for i in range(len(wishes))] == mems


def test_ta_1_d_init_containers_that_have_ended_are_in_nobodys_way():
    node = Node()
    for i in range(5):
        node.run(f"pod:init{i}", cpu=5000)
        node.end(f"pod:init{i}")
    assert cpus_in_turn(node, {"cpu": 5000}, {"cpu": 5000}) == ["8-12", "1-5"]


def test_ta_1_e_containers_of_a_pod_are_drawn_to_each_other():
    node = Node(colocate_pods=True)
    for i in range(4):
        node.run(f"pod:c{i}", cpu=100)
    assert {node.cpus(f"pod:c{i}") for i in range(4)} == {"4-7"}


def test_ta_1_f_containers_of_a_namespace_are_drawn_to_each_other():
    node = Node(colocate_namespaces=True)
    names = ["pod0", "pod1", "pod2:c0", "pod2:c1"]
    for name in names:
        node.run(name, cpu=100, namespace="test-ns")
    assert {node.cpus(name) for name in names} == {"4-7"}


def test_ta_2_what_fits_finds_its_place():
    node = Node()
    assert cpus_in_turn(node, *({"cpu": n * 1000} for n in (1, 2, 3, 4))) == ["4", "8-9", "12-14", "2-3,6-7"]
    node.end_all()
    assert cpus_in_turn(node, {"cpu": 5000}, {"cpu": 7000}) == ["8-12", "1-7"]
    assert node.pool("pod1") == "root"
    node.end_all()
    assert cpus_in_turn(node, {"cpu": 9000}) == ["1,8-15"]


def test_ta_2_a_pool_that_would_be_used_up_exactly_comes_after_one_with_room():
    node = Node()
    for name, cpu in (("b3", 3000), ("b4", 4000), ("b5", 5000)):
        node.run(name, cpu=cpu, limit=cpu + 1000)
    assert [node.cpus(name) for name in ("b3", "b4", "b5")] == ["4-7", "8-15", "1-15"]
    node.end("b3", "b4")
    node.run("b8", cpu=8000, limit=9000)
    assert node.cpus("b8") == "1-15"
    node.end("b8")
    node.run("c5", cpu=5000, limit=6000)
    node.run("c4", cpu=4000, limit=5000)
    assert [node.cpus(name) for name in ("c5", "c4")] == ["8-15", "1-7"]


def test_ta_5_only_available_cpus_are_given():
    node = Node(available=cpuset("4-11"), reserved=cpuset("11"))
    assert cpus_in_turn(node, {"cpu": 3000}, {"cpu": 980}, {"cpu": 980}) == ["4-6", "8-10", "8-10"]
    assert [node.mems(f"pod{i}") for i in range(3)] == ["1", "2", "2"]


@pytest.mark.parametrize(
    ("available", "first", "second", "own", "left"),
    [("1-4,11", "1-3", "4", "1", "2-3"), ("5-8,11", "5-7", "8", "5", "6-7")],
)
def test_ta_5_a_shared_set_shrinks_for_an_exclusive_cpu(available, first, second, own, left):
    node = Node(available=cpuset(available), reserved=cpuset("11"))
    assert cpus_in_turn(node, {"cpu": 980}, {"cpu": 980}) == [first, second]
    assert cpus_in_turn(node, {"cpu": 1000}) == [own]
    assert node.cpus("pod0") == left


@pytest.mark.parametrize("reserved", [cpuset("3,7,11,15"), CpuLimit(millicpu=11000)])
def test_ta_6_a_reserve_must_be_a_part_of_what_is_available(reserved):
    with pytest.raises(BadInput, match=r"policy\.ReservedResources"):
        Node(available=cpuset("4-7,8-13"), reserved=reserved)


@pytest.mark.parametrize(
    ("reserved", "cpus"), [(cpuset("10-11"), "10-11"), (cpuset("7,11"), "7,11"), (CpuLimit(millicpu=2250), "4-6")]
)
def test_ta_6_the_system_runs_on_the_reserve(reserved, cpus):
    node = Node(available=cpuset("4-7,8-13"), reserved=reserved)
    assert cpus_in_turn(node, SYSTEM, SYSTEM, SYSTEM) == [cpus] * 3


def test_ta_6_the_system_shares_with_others_when_the_reserve_is_used_up():
    node = Node(available=cpuset("4-7,8-13"), reserved=cpuset("7,11"))
    assert set(cpus_in_turn(node, *[SYSTEM] * 4, *[SYSTEM | {"cpu": 200}] * 4)) == {"7,11"}
    for _ in range(2):
        node.run("one", cpu=1000, **SYSTEM)
        assert node.cpus("one") == "7,11"
        node.end("one")
    node.run("two", cpu=2000, **SYSTEM)
    assert node.cpus("two") == "4-6,8-10,12-13"


ISOLATED = annotated("prefer-isolated-cpus", "true")
NOT_ISOLATED = annotated("prefer-isolated-cpus", "false")
NOT_SHARED = annotated("prefer-shared-cpus", "false")


def test_ta_8_kernel_isolated_cpus_go_to_those_who_prefer_them():
    node = Node(grid(packages=2, nodes=2, cores=2, threads=2, isolated=0b11 << 8))
    wishes = [{"cpu": 1000, "annotations": a} for a in (ISOLATED, NOT_ISOLATED, {})]
    assert cpus_in_turn(node, *wishes) == ["8", "4", "9"]
    assert (node.mems("pod0"), node.mems("pod2")) == ("2", "2")
    assert node.container("pod0").holding.isolated == "8"
    node.end_all()
    alone = [
        ({"cpu": 2000, "annotations": ISOLATED}, "8-9"),
        ({"cpu": 2500, "annotations": ISOLATED | NOT_SHARED}, "8-11"),
        ({"cpu": 1500, "annotations": ISOLATED | NOT_SHARED}, "8,10-11"),
    ]
    for wish, cpus in alone:
        assert cpus_in_turn(node, wish) == [cpus]
        node.end_all()
    both = ISOLATED | NOT_SHARED
    wishes = [{"cpu": 3000, "annotations": both}, *[{"cpu": 200, "annotations": both}] * 4]
    assert cpus_in_turn(node, *wishes) == ["4-6", "12-15", "1-3", "10-11", "12-15"]


def test_ta_10_other_namespaces_may_run_on_the_reserve():
    node = Node(
        available=cpuset("8-11"),
        reserved=cpuset("10-11"),
        reserved_pool_namespaces=["reserved-pool", "reserved-*", "foobar"],
    )
    opted_out = annotated("prefer-reserved-cpus", "false", "/pod")
    opted_in = annotated("prefer-reserved-cpus", "true", "/pod")
    assert cpus_in_turn(
        node,
        SYSTEM,
        {},
        {"namespace": "foobar"},
        {"namespace": "reserved-7"},
        {"namespace": "foobar", "annotations": opted_out},
        {"namespace": "foobar", "annotations": opted_in},
        {"annotations": opted_in},
    ) == ["10-11", "8-9", "10-11", "10-11", "8-9", "10-11", "10-11"]


def test_ta_12_memory_only_nodes_belong_to_the_packages_that_they_are_near():
    stage = Node(C4PMEM4).stage
    assert {pool.name: pool.mems for pool in stage.policy.pools(stage.state)} == {
        "root": "0-7",
        "socket #0": "0,6",
        "socket #1": "1,7",
        "socket #2": "2,4",
        "socket #3": "3,5",
    }


@pytest.mark.parametrize(
    "annotations",
    [
        {
            **annotated("memory-type", "dram", "/container.c0"),
            **annotated("memory-type", "pmem", "/container.c1"),
            **annotated("memory-type", "pmem,dram", "/container.c2"),
        },
        {"cri-resource-manager.intel.com/memory-type": "c0: dram\nc1: pmem\nc2: pmem,dram\n"},
    ],
    ids=["effective", "deprecated"],
)
def test_ta_13_memory_is_of_the_types_that_are_annotated(annotations):
    node = Node(C4PMEM4, reserved=O1)
    for name in ("c0", "c1", "c2", "c9"):
        node.run(f"pod0:{name}", cpu=500, memory=250 * MIB, annotations=annotations)
    given = {name: (node.cpus(f"pod0:{name}"), node.mems(f"pod0:{name}")) for name in ("c0", "c1", "c2", "c9")}
    assert given == {"c0": ("1", "1"), "c1": ("2", "4"), "c2": ("3", "3,5"), "c9": ("1-3", "0-7")}


def test_the_machine_of_these_tests_is_the_predecessors():
    assert [node.cpus for node in N4C16.nodes] == [0xF, 0xF0, 0xF00, 0xF000]
