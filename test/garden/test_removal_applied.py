"""Taking it away while the real gardener-resource-manager does its part, in a shoot whose nodes are objects at most."""

import json

import pytest

from equipment.gardenlet import Gardenlet
from equipment.processes import wait_for
from extension.options import Options
from garden.running import Fate, Seed, running

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_go, pytest.mark.timeout(120)]

OPTIONS = Options(poll_s=0.2)


@pytest.fixture
def seed(garden, shoot):
    return Seed(garden.seed.api, shoot.namespace)


@pytest.fixture
def real_manager(garden, shoot):
    """The real gardener-resource-manager between the shoot's namespace and a shoot that has no nodes."""
    garden.shoot  # noqa: B018 - it is started when it is first asked for
    gardenlet = Gardenlet(garden.seed.api)
    gardenlet.tell(shoot)
    garden.start_resource_manager(shoot.namespace)
    yield
    garden.stop_resource_manager()


DAEMON_SETS = "/apis/apps/v1/namespaces/kube-system/daemonsets"


def daemon_sets(garden):
    return {one["metadata"]["name"]: one for one in garden.shoot.api("GET", DAEMON_SETS)["items"]}


@pytest.mark.usefixtures("real_manager")
def test_with_the_real_resource_manager_nodes_are_cleaned_before_everything_goes(garden, gardenlet, shoot, seed):
    fate = Fate(shoot.namespace)
    with running(garden.seed.kubeconfig, OPTIONS, fate=fate):
        gardenlet.reconcile(shoot)
        gardenlet.wait(shoot)
        seed.wait_for(lambda: "cri-resmgr-agent" in daemon_sets(garden), "the objects in the shoot")
        gardenlet.delete(shoot)
        gardenlet.wait_gone(shoot)
    assert daemon_sets(garden) == {}
    verbs = [one.split()[0] for one in fate.writes if one.endswith("managedresources/extension-runtime-cri-resmgr")]
    assert verbs[-2:] == ["PATCH", "DELETE"], "the uninstall form comes first"


@pytest.mark.usefixtures("real_manager")
def test_with_the_real_resource_manager_a_migrated_shoot_keeps_what_it_has(garden, gardenlet, shoot, seed):
    with running(garden.seed.kubeconfig, OPTIONS):
        gardenlet.reconcile(shoot)
        gardenlet.wait(shoot)
        seed.wait_for(lambda: "cri-resmgr-agent" in daemon_sets(garden), "the objects in the shoot")
        gardenlet.migrate(shoot)
        gardenlet.wait_migrated(shoot)
        assert {"cri-resmgr-agent", "cri-resmgr-installation"} <= daemon_sets(garden).keys()
        gardenlet.delete(shoot)
        gardenlet.wait_gone(shoot)
        gardenlet.restore(shoot)  # the shoot belongs to this seed again, as it would to another
        gardenlet.wait(shoot)
        gardenlet.delete(shoot)
        gardenlet.wait_gone(shoot)
    assert daemon_sets(garden) == {}


@pytest.mark.usefixtures("real_manager")
def test_with_the_real_resource_manager_what_is_made_and_deleted_within_moments_leaves_nothing(
    garden, gardenlet, shoot
):
    with running(garden.seed.kubeconfig, OPTIONS):
        for _ in range(5):
            gardenlet.reconcile(shoot)
            gardenlet.delete(shoot)
            gardenlet.wait_gone(shoot)
            assert daemon_sets(garden) == {}


@pytest.mark.usefixtures("real_manager")
def test_while_the_resource_manager_is_away_gardenlet_is_answered_and_the_shoot_gets_it_later(garden, gardenlet, shoot):
    with running(garden.seed.kubeconfig, OPTIONS):
        garden.stop_resource_manager()
        gardenlet.reconcile(shoot)
        gardenlet.wait(shoot, deadline_s=10)
        assert daemon_sets(garden) == {}
        garden.start_resource_manager(shoot.namespace)
        wait_for(lambda: "cri-resmgr-agent" in daemon_sets(garden), "the objects in the shoot")
        gardenlet.delete(shoot)
        gardenlet.wait_gone(shoot)
    assert daemon_sets(garden) == {}


