"""Our service on a node like Gardener's: systemd, containerd.service, kubelet.service, all of them real."""

import pytest

from equipment.cri import CriClient
from equipment.pods import container, is_ready, manifest, restart_count
from equipment.processes import wait_for
from equipment.worker import RELAY_SOCKET, UNIT

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_go, pytest.mark.timeout(300)]

FOREVER = "while :; do sleep 0.2; done"
# What the installer writes: the last of two endpoint flags counts.
EXTRA_ARGS = f"KUBELET_EXTRA_ARGS=--container-runtime-endpoint=unix://{RELAY_SOCKET}\n"


def relay_the_kubelet(node, control_plane) -> None:
    """Point the kubelet at our service, in the only way that survives Gardener's node agent."""
    before = control_plane.heartbeat(node.name)
    node.inside("systemctl", "enable", "--now", UNIT)
    node.write_file("/var/lib/kubelet/extra_args", EXTRA_ARGS)
    node.inside("systemctl", "restart", "kubelet")
    control_plane.wait_ready(node.name, after=before)


def test_pods_live_on_while_the_kubelet_is_pointed_at_our_service(sandbox_node, control_plane, pods):
    before = pods.run(manifest("settled", FOREVER, node=sandbox_node.name))
    relay_the_kubelet(sandbox_node, control_plane)
    pods.run(manifest("new", FOREVER, node=sandbox_node.name))
    after = pods.get("settled")
    assert container(after)["containerID"] == container(before)["containerID"]
    assert restart_count(after) == 0
    with CriClient(sandbox_node.outside(RELAY_SOCKET)) as cri:
        assert len(cri("ListContainers", filter={"state": {"state": "CONTAINER_RUNNING"}}).containers) == 2


def test_the_node_comes_back_from_a_reboot_with_its_pods(sandbox_node, control_plane, pods):
    relay_the_kubelet(sandbox_node, control_plane)
    pods.run(manifest("settled", FOREVER, node=sandbox_node.name))
    before = control_plane.heartbeat(sandbox_node.name)
    sandbox_node.reboot()
    control_plane.wait_ready(sandbox_node.name, after=before)
    pods.wait("settled", lambda pod: restart_count(pod) == 1 and is_ready(pod), "to run again")
    # The socket was there before the kubelet: it had no reason to fail and be started again.
    assert sandbox_node.show("kubelet", "NRestarts") == "0"


def test_a_restart_of_the_service_is_nothing_to_the_kubelet(sandbox_node, control_plane, pods):
    relay_the_kubelet(sandbox_node, control_plane)
    before = pods.run(manifest("settled", FOREVER, node=sandbox_node.name))
    kubelet = sandbox_node.show("kubelet", "MainPID")
    for name in ("first", "second", "third"):
        sandbox_node.inside("systemctl", "restart", UNIT)
        pods.run(manifest(name, FOREVER, node=sandbox_node.name))
    assert container(pods.get("settled"))["containerID"] == container(before)["containerID"]
    assert sandbox_node.show("kubelet", "MainPID") == kubelet
    wait_for(lambda: control_plane.heartbeat(sandbox_node.name), "the node to be Ready")
