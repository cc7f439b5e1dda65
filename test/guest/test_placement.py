"""What topology-aware decides is what the kernel does: processes run where their containers were placed.

The expected sets are the predecessor's own, where its tests say them (spec §13.3: TA-1, TA-13).
"""

import contextlib
import signal

import pytest

from cri_resmgr.values import cpusets
from equipment.guest import JobFailed
from equipment.guest.guest import wait_until
from equipment.guest.inits import MINIMAL, SYSTEMD
from equipment.guest.node import Node
from equipment.guest.pods import Place
from equipment.guest.topologies import C4PMEM4, N4C8, N4C16, N4D4C16
from equipment.guest.workloads import Container, besteffort, burstable, guaranteed
from guest.machines import on

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_guest]

# 750m are rounded up to CPU 0.
PINNED = "policy: {Active: topology-aware, ReservedResources: {CPU: 750m}}\n"
MEMORY_TYPE = "memory-type.cri-resource-manager.intel.com/container"
BOTH_DRIVERS = on((N4C16, SYSTEMD), (N4C16, MINIMAL))


def places(**each: tuple[str, str]) -> dict[str, Place]:
    """CPUs and memory nodes by container."""
    return {name: Place(*one) for name, one in each.items()}


def assert_placed(node: Node, **each: tuple[str, str]) -> None:
    """Scheduler, cgroups and store agree, as soon as everybody has been told: who gains CPUs learns it last."""
    expected = places(**each)
    with contextlib.suppress(JobFailed):  # the assertions say it better
        wait_until(lambda: node.pods.allowed() == expected == node.decided(), "the placement")
    assert node.pods.allowed() == expected
    assert node.pods.effective() == expected
    assert node.decided() == expected


@BOTH_DRIVERS
def test_whole_cpus_are_spread_over_the_nodes_and_those_who_share_get_what_is_left(node: Node):
    node.serve(PINNED)
    node.pods.run(guaranteed("pod0", 1000, 1000, 1000, 1000))
    own = {"pod0c0": ("4", "1"), "pod0c1": ("8", "2"), "pod0c2": ("12", "3"), "pod0c3": ("1", "0")}
    assert_placed(node, **own)
    node.pods.run(besteffort("pod1"))
    node.pods.run(besteffort("pod2", namespace="kube-system"))
    assert_placed(node, **own, pod1c0=("5-7", "1"), pod2c0=("0", "0-3"))


@on((N4C16, MINIMAL))
def test_who_does_not_fit_into_a_node_gets_cpus_and_memory_of_the_package(node: Node):
    node.serve(PINNED)
    node.pods.run(guaranteed("pod0", 3000, 3000, 3000, 3000))
    own = {"pod0c0": ("4-6", "1"), "pod0c1": ("8-10", "2"), "pod0c2": ("12-14", "3"), "pod0c3": ("1-3", "0-1")}
    assert_placed(node, **own)


@BOTH_DRIVERS
def test_running_containers_leave_cpus_that_become_somebodys_own_and_get_them_back(node: Node):
    node.serve(PINNED)
    node.pods.run(besteffort("pod0"))
    node.pods.run(burstable("pod1", 1000))
    assert_placed(node, pod0c0=("4-7", "1"), pod1c0=("8-11", "2"))
    node.pods.run(guaranteed("pod2", 3000, 3000))
    # At once: nobody starts on CPUs that others have not left.
    assert node.pods.allowed()["pod0c0"] == Place("7", "1")
    assert_placed(node, pod0c0=("7", "1"), pod1c0=("8-11", "2"), pod2c0=("4-6", "1"), pod2c1=("12-14", "3"))
    node.pods.resize(Container("pod2c0", 2000, 2000), "guaranteed")
    shrunk = node.decided()["pod2c0"].cpus
    assert (cpusets.parse(shrunk).bit_count(), cpusets.parse(shrunk) & ~cpusets.parse("4-6")) == (2, 0)
    left = cpusets.text(cpusets.parse("4-7") & ~cpusets.parse(shrunk))
    assert_placed(node, pod0c0=(left, "1"), pod1c0=("8-11", "2"), pod2c0=(shrunk, "1"), pod2c1=("12-14", "3"))
    node.pods.remove("pod2")
    assert_placed(node, pod0c0=("4-7", "1"), pod1c0=("8-11", "2"))


