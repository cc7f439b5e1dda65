"""Which configuration a node has, from where, and what becomes of it."""

import contextlib
import json

import pytest

from chain.landscape import NODE
from chain.user import NONE, TOPOLOGY_AWARE, extension
from equipment.kubectl import KubectlError

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_go, pytest.mark.timeout(600), pytest.mark.label("config")]
GROUP_LABEL = "cri-resource-manager.intel.com/group"
ADJUSTMENT = {
    "apiVersion": "criresmgr.intel.com/v1alpha1",
    "kind": "Adjustment",
    "metadata": {"name": "e2e", "namespace": "kube-system"},
    "spec": {
        "scope": [{"containers": [{"key": "pod/name", "operator": "Equals", "values": ["adjusted"]}]}],
        "resources": {"requests": {"cpu": "50m"}, "limits": {"cpu": "250m"}},
    },
}


def configured(**configs):
    return {"configs": {name.replace("_", "."): text for name, text in configs.items()}}


def reserved(cpu):
    return f'policy: {{Active: topology-aware, ReservedResources: {{CPU: "cpuset:{cpu}"}}}}\n'


def test_a_changed_policy_moves_running_pods_without_restarting_them(user):
    user.enable(configured(default=reserved(0)))
    user.run_pod("moved", requests={"cpu": "100m"})
    user.wait(lambda: user.cpus("moved") != "0" and "0-" not in user.cpus("moved"), "the pod to be off CPU 0")
    before = user.container("moved")
    kept_off = user.cpus("moved")
    user.enable(configured(default=NONE))
    user.wait(lambda: user.cpus("moved") != kept_off, "policy none to hold it to nothing")
    assert user.container("moved") == before
    user.delete_pod("moved")


@pytest.mark.local_only
def test_node_goes_before_group_and_group_before_default(user, chain):
    try:
        user.enable(configured(default=NONE, group_gold=reserved(0), **{f"node_{NODE}": TOPOLOGY_AWARE}))
        user.wait(lambda: f"cri-resmgr-config.node.{NODE}" in chain.policy(), "the node's own")
        assert {"default", "group.gold", f"node.{NODE}"} <= user.configs().keys()
        user.enable(configured(default=NONE, group_gold=reserved(0)))
        user.wait(lambda: "cri-resmgr-config.default" in chain.policy() and "none" in chain.policy(), "that for all")
        chain.label_node(**{GROUP_LABEL: "gold"})
        user.wait(lambda: "cri-resmgr-config.group.gold" in chain.policy(), "the group's")
        chain.label_node(**{GROUP_LABEL: None})
        user.wait(lambda: "cri-resmgr-config.default" in chain.policy(), "that for all again")
    finally:
        chain.label_node(**{GROUP_LABEL: None})


@pytest.mark.local_only
def test_the_operators_configurations_are_for_all_shoots_and_a_shoot_overrides_them_one_by_one(user, landscape, chain):
    landscape.values(configs={"default": TOPOLOGY_AWARE, "group.gold": NONE})
    try:
        user.enable()
        user.wait(lambda: {"default", "group.gold"} <= user.configs().keys(), "the operator's")
        user.wait(lambda: "topology-aware" in chain.policy(), "the operator's policy")
        user.enable(configured(default=NONE))
        user.wait(lambda: "policy none" in chain.policy(), "the Shoot's policy")
        assert "group.gold" in user.configs(), "what the Shoot does not name stays"
    finally:
        landscape.values(configs={})


@pytest.mark.local_only
@pytest.mark.slow
def test_fallback_serves_until_the_agent_speaks_and_force_is_all_that_counts(user, chain):
    user.disable()  # the fallback is for a node that nothing was ever given
    user.enable(configured(fallback=TOPOLOGY_AWARE))
    user.wait(lambda: "topology-aware" in chain.policy() and "fallback" in chain.policy(), "the fallback")
    user.enable(configured(fallback=TOPOLOGY_AWARE, default=NONE))
    user.wait(lambda: "policy none" in chain.policy(), "what the agent brings")
    user.enable(configured(force=reserved(0), default=NONE))
    user.wait(lambda: "reserved CPUs 0" in chain.policy(), "the forced one")
    user.enable(configured(default=NONE))
    user.wait(lambda: "policy none" in chain.policy(), "what the agent brings, again")


def break_configuration(user):
    user.change(extension(configured(default="policy: {Activ: x}")))
    user.wait(lambda: "Activ" in user.last_error().get("description", ""), "the Shoot to say what is wrong")


@pytest.mark.garden_only
def test_a_broken_configuration_is_refused_with_its_path(user):
    user.patch(extension(configured(default=TOPOLOGY_AWARE)))
    break_configuration(user)
    assert "configs.default" in user.last_error()["description"]
    assert user.last_error()["codes"] == ["ERR_CONFIGURATION_PROBLEM"]
    user.patch(extension(configured(default=TOPOLOGY_AWARE)))
    assert user.last_error() == {}


def test_a_broken_configuration_changes_nothing_in_the_shoot(user):
    user.enable(configured(default=TOPOLOGY_AWARE))
    before = user.configs()
    break_configuration(user)
    assert user.configs() == before
    user.enable(configured(default=TOPOLOGY_AWARE))


def test_an_adjustment_changes_a_running_container_and_is_taken_back(user):
    user.enable(configured(default=TOPOLOGY_AWARE))
    user.run_pod("adjusted", requests={"cpu": "100m"}, limits={"cpu": "500m"})
    before = user.container("adjusted")
    user.landscape.shoot("apply", "-f", "-", stdin=json.dumps(ADJUSTMENT))
    try:

        def applied():
            found = json.loads(user.landscape.shoot("get", "adjustment", "e2e", "-n", "kube-system", "-ojson"))
            nodes = (found.get("status") or {}).get("nodes") or {}
            return nodes and all(not (one or {}).get("errors") for one in nodes.values())

        user.wait(applied, "the node to say that it is applied")
        assert user.container("adjusted") == before
    finally:
        with contextlib.suppress(KubectlError):
            user.landscape.shoot("delete", "adjustment", "e2e", "-n", "kube-system")
    user.delete_pod("adjusted")
