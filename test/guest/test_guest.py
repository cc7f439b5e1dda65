"""The guest is the machine that it should be, and the daemon runs in it: policy `none` leaves every container alone."""

import pytest

from cri_resmgr.values import cpusets
from equipment.guest.inits import MINIMAL, SYSTEMD
from equipment.guest.node import Node
from equipment.guest.pods import Place
from equipment.guest.topologies import C4PMEM4, N4C16
from equipment.guest.workloads import besteffort, guaranteed
from guest.machines import EVERY, on

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_guest]

NONE = "policy: {Active: none}\n"


@on(*EVERY)
def test_the_guest_is_the_machine_that_it_should_be(node: Node):
    topology = node.guest.topology
    paths = [f"/sys/devices/system/node/node{number}" for number in range(len(topology.nodes))]
    cpus = node.guest.read(*(f"{path}/cpulist" for path in paths))
    distances = node.guest.read(*(f"{path}/distance" for path in paths))
    assert [text.decode().strip() for text in cpus] == [each.cpus for each in topology.nodes]
    numbers = range(len(topology.nodes))
    assert [[int(word) for word in text.split()] for text in distances] == [
        [topology.distance(one, other) for other in numbers] for one in numbers
    ]


@on((N4C16, SYSTEMD), (N4C16, MINIMAL), (C4PMEM4, MINIMAL))
def test_policy_none_leaves_every_container_on_all_of_the_machine(node: Node):
    node.serve(NONE)
    for pod in (guaranteed("pod0", 1000), besteffort("pod1")):
        node.pods.run(pod)
    topology = node.guest.topology
    everywhere = Place(cpusets.text((1 << topology.cpus) - 1), cpusets.text((1 << len(topology.nodes)) - 1))
    names = {"pod0c0", "pod1c0"}
    assert node.pods.allowed() == node.pods.effective() == dict.fromkeys(names, everywhere)
    assert node.decided() == dict.fromkeys(names, Place("", ""))
