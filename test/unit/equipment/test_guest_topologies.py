import itertools
import re
from pathlib import Path

import pytest

from cri_resmgr.values import cpusets
from equipment.guest.command import Places, command
from equipment.guest.inits import INITS, MINIMAL, SYSTEMD
from equipment.guest.topologies import C4PMEM4, N4C16, TOPOLOGIES, Topology

EVERY = pytest.mark.parametrize("topology", TOPOLOGIES.values(), ids=TOPOLOGIES)


def options(topology: Topology, *, shared: bool = True) -> list[str]:
    return list(topology.options(Path("/memory"), shared=shared))


@EVERY
def test_every_cpu_is_in_exactly_one_node(topology: Topology):
    sets = [cpusets.parse(node.cpus) for node in topology.nodes]
    assert sum(sets) == (1 << topology.cpus) - 1
    assert all(one & other == 0 for one, other in itertools.combinations(sets, 2))


@EVERY
def test_packages_dies_cores_and_threads_make_up_all_cpus(topology: Topology):
    cpus, *per_level = map(int, re.findall(r"\d+", topology.smp))
    assert cpus == topology.cpus
    product = 1
    for number in per_level:
        product *= number
    assert product == cpus


@EVERY
def test_distances_are_ten_to_itself_and_the_same_both_ways(topology: Topology):
    numbers = range(len(topology.nodes))
    assert all(topology.distance(number, number) == 10 for number in numbers)
    for one, other in itertools.combinations(numbers, 2):
        assert topology.distance(one, other) == topology.distance(other, one) > 10


def test_qemu_is_told_every_distance_of_two_nodes():
    told = [each for each in options(C4PMEM4) if each.startswith("dist,")]
    assert len(told) == 8 * 7
    assert "dist,src=4,dst=2,val=17" in told
    assert "dist,src=4,dst=3,val=28" in told
    assert "dist,src=0,dst=3,val=21" in told


def test_a_memory_only_node_names_no_cpus():
    nodes = [each for each in options(C4PMEM4) if each.startswith("node,")]
    assert nodes[3:5] == ["node,nodeid=3,memdev=node3,cpus=3", "node,nodeid=4,memdev=node4"]


@pytest.mark.parametrize("word", ["on", "off"])
def test_memory_is_in_a_file_for_each_node_and_written_back_only_if_shared(word: str):
    backends = [each for each in options(N4C16, shared=word == "on") if each.startswith("memory-backend-file")]
    assert backends == [
        f"memory-backend-file,id=node{n},size=1024M,mem-path=/memory/{n},share={word}" for n in range(4)
    ]


@EVERY
@pytest.mark.parametrize("init", INITS.values(), ids=INITS)
def test_who_goes_on_from_a_snapshot_is_the_same_machine_with_private_memory(topology: Topology, init):
    places = Places(Path("/image"), Path("/memory"), Path("/run"))
    booted, restored = (command(topology, init, places, incoming=incoming) for incoming in (False, True))
    assert restored[-2:] == ["-incoming", "defer"]
    assert [each.replace("share=off", "share=on") for each in restored[:-2]] == booted


def test_the_kernel_starts_the_init_that_was_asked_for():
    places = Places(Path("/image"), Path("/memory"), Path("/run"))
    for init in (SYSTEMD, MINIMAL):
        argv = command(N4C16, init, places, incoming=False)
        assert argv[argv.index("-append") + 1].endswith(f" init={init.program}")
    assert (SYSTEMD.cgroup_driver, MINIMAL.cgroup_driver) == ("systemd", "cgroupfs")
