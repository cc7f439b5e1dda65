"""Another policy on a real runtime with two CPUs while containers run: they move, their processes go on.

CPU 0 is reserved, so CPU 1 is there to be shared, or to be had by one alone.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import grpc
import pytest

from equipment import cgroups
from equipment.agent import Agent
from equipment.processes import wait_for
from equipment.relay import Relay
from equipment.runtimes import Runtime
from node.test_placement import PARENT, PINNED, UNPINNED, Node, Pod, cpus

pytestmark = pytest.mark.needs_root

SOURCE = "kube-system/cri-resmgr-config.default"


class SwitchingNode(Node):
    """The daemon takes its configuration from an agent."""

    def __init__(self, runtime: Runtime, root: Path) -> None:
        self.root, self.watched, self.socket = root, root / "watched.sock", root / "config.sock"
        flags = ("--config-socket", str(self.socket), "--metrics-address", f"unix://{self.watched}")
        self.relay = Relay(runtime.socket, root, *flags)
        self.runtime = runtime


@pytest.fixture(name="node")
def _node(containerd16: Runtime, tmp_path: Path) -> Iterator[SwitchingNode]:
    made = SwitchingNode(containerd16, tmp_path)
    with made.relay:
        yield made

    def removed() -> bool:
        with suppress(grpc.RpcError):
            containerd16.remove_pods()
            return True
        return False

    wait_for(removed, "the pods to go", 120)
    cgroups.remove_root(PARENT)


@pytest.fixture(name="agent")
def _agent(node: SwitchingNode) -> Iterator[Agent]:
    with Agent(node.socket) as made:
        yield made


def process(pod: Pod) -> tuple[int, str]:
    """Which one it is: its number, and when it started."""
    pid = cgroups.container_pid(pod.id)
    return pid, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def test_containers_move_to_a_policy_and_back_and_none_is_started_anew(node: SwitchingNode, agent: Agent):
    pods = node.shared("dns", namespace="kube-system"), node.shared("web")
    born = [process(pod) for pod in pods]
    assert [cpus(pod) for pod in pods] == ["0-1", "0-1"]
    assert agent.push(PINNED, SOURCE).error == ""
    assert [cpus(pod) for pod in pods] == ["0", "1"]
    sent = node.metric("cri_resmgr_updates_sent_total")
    assert agent.push(PINNED.replace("750m", "700m"), SOURCE).error == ""
    assert node.metric("cri_resmgr_updates_sent_total") == sent, "nobody has to move"
    assert agent.push(UNPINNED, SOURCE).error == ""
    assert [cpus(pod) for pod in pods] == ["0-1", "0-1"]
    assert [process(pod) for pod in pods] == born


def test_a_container_that_wants_a_cpu_for_itself_gets_it_with_the_policy(node: SwitchingNode, agent: Agent):
    mine = node.exclusive()
    born = process(mine)
    assert agent.push(PINNED, SOURCE).error == ""
    assert cpus(mine) == "1"
    assert process(mine) == born
    node.relay.kill()
    node.relay.start()
    assert cpus(mine) == "1"
    assert agent.status()["policy"] == "topology-aware"


@pytest.mark.parametrize("after_s", [0.0, 0.01, 0.03, 0.1])
def test_a_daemon_that_is_killed_in_the_middle_goes_on_with_one_or_the_other(
    node: SwitchingNode, agent: Agent, after_s: float
):
    pods = node.shared("dns", namespace="kube-system"), node.shared("web")
    born = [process(pod) for pod in pods]

    def push() -> None:
        with suppress(grpc.RpcError):
            agent.push(PINNED, SOURCE)

    pushing = threading.Thread(target=push)
    pushing.start()
    time.sleep(after_s)
    node.relay.kill()
    node.restarted()
    pushing.join()  # one that has not reached the old daemon reaches the new one
    with Agent(node.socket) as again:
        policy = again.status()["policy"]
    wanted = {"topology-aware": ["0", "1"], "none": ["0-1", "0-1"]}[policy]
    wait_for(lambda: [cpus(pod) for pod in pods] == wanted, f"all to be as {policy} wants it", 30)
    assert [process(pod) for pod in pods] == born