LABELS = {"kubernetes.io/arch": "amd64", "worker.gardener.cloud/cri-name": "containerd"}
NODES = {
    name: {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": LABELS}} for name in ("one", "two")
}
PODS = "/api/v1/namespaces/kube-system/pods"
ACCOUNT = "/api/v1/namespaces/kube-system/serviceaccounts/cri-resmgr-extension"
MERGE = "application/merge-patch+json"


@pytest.fixture
def two_nodes(garden):
    """Nodes that no kubelet belongs to, so the pods that are for them wait."""
    for node in NODES.values():
        garden.shoot.api("POST", "/api/v1/nodes", node)
    yield
    for name in NODES:
        garden.shoot.api("DELETE", f"/api/v1/nodes/{name}")
    end_pods(garden)


def end_pods(garden):
    """What kubelets do with pods that are to go."""
    for pod in garden.shoot.api("GET", PODS)["items"]:
        if "deletionTimestamp" in pod["metadata"]:
            garden.shoot.api("DELETE", f"{PODS}/{pod['metadata']['name']}", {"gracePeriodSeconds": 0})


def wait_gone(garden, gardenlet, shoot):
    def is_gone():
        end_pods(garden)
        return gardenlet.find(shoot) is None

    wait_for(is_gone, "the Extension to go", 60)


def clean(garden, node):
    """What scheduler and kubelet would say of the pod of the uninstall form on a node."""
    (pod,) = (one for one in garden.shoot.api("GET", PODS)["items"] if f'"{node}"' in json.dumps(one["spec"]))
    name = pod["metadata"]["name"]
    garden.shoot.api("POST", f"{PODS}/{name}/binding", {"metadata": {"name": name}, "target": {"name": node}})
    ready = [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]
    garden.shoot.api(
        "PATCH", f"{PODS}/{name}/status", {"status": {"phase": "Running", "conditions": ready}}, content=MERGE
    )


def told(gardenlet, shoot):
    return ((gardenlet.find(shoot) or {}).get("status") or {}).get("lastError", {}).get("description", "")


def forms(garden):
    return [
        pod["metadata"]["labels"].get("cri-resmgr-extension.gardener.cloud/form")
        for pod in garden.shoot.api("GET", PODS)["items"]
    ]


@pytest.mark.usefixtures("real_manager", "two_nodes")
def test_a_removal_that_takes_long_names_the_nodes_by_a_token_that_it_gives_back(garden, gardenlet, shoot, seed):
    options = Options(poll_s=0.2, named_s=0.0, told_s=0.0, shoot_server=garden.shoot.credentials.server)
    token = f"/api/v1/namespaces/{shoot.namespace}/secrets/shoot-access-cri-resmgr-extension"

    with running(garden.seed.kubeconfig, options):
        gardenlet.reconcile(shoot)
        gardenlet.wait(shoot)
        seed.wait_for(lambda: "cri-resmgr-agent" in daemon_sets(garden), "the objects in the shoot")
        assert garden.shoot.api.find(ACCOUNT) is None, "while nothing is removed nobody may read pods"
        gardenlet.delete(shoot)
        seed.wait_for(
            lambda: "not clean yet: one (Pending), two (Pending)" in told(gardenlet, shoot), "both nodes' names"
        )
        wait_for(lambda: forms(garden) == ["uninstall"] * 2, "pods of the uninstall form", 30)
        clean(garden, "one")
        seed.wait_for(
            lambda: "not clean yet: two (Pending)" in told(gardenlet, shoot), "the name of the node that is left"
        )
        assert garden.seed.api.find(token) is not None
        clean(garden, "two")
        wait_gone(garden, gardenlet, shoot)
    assert garden.seed.api.find(token) is None
    assert (garden.shoot.api.find(ACCOUNT), daemon_sets(garden)) == (None, {})


@pytest.mark.usefixtures("real_manager", "two_nodes")
def test_a_removal_that_cannot_ask_the_shoot_goes_on_and_tells_what_the_seed_knows(garden, gardenlet, shoot, seed):
    options = Options(poll_s=0.2, named_s=0.0, told_s=0.0, shoot_server="https://127.0.0.1:1")
    with running(garden.seed.kubeconfig, options):
        gardenlet.reconcile(shoot)
        gardenlet.wait(shoot)
        gardenlet.delete(shoot)
        wait_for(lambda: forms(garden) == ["uninstall"] * 2, "pods of the uninstall form", 30)
        seed.wait_for(lambda: "cri-resmgr-installation" in told(gardenlet, shoot), "what the resource manager says")
        assert "not clean yet" not in told(gardenlet, shoot)
        for node in NODES:
            clean(garden, node)
        wait_gone(garden, gardenlet, shoot)
