"""Gardener's contract for an Extension, operation by operation, with the seed's real API server, by gardenlet's rules.

gardener-resource-manager is a stand-in here (`Seed.manages`): it would need a shoot of its own for each test.
"""

from dataclasses import replace

import pytest

from equipment.gardenlet import OPERATION, TIMESTAMP, annotations, path_of
from extension.options import Options
from garden.running import Seed, running

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_go, pytest.mark.timeout(120)]

FINALIZER = "extensions.gardener.cloud/cri-resmgr-extension"
OTHER_FINALIZER = "example.org/other"
OPTIONS = Options(poll_s=0.2)
DISABLED = {"metadata": {"finalizers": [FINALIZER, OTHER_FINALIZER]}}


@pytest.fixture(scope="module")
def controller(garden):
    """One controller for all tests of this file."""
    with running(garden.seed.kubeconfig, OPTIONS) as made:
        yield made


@pytest.fixture
def seed(garden, shoot):
    return Seed(garden.seed.api, shoot.namespace)


@pytest.fixture
def installed(controller, gardenlet, shoot, seed):
    """A shoot whose Extension gardenlet has accepted."""
    gardenlet.reconcile(shoot)
    gardenlet.wait(shoot)
    return seed


def status(gardenlet, shoot):
    return gardenlet.find(shoot)["status"]


def test_a_new_extension_is_accepted_and_its_objects_are_on_their_way(controller, gardenlet, shoot, seed):
    gardenlet.reconcile(shoot)
    extension = gardenlet.wait(shoot)
    operation = extension["status"]["lastOperation"]
    assert (operation["type"], operation["state"], operation["progress"]) == ("Create", "Succeeded", 100)
    assert operation["description"] == "Successfully reconciled Extension"
    assert extension["metadata"]["finalizers"] == [FINALIZER]
    resource = seed.resource()
    (name,) = seed.secrets()
    assert resource["spec"] == {
        "secretRefs": [{"name": name}],
        "injectLabels": {"shoot.gardener.cloud/no-cleanup": "true"},
        "keepObjects": False,
    }
    assert name in resource["metadata"]["annotations"].values(), "or the garbage collector takes it"
    assert resource["metadata"]["labels"]["origin"] == "cri-resmgr-extension"
    assert ("DaemonSet", "cri-resmgr-installation") in seed.objects()


def test_nothing_waits_for_nodes(installed):
    assert "status" not in installed.resource(), "nobody has applied anything yet"


def test_each_reconciliation_is_answered_though_nothing_changes(installed, gardenlet, shoot):
    before = installed.resource()
    stamp = gardenlet.reconcile(shoot)
    installed.wait_for(
        lambda: (
            status(gardenlet, shoot)["lastOperation"]["type"] == "Reconcile"
            and status(gardenlet, shoot)["lastOperation"]["lastUpdateTime"][:19] >= stamp[:19]
        ),
        "the answer",
    )
    gardenlet.wait(shoot)
    assert installed.resource() == before


def test_changes_reach_the_shoot_with_the_next_reconciliation(installed, gardenlet, shoot):
    (before,) = installed.secrets()
    changed = replace(shoot, provider_config={"maxUnavailable": 3})
    gardenlet.reconcile(changed)
    gardenlet.wait(changed)
    assert installed.resource()["spec"]["secretRefs"] != [{"name": before}]
    strategy = installed.objects()["DaemonSet", "cri-resmgr-installation"]["spec"]["updateStrategy"]
    assert strategy["rollingUpdate"]["maxUnavailable"] == 3
    references = [key for key in installed.resource()["metadata"]["annotations"] if key.startswith("reference.")]
    assert len(references) == 1


def test_an_object_that_waits_for_its_state_is_let_alone_and_then_restored(controller, gardenlet, shoot, seed):
    gardenlet.tell(shoot)
    gardenlet._deploy(shoot, "wait-for-state")
    other = replace(shoot, namespace=f"{shoot.namespace}-b")
    gardenlet.reconcile(other)
    gardenlet.wait(other)  # whoever came later has been served
    assert "status" not in gardenlet.find(shoot)
    gardenlet.restore(shoot, state={"x": 1})
    extension = gardenlet.wait(shoot)
    operation = extension["status"]["lastOperation"]
    assert (operation["type"], operation["description"]) == ("Restore", "Successfully restored Extension resource")
    assert extension["status"]["state"] == {"x": 1}
    assert seed.resource()["spec"]["keepObjects"] is False


