"""What people, the rest of the program and containers are told."""

from dataclasses import replace

import pytest

from cri_resmgr.host.grids import MemoryNode, grid
from cri_resmgr.policies.contract import CpuLimit, PolicyRefusal, Pool
from cri_resmgr.values.hints import Hint
from cri_resmgr.values.machines import MemoryKind
from unit.policies.topology_aware.nodes import C4PMEM4, N4C16, Node, annotated, cpuset, key

MIB, GIB = 1 << 20, 1 << 30


# -- reasons and candidates


def test_reasons_say_what_is_wanted_what_is_given_and_what_decided():
    node = Node()
    assert node.run("a", cpu=1500, memory=100 * MIB).reasons == (
        "Guaranteed, 1500m of CPU: 1 of its own, 500m shared",
        "has CPU 4 of NUMA node #1 to itself",
        "shares CPUs 5-7 of NUMA node #1",
        "NUMA node #1 rather than NUMA node #2, which comes later",
        "100 MiB of memory from NUMA node #1: node 1",
    )
    assert node.run("b", memory=1000).reasons[1:] == (
        "shares CPUs 8-11 of NUMA node #2",
        "NUMA node #2 rather than NUMA node #3, which comes later",
        "1000 bytes of memory from NUMA node #2: node 2",
    )
    assert node.run("c", cpu=15, namespace="kube-system").reasons == (
        "namespace kube-system runs on reserved CPUs",
        "shares reserved CPU 0",
        "memory of root: nodes 0-3",
    )
    assert "the reserved CPUs are used up" in node.run("d", cpu=999, namespace="kube-system").reasons
    assert node.run("e", cpu=9000).reasons[2] == "no other pool can hold it"


def test_reasons_name_isolated_cpus_and_their_lack():
    node = Node(grid(packages=2, nodes=2, cores=2, threads=2, isolated=1 << 8))
    assert "has kernel-isolated CPU 8 of NUMA node #2 to itself" in node.run("a", cpu=1000).reasons
    assert "too few kernel-isolated CPUs are free: ordinary ones" in node.run("b", cpu=1000).reasons


def test_reasons_end_with_what_was_ignored():
    node = Node()
    decision = node.run("a", cpu=1000, annotations=annotated("prefer-isolated-cpus", "perhaps"))
    assert decision.reasons[-1].endswith("'perhaps' is neither true nor false")


def test_a_cold_start_is_told():
    decision = Node(C4PMEM4).run("p", cpu=500, memory=GIB, annotations=annotated("cold-start", "duration: 60s"))
    assert "1024 MiB of memory from socket #1: node 7, PMEM alone until it has warmed up" in decision.reasons


def test_neighbours_hear_who_came_was_resized_or_went():
    node = Node()
    node.run("q")
    told = [
        node.run("p:main", cpu=1000).neighbours[key("q")].reasons,
        node.resize("p:main", cpu=2000).neighbours[key("q")].reasons,
        node.stage.exit(key("p:main")).neighbours[key("q")].reasons,
    ]
    assert told == [
        ("default/p:main came: shares CPUs 5-7 of NUMA node #1, memory of NUMA node #1",),
        ("default/p:main was resized: shares CPUs 6-7 of NUMA node #1, memory of NUMA node #1",),
        ("default/p:main ended: shares CPUs 4-7 of NUMA node #1, memory of NUMA node #1",),
    ]


def test_candidates_are_all_pools_with_what_they_scored_and_why_they_are_not_it():
    node = Node()
    node.run("a", cpu=2000)
    found = node.run("b", cpu=3000).candidates
    assert [(one.pool, one.verdict) for one in found] == [
        ("NUMA node #2", "chosen"),
        ("NUMA node #3", "comes later"),
        ("socket #1", "is larger"),
        ("socket #0", "is larger"),
        ("root", "is larger"),
        ("NUMA node #0", "would have no CPU left to share"),
        ("NUMA node #1", "short of 1000m of CPU"),
    ]
    assert found[0].scores == {"shared_millicpu": 1000, "tenants": 0}