@BOTH_DRIVERS
def test_an_end_of_the_daemon_moves_nobody_and_gives_no_cpu_twice(node: Node):
    node.serve(PINNED)
    node.pods.run(besteffort("pod0"))
    node.pods.run(guaranteed("pod1", 3000, 3000))
    before = {"pod0c0": ("7", "1"), "pod1c0": ("4-6", "1"), "pod1c1": ("8-10", "2")}
    assert_placed(node, **before)
    for end in (signal.SIGTERM, signal.SIGKILL):
        node.restart(end)
        assert_placed(node, **before)
    node.pods.run(guaranteed("pod2", 3000))
    assert_placed(node, **before, pod2c0=("12-14", "3"))
    node.stop(signal.SIGKILL)
    assert {name: (place.cpus, place.mems) for name, place in node.pods.allowed().items()} == before | {
        "pod2c0": ("12-14", "3")
    }
    node.start()
    node.pods.remove("pod1")
    assert_placed(node, pod0c0=("4-7", "1"), pod2c0=("12-14", "3"))


@on((N4D4C16, SYSTEMD), (N4D4C16, MINIMAL))
def test_who_does_not_fit_into_a_die_gets_a_package_and_those_in_its_dies_make_room(node: Node):
    node.serve(PINNED)
    node.pods.run(besteffort("pod0"))
    assert_placed(node, pod0c0=("4-7", "1"))
    node.pods.run(guaranteed("pod1", 5000, 5000))
    assert_placed(node, pod0c0=("6-7", "1"), pod1c0=("8-12", "2-3"), pod1c1=("1-5", "0-1"))
    node.pods.remove("pod1")
    assert_placed(node, pod0c0=("4-7", "1"))


@on((N4C8, MINIMAL), (N4C8, SYSTEMD))
def test_nobody_empties_a_pool_that_others_may_need(node: Node):
    node.serve(PINNED)
    node.pods.run(guaranteed("pod0", 1000, 1000, 1000, 1000))
    own = {"pod0c0": ("2", "1"), "pod0c1": ("4", "2"), "pod0c2": ("6", "3"), "pod0c3": ("1", "0-1")}
    assert_placed(node, **own)
    # Two are free in the second package, and none would be left there.
    node.pods.run(guaranteed("pod1", 2000))
    assert_placed(node, **own, pod1c0=("5,7", "0-3"))
    node.pods.run(besteffort("pod2"))
    assert_placed(node, **own, pod1c0=("5,7", "0-3"), pod2c0=("3", "1"))
    node.pods.remove("pod0")
    assert_placed(node, pod1c0=("5,7", "0-3"), pod2c0=("2-3", "1"))


@on((C4PMEM4, MINIMAL), (C4PMEM4, SYSTEMD))
def test_a_container_gets_the_kinds_of_memory_that_it_names_and_the_cpu_that_is_near(node: Node):
    node.serve(PINNED)
    kinds = {f"{MEMORY_TYPE}.pod0c0": "dram", f"{MEMORY_TYPE}.pod0c1": "pmem", f"{MEMORY_TYPE}.pod0c2": "pmem,dram"}
    node.pods.run(guaranteed("pod0", 500, 500, 500, 500, mib=238, annotations=kinds))
    typed = {"pod0c0": ("1", "1"), "pod0c1": ("2", "4"), "pod0c2": ("3", "3,5")}
    assert_placed(node, **typed, pod0c3=("1-3", "0-7"))
    node.restart(signal.SIGKILL)
    assert_placed(node, **typed, pod0c3=("1-3", "0-7"))