def test_migration_lets_the_objects_stay_in_the_shoot_and_lets_the_extension_go(installed, gardenlet, shoot):
    installed.patch({"metadata": {"finalizers": ["example.org/manager"]}})
    gardenlet.migrate(shoot)
    installed.wait_for(lambda: "deletionTimestamp" in installed.resource()["metadata"], "the resource to be deleted")
    assert installed.resource()["spec"]["keepObjects"] is True
    assert annotations(gardenlet.find(shoot))[OPERATION] == "migrate", "it is not over yet"
    installed.patch({"metadata": {"finalizers": None}})
    extension = gardenlet.wait_migrated(shoot)
    assert extension["status"]["lastOperation"]["description"] == "Successfully migrated Extension resource"
    assert "finalizers" not in extension["metadata"]
    assert (installed.resource(), installed.secrets()) == (None, [])
    gardenlet.delete(shoot)
    gardenlet.wait_gone(shoot)


def test_what_has_been_migrated_is_not_reconciled_by_the_old_seed(installed, gardenlet, shoot):
    gardenlet.migrate(shoot)
    gardenlet.wait_migrated(shoot)
    gardenlet.reconcile(shoot)
    other = replace(shoot, namespace=f"{shoot.namespace}-b")
    gardenlet.reconcile(other)
    gardenlet.wait(other)
    assert installed.resource() is None


def test_only_our_finalizer_is_taken_off_when_it_is_deleted(installed, gardenlet, shoot, garden):
    garden.seed.api.merge(path_of(shoot), DISABLED)
    installed.manages()
    gardenlet.delete(shoot)
    installed.wait_for(installed.uninstalls, "the uninstall form")
    installed.manages()
    installed.wait_for(lambda: gardenlet.find(shoot)["metadata"]["finalizers"] == [OTHER_FINALIZER], "our part to end")
    last = status(gardenlet, shoot)["lastOperation"]
    assert (last["type"], last["state"]) == ("Delete", "Succeeded")
    assert last["description"] == "Successfully deleted the Extension"
    garden.seed.api.merge(path_of(shoot), {"metadata": {"finalizers": None}})
    gardenlet.wait_gone(shoot)


@pytest.mark.parametrize("spec", [{"type": "another"}, {"class": "seed"}, {"class": "garden"}])
@pytest.mark.usefixtures("controller")
def test_extensions_of_others_are_not_touched(gardenlet, shoot, garden, spec):
    gardenlet.tell(shoot)
    body = {
        "apiVersion": "extensions.gardener.cloud/v1alpha1",
        "kind": "Extension",
        "metadata": {"name": "cri-resmgr-extension", "annotations": {OPERATION: "reconcile", TIMESTAMP: "x"}},
        "spec": {"type": "cri-resmgr-extension", **spec},
    }
    made = garden.seed.api("POST", path_of(shoot).rpartition("/")[0], body)
    other = replace(shoot, namespace=f"{shoot.namespace}-b")
    gardenlet.reconcile(other)
    gardenlet.wait(other)
    assert gardenlet.find(shoot)["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_a_failed_shoot_is_left_alone_until_gardenlet_tries_again(installed, gardenlet, shoot):
    failed = replace(shoot, state="Failed", provider_config={"maxUnavailable": 2})
    before = installed.resource()
    gardenlet.reconcile(failed)
    other = replace(shoot, namespace=f"{shoot.namespace}-b")
    gardenlet.reconcile(other)
    gardenlet.wait(other)
    assert installed.resource() == before
    gardenlet.tell(replace(failed, state="Processing"))  # the Cluster says so; nobody annotates anew
    gardenlet.wait(failed)
    assert installed.resource() != before


def test_without_cluster_the_extension_waits_and_goes_on_by_itself(controller, gardenlet, shoot, garden, seed):
    gardenlet.tell(shoot)
    cluster = f"/apis/extensions.gardener.cloud/v1alpha1/clusters/{shoot.namespace}"
    garden.seed.api("DELETE", cluster)
    gardenlet._deploy(shoot, "reconcile")
    seed.wait_for(lambda: any("no Cluster" in text for text in controller.controller.queue.failing.values()), "trouble")
    assert "status" not in gardenlet.find(shoot)
    gardenlet.tell(shoot)
    gardenlet.wait(shoot)


def test_a_cluster_of_another_version_of_gardener_is_read_as_far_as_it_goes(controller, gardenlet, shoot, seed):
    strange = replace(
        shoot, spec={"provider": None, "kubernetes": {"version": "1.34.4", "kubelet": []}, "new": {"x": [1]}}
    )
    gardenlet.reconcile(strange)
    gardenlet.wait(strange)