@pytest.mark.parametrize(
    ("wish", "score"),
    [
        ({"annotations": {"cri-resource-manager.intel.com/affinity": "c0: [x]"}}, ("affinity", 0.0)),
        ({"hints": (Hint("/dev", nodes=1),)}, ("hints", 1.0)),
    ],
)
def test_candidates_show_the_scores_that_could_have_decided(wish, score):
    found = Node().run("p", cpu=100, **wish).candidates[0]
    assert (list(found.scores)[2:], found.scores[score[0]]) == ([score[0]], score[1])


def test_a_refusal_groups_pools_by_what_they_lack_and_does_not_list_them_all():
    node = Node(grid(packages=4, nodes=4, cores=2))
    with pytest.raises(PolicyRefusal) as refused:
        node.run("p", cpu=40000, memory=100 * GIB)
    assert str(refused.value) == (
        "Guaranteed, 40000m of CPU: 40 of its own, but no pool can hold it; "
        "short of 9000m of CPU and 69632 MiB of memory: root; "
        "short of 32000m of CPU and 94208 MiB of memory: socket #3, socket #2, socket #1; "
        "short of 38000m of CPU and 100352 MiB of memory: NUMA node #15, NUMA node #14, NUMA node #13, NUMA node #12, "
        "NUMA node #11, NUMA node #10, NUMA node #9, NUMA node #8 and 7 more; "
        "short of 33000m of CPU and 94208 MiB of memory: socket #0; "
        "short of 39000m of CPU and 100352 MiB of memory: NUMA node #0. "
        "Request less CPU, or end something that holds CPUs, or make more available"
    )


# -- pools and warnings


def test_pools_show_what_they_have_and_what_is_left():
    node = Node()
    node.run("a", cpu=1500, memory=GIB)
    node.run("b", cpu=500, limit=900)
    pools = node.stage.policy.pools(node.stage.state)
    assert [pool.name for pool in pools] == [
        *("root", "socket #0", "NUMA node #0", "NUMA node #1", "socket #1", "NUMA node #2", "NUMA node #3")
    ]
    assert pools[0] == Pool("root", "", "0-15", "0-3", "1-3,5-15", "4", "0", 13000, 7 * GIB)
    assert pools[2] == Pool("NUMA node #0", "socket #0", "0-3", "0", "1-3", "", "0", 3000, 2 * GIB)
    assert pools[3] == Pool("NUMA node #1", "socket #0", "4-7", "1", "5-7", "4", "", 2500, GIB)


def test_memory_that_is_promised_around_a_pool_is_not_free_in_it():
    node = Node(grid(nodes=2, cores=4, memory_bytes=100))
    node.run("a", cpu=100, memory=150)
    assert [pool.free_memory_bytes for pool in node.stage.policy.pools(node.stage.state)] == [50, 50, 50]


def test_a_reserve_that_is_too_small_is_warned_of_with_the_value_to_set():
    node = Node()
    node.run("a", cpu=900, namespace="kube-system")
    assert node.stage.policy.warnings(node.stage.state) == ()
    node.run("b", cpu=1200, namespace="kube-system")
    [warning] = node.stage.policy.warnings(node.stage.state)
    assert warning == (
        "policy.ReservedResources: containers for the reserved CPUs request 2100m, and 1000m are reserved (0); "
        "the rest shares with everybody; write CPU: 3"
    )


def test_those_to_whom_nothing_could_be_promised_are_warned_of():
    node = Node(reserved=CpuLimit(millicpu=1000))
    for i in range(7):
        node.run(f"p{i}", cpu=2000)
    node.restore(available=cpuset("0-1"), reserved=cpuset("0"))
    [warning] = node.stage.policy.warnings(node.stage.state)
    assert warning == (
        "nothing could be promised to p0:c0, p1:c0, p2:c0, p3:c0, p4:c0 and 2 more: they share in the root; "
        "make more CPUs available, or end some containers"
    )
    node.end("p4", "p5", "p6")
    assert "p3:c0: they" in node.stage.policy.warnings(node.stage.state)[0]


