"""Parts of the chain die while pods come and go: no pod is lost or restarted, no CPU is two containers' own, and the
Shoot's condition is true again within a minute.

An API server, a gardener-resource-manager, a runtime, a daemon, a leader that are away for a while are no fault of ours
that a Shoot would have to tell; a relay that stays away is, and its Shoot says so.
"""

import itertools
import json
import signal
import time

import pytest

from chain import installations
from chain.landscape import NODE, SHOOT_NAMESPACE, TREE
from chain.user import NONE, TOPOLOGY_AWARE, extension
from cri_resmgr.values import cpusets

pytestmark = [
    pytest.mark.needs_root, pytest.mark.needs_go, pytest.mark.timeout(600), pytest.mark.label("faults"),
    pytest.mark.local_only, pytest.mark.slow,
]  # fmt: skip
CONFIG = {"configs": {"default": TOPOLOGY_AWARE}}
TRUE_WITHIN_S = 60
AWAY_S = 6


@pytest.fixture
def settled(user, chain, busy):
    """The extension is there, and a pod of which nothing may change; the pods that come and go are never late."""
    user.enable(CONFIG)
    user.wait(lambda: "topology-aware" in chain.policy(), "the policy to be in force")
    user.run_pod("settled", requests={"cpu": "100m"})
    before = user.container("settled")
    yield before
    user.wait(user.is_healthy, "the Shoot to say that all is well", deadline_s=TRUE_WITHIN_S)
    user.wait_installed()
    user.run_pod("afterwards")
    assert user.container("settled") == before
    assert busy == []
    user.delete_pod("afterwards")
    user.delete_pod("settled")


def owned_twice(chain):
    """CPUs that are the own ones of two containers, as the daemon has written them down."""
    json_ = ("-output", "json")
    pools = json.loads(chain.relay("status", *json_))["pools"]
    names = [name for pool in pools for name in pool["members"]]
    assert names, "pods run under a policy"
    holdings = [one["holding"] for name in names for one in json.loads(chain.relay("explain", *json_, name))]
    own = [cpusets.parse(one["exclusive"]) | cpusets.parse(one["isolated"]) for one in holdings]
    return [pair for pair in itertools.combinations(own, 2) if pair[0] & pair[1]]


def test_kill_9_of_the_daemon(settled, user, chain):
    for _ in range(3):
        pid = int(chain.node.show("cri-resource-manager", "MainPID"))
        chain.node.inside("kill", "-KILL", str(pid))
        user.wait(lambda: chain.node.show("cri-resource-manager", "MainPID") not in ("0", str(pid)), "another daemon")  # noqa: B023
        user.wait(lambda: chain.node.show("cri-resource-manager", "SubState") == "running", "it to serve")
    assert owned_twice(chain) == []


def test_the_runtime_is_restarted(settled, chain):
    chain.node.inside("systemctl", "restart", "containerd")
    time.sleep(AWAY_S)


def test_the_api_server_of_seed_and_shoot_is_away(settled, user, chain):
    chain.cluster.kill_api_server()
    time.sleep(AWAY_S)
    chain.cluster.start_api_server()
    chain.cluster.wait_ready(NODE)


def test_gardener_resource_manager_is_away_while_the_configuration_changes(settled, user, chain):
    chain.shoot_manager.stop()
    user.change(extension({"configs": {"default": NONE}}))
    time.sleep(AWAY_S)
    chain.shoot_manager.start(SHOOT_NAMESPACE)
    user.wait(lambda: "Active: none" in user.configs()["default"], "the new configuration")
    user.enable(CONFIG)


def test_our_pods_are_deleted(settled, user):
    for app in ("cri-resmgr-agent", "cri-resmgr-installation"):
        for pod in user.pods(app):
            user.landscape.shoot("delete", "pod", "-n", "kube-system", pod["metadata"]["name"], "--wait=false")
    user.wait(lambda: user.rolled_out("cri-resmgr-agent"), "the agent to be back")
    user.wait(lambda: user.rolled_out("cri-resmgr-installation"), "the installation to be back")


def test_the_extensions_leader_is_killed_while_it_is_asked_for_something(settled, user, chain):
    for _ in range(2):
        pids = chain.node.inside("pgrep", "-f", "gardener-extension-cri-resmgr").split()
        user.ask()
        chain.node.inside("kill", "-KILL", *pids)  # whoever leads is one of them
        user.wait_reconciled()
    words = ("rollout", "status", "deployment", "-n", installations.NAMESPACE, "--timeout=50s")
    user.landscape.shoot(*words)


def test_the_node_is_rebooted(user, chain):
    user.enable(CONFIG)
    user.run_pod("settled", requests={"cpu": "100m"})
    before, heartbeat = user.container("settled"), chain.cluster.heartbeat(NODE)
    chain.node.reboot()
    chain.cluster.wait_ready(NODE, after=heartbeat)
    user.wait(lambda: user.container("settled")[1] == before[1] + 1, "the pod to be started again, once")
    user.wait(user.is_healthy, "the Shoot to say that all is well", deadline_s=TRUE_WITHIN_S)
    user.wait_installed()
    user.wait(lambda: "topology-aware" in chain.policy(), "the policy to be in force")
    assert owned_twice(chain) == []
    user.delete_pod("settled")


def test_a_daemon_that_dies_for_good_is_bypassed_and_the_shoot_says_so(user, chain):
    user.enable(CONFIG)
    user.run_pod("bypassed")
    before = user.container("bypassed")
    tree = chain.node.inside("readlink", "-f", TREE).strip()
    chain.node.inside("mv", f"{tree}/bin/cri-resmgr", f"{tree}/bin/away")
    try:
        chain.node.inside("kill", f"-{signal.SIGKILL}", chain.node.show("cri-resource-manager", "MainPID"))
        user.wait(lambda: not user.is_healthy(), "the Shoot to say so", deadline_s=TRUE_WITHIN_S)
        user.run_pod("meanwhile")  # on the plain runtime, through the same path
    finally:
        chain.node.inside("mv", f"{tree}/bin/away", f"{tree}/bin/cri-resmgr")
    user.wait(user.is_healthy, "the daemon to be tried again, and the Shoot to say that all is well", deadline_s=180)
    user.wait_installed()
    assert user.container("bypassed") == before
    for name in ("bypassed", "meanwhile"):
        user.delete_pod(name)
