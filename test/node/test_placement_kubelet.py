"""Placement as the kubelet sees it: pods get CPUs, their status says what their spec says, resizes come to an end.

The daemon is shown a machine of three CPUs, the third of which is reserved and does not exist: so there are two that
pods can have, and on one of them somebody can be alone.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from cri_resmgr.values.events import Kind, read
from equipment import pretended
from equipment.bare_node import BareNode, Kubelet
from equipment.control_plane import ControlPlane
from equipment.pods import Pods, container, manifest, restart_count
from equipment.processes import wait_for
from equipment.registry import Registry
from equipment.runtimes import Containerd2, Containerd16, Runtime
from node.cluster_fixtures import PLACED, run_directory
from node.conftest import Shown
from node.placed import Placed

CONFIG = """
policy: {Active: topology-aware, ReservedResources: {CPU: "cpuset:2"}}
resource-manager: {driftScanInterval: 1s}
"""
CALLS = 'cri_resmgr_calls_total{service="runtime.v1.RuntimeService",method="%s"}'
FOREVER = "while :; do sleep 0.2; done"
SETTLE_DEADLINE_S = 60
LISTS = 50  # of the kubelet's, of which it makes nearly two a second

# Every five seconds instead of each minute the kubelet looks at pods with which nothing happens.
USUAL = Kubelet(port=20270, more={"syncFrequency": "5s"})
STATIC = replace(USUAL, more={**USUAL.more, "cpuManagerPolicy": "static", "reservedSystemCPUs": "0"})
SLOW = [pytest.mark.slow, pytest.mark.timeout(3600)]
KUBELETS = [
    pytest.param((USUAL, Containerd16), id="usual"),
    pytest.param((USUAL, Containerd2), id="containerd2", marks=SLOW),
    pytest.param((replace(USUAL, program="kubelet-1.33"), Containerd16), id="older", marks=SLOW),
    pytest.param((replace(USUAL, program="kubelet-1.35"), Containerd16), id="newer", marks=SLOW),
]

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_go, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Node:
    """A kubelet, the daemon, a runtime."""

    kubelet: BareNode
    daemon: Placed

    def calls(self, method: str) -> float:
        """How often the kubelet has called it; 0 if never."""
        name = CALLS % method
        lines = self.daemon.metrics().splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} ")), 0.0)

    def has(self, pod: Any) -> tuple[str, int, int]:
        """What the kernel holds the container of a pod to: CPUs, shares, quota."""
        found = self.kubelet.cgroup_of(pod)
        return found.cpus_allowed, found.cpu_shares, found.cpu_quota_us

    def updates_in_a_while(self) -> float:
        """How many resizes the kubelet and the daemon together make in half a minute."""
        before = self.calls("UpdateContainerResources") + self.daemon.metric("cri_resmgr_updates_sent_total")
        lists = self.calls("ListContainers") + LISTS
        wait_for(lambda: self.calls("ListContainers") >= lists, "the kubelet to go on", 2 * LISTS)
        return self.calls("UpdateContainerResources") + self.daemon.metric("cri_resmgr_updates_sent_total") - before


@pytest.fixture(scope="module")
def running_node(
    request: pytest.FixtureRequest,
    control_plane: ControlPlane,
    registry: Registry,
    shown: Shown,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Node]:
    """A node of its own, since a kubelet ends all pods of its runtime that it does not know."""
    kubelet, make = request.param
    root = tmp_path_factory.mktemp("placed")
    host_root = pretended.host_root(root / "host", pretended.three_cpus())
    with shown():
        runtime: Runtime = make(registry)
        runtime.__enter__()
    bare = BareNode(run_directory(PLACED), name=PLACED, control_plane=control_plane, runtime=runtime, kubelet=kubelet)
    try:
        with shown():
            bare.start()
        with Placed(runtime, root, CONFIG, "--host-root", str(host_root)) as daemon:
            bare.restart_kubelet(daemon.socket)
            yield Node(bare, daemon)
            bare.restart_kubelet()
    finally:
        bare.stop()
        control_plane.forget_node(PLACED)
        runtime.stop()


@pytest.fixture
def node(running_node: Node, pods: Pods) -> Node:
    """The node; the pods of a test go before it does."""
    return running_node


def amounts(cpu: str, memory: str = "64Mi") -> dict[str, str]:
    return {"cpu": cpu, "memory": memory}


def guaranteed(cpu: str) -> dict[str, dict[str, str]]:
    return {"requests": amounts(cpu), "limits": amounts(cpu)}


def burstable(request: str, limit: str) -> dict[str, dict[str, str]]:
    return {"requests": amounts(request, "32Mi"), "limits": amounts(limit)}


@dataclass(frozen=True)
class User:
    """Makes pods and resizes them."""

    pods: Pods
    control_plane: ControlPlane

    def run(self, name: str, resources: dict[str, dict[str, str]]) -> Any:
        return self.pods.run(manifest(name, FOREVER, node=PLACED, container={"resources": resources}))

    def wish(self, name: str, resources: dict[str, dict[str, str]]) -> None:
        """Ask for a resize."""
        patch = json.dumps({"spec": {"containers": [{"name": "c", "resources": resources}]}})
        self.control_plane.kubectl("patch", "pod", name, "--subresource=resize", "--patch", patch)

    def resized(self, name: str) -> Any:
        """Wait until the status says that it is done; the pod as it is then."""
        done = self.pods.wait(name, lambda pod: is_as_wanted(pod) and not resize_conditions(pod), "to be resized")
        assert restart_count(done) == 0
        return done

    def resize(self, name: str, resources: dict[str, dict[str, str]]) -> Any:
        """Ask, and wait."""
        self.wish(name, resources)
        return self.resized(name)


@pytest.fixture
def user(pods: Pods, control_plane: ControlPlane) -> User:
    return User(pods, control_plane)


def is_as_wanted(pod: Any) -> bool:
    """The status of the container says what its spec says, in everything."""
    spec, status = pod["spec"]["containers"][0]["resources"], container(pod)
    return status.get("resources") == spec and status.get("allocatedResources") == spec.get("requests")


def resize_conditions(pod: Any) -> list[Any]:
    return [condition for condition in pod["status"]["conditions"] if condition["type"].startswith("PodResize")]


@pytest.mark.parametrize("running_node", KUBELETS, indirect=True)
def test_pods_get_cpus_and_resizes_and_the_api_shows_what_their_specs_say(node: Node, user: User):
    mine, shared = user.run("mine", guaranteed("1")), user.run("shared", burstable("100m", "200m"))
    assert (node.has(mine), node.has(shared)) == (("0", 1024, 100_000), ("1", 102, 20_000))
    assert is_as_wanted(mine)
    assert is_as_wanted(shared)

    shared = user.resize("shared", burstable("300m", "600m"))
    assert node.has(shared) == ("1", 307, 60_000)
    mine = user.resize("mine", guaranteed("1500m"))
    assert node.has(mine) == ("0-1", 512, 150_000)  # on CPU 1 it competes with its half alone
    assert (node.has(shared)[0], [row.own for row in node.daemon.holders()]) == ("1", [1, 0])
    assert node.updates_in_a_while() == 0
    assert is_as_wanted(user.pods.get("mine"))

    mine = user.resize("mine", guaranteed("500m"))
    assert node.has(mine) == ("0-1", 512, 50_000)
    wait_for(lambda: node.has(shared)[0] == "0-1", "the CPU to be everybody's", SETTLE_DEADLINE_S)
    mine = user.resize("mine", guaranteed("1"))
    own, others = node.has(mine), node.has(shared)
    assert {own[0], others[0]} == {"0", "1"}
    assert (own[1:], others[1:]) == ((1024, 100_000), (307, 60_000))
    assert node.updates_in_a_while() == 0


def condition_that_says_why(pod: Any) -> bool:
    """The policy's own words are in the pod's status."""
    return any("policy topology-aware" in condition.get("message", "") for condition in resize_conditions(pod))


@pytest.mark.parametrize("running_node", KUBELETS, indirect=True)
def test_a_resize_that_does_not_fit_says_why_and_is_done_as_soon_as_it_does(node: Node, user: User):
    mine, shared = user.run("mine", guaranteed("1")), user.run("shared", {})
    user.wish("mine", guaranteed("2"))
    waiting = user.pods.wait("mine", condition_that_says_why, "to say why it is not resized")
    assert (node.has(mine), node.has(shared)[0]) == (("0", 1024, 100_000), "1")
    assert container(waiting)["resources"] == guaranteed("1")
    assert node.updates_in_a_while() < LISTS  # a kubelet asks again each second
    assert node.daemon.log().count("decision.refused") == 1
    user.pods.delete("shared")
    assert node.has(user.resized("mine")) == ("0-1", 2048, 200_000)


@pytest.mark.parametrize("running_node", [pytest.param((STATIC, Containerd16), id="static")], indirect=True)
def test_a_kubelet_whose_cpu_manager_is_on_is_reported_and_nobody_fights(node: Node, user: User):
    mine, shared = user.run("mine", guaranteed("1")), user.run("shared", {})
    assert (node.has(mine)[0], node.has(shared)[0]) == ("0", "1")
    asked = dict(node.daemon.rows("SELECT holding_exclusive, asked_cpuset_cpus FROM containers"))
    assert asked == {"0": "1", "": "0"}  # the kubelet means it the other way round
    assert node.updates_in_a_while() <= len(asked)  # it says once more what it means, and leaves it at that
    assert node.updates_in_a_while() == 0
    assert (node.has(mine)[0], node.has(shared)[0]) == ("0", "1")
    assert is_as_wanted(user.pods.get("mine"))
    ((text,),) = node.daemon.rows("SELECT value FROM meta WHERE key = 'events'")
    (event,) = read(text)
    assert (event.kind, event.count) == (Kind.KUBELET_PINS, 2)
    assert "set cpuManagerPolicy: none" in event.text