# -- resources.sh


@pytest.mark.parametrize(
    ("machine", "wish", "exports"),
    [
        (N4C16, {"cpu": 2000}, {"ALL_MEMS": "1", "DRAM_MEMS": "1", "EXCLUSIVE_CPUS": "4-5"}),
        (
            N4C16,
            {"cpu": 1500},
            {"ALL_MEMS": "1", "DRAM_MEMS": "1", "EXCLUSIVE_CPUS": "4", "SHARED_CPUS": "5-7"},
        ),
        (N4C16, {"cpu": 500}, {"ALL_MEMS": "1", "DRAM_MEMS": "1", "SHARED_CPUS": "4-7"}),
        (N4C16, {}, {"ALL_MEMS": "1", "DRAM_MEMS": "1"}),
        (N4C16, {"cpu": 100, "namespace": "kube-system"}, {"ALL_MEMS": "0-3", "DRAM_MEMS": "0-3"}),
        (
            grid(cores=4, isolated=0b1000),
            {"cpu": 1000},
            {"ALL_MEMS": "0", "DRAM_MEMS": "0", "ISOLATED_CPUS": "3"},
        ),
        (
            C4PMEM4,
            {"cpu": 500, "annotations": annotated("memory-type", "pmem")},
            {"ALL_MEMS": "7", "PMEM_MEMS": "7", "SHARED_CPUS": "1"},
        ),
        (
            C4PMEM4,
            {"cpu": 500},
            {"ALL_MEMS": "1,7", "DRAM_MEMS": "1", "PMEM_MEMS": "7", "SHARED_CPUS": "1"},
        ),
        (
            C4PMEM4,
            {"cpu": 500, "annotations": annotated("cold-start", "duration: 60s")},
            {"ALL_MEMS": "7", "PMEM_MEMS": "7", "SHARED_CPUS": "1"},
        ),
    ],
)
def test_a_container_is_told_what_it_has(machine, wish, exports):
    node = Node(machine)
    node.run("p", **wish)
    found = node.stage.policy.exports(node.container("p"))
    assert found == exports
    assert list(found) == sorted(found)


def test_hbm_is_told_too():
    node = Node(grid(cores=2, memory_nodes=[MemoryNode(GIB, MemoryKind.HBM, 0, 17)]))
    node.run("p", cpu=500, annotations=annotated("memory-type", "hbm"))
    assert node.stage.policy.exports(node.container("p"))["HBM_MEMS"] == "1"


def test_a_container_of_another_policy_is_told_nothing():
    node = Node()
    node.run("p", cpu=500)
    container = node.container("p")
    assert node.stage.policy.exports(replace(container, holding=replace(container.holding, policy="none"))) == {}


# -- the rest of the contract


def test_without_pinning_cpus_a_container_is_left_alone_and_has_what_it_has():
    node = Node(pin_cpu=False)
    node.run("q")
    decision = node.run("p", cpu=1500)
    assert (decision.assignment.cpuset_cpus, decision.assignment.cpu_shares) == (None, None)
    assert (decision.holding.exclusive, decision.holding.shared) == ("4", "5-7")
    assert decision.assignment.cpuset_mems == "1"
    assert (node.container("q").given.cpuset_cpus, node.container("q").holding.shared) == (None, "5-7")


def test_ending_what_never_was_changes_nothing():
    node = Node()
    decision, state = node.stage.policy.release(node.stage.state, "nobody/c/0")
    assert state is node.stage.state
    assert decision.neighbours == {}


def test_a_container_that_comes_twice_holds_what_it_got_last():
    node = Node()
    node.run("p", cpu=2000)
    node.run("p", cpu=1000)
    assert node.own("p") == "4"
    node.end("p")
    assert node.stage.state == node.stage.policy.restore(()).state


def test_revisiting_who_has_nothing_to_wait_for_changes_nothing():
    node = Node()
    node.run("p", cpu=2000)
    before = node.stage.state
    assert node.stage.revisit(key("p")).neighbours == {}
    assert node.stage.state == before
