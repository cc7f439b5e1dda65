"""Taking it away again: nodes first, then the objects, then the Extension; and when nobody waits for nodes.

The three cases of the seed's README are the same for us: gardenlet deletes the Extension while the shoot and its nodes
stay.  What differs is why, so each has its test.
"""

from dataclasses import replace

import pytest

from equipment.gardenlet import FORCE_DELETION
from extension.options import Options
from garden.running import Seed, running

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_go, pytest.mark.timeout(120)]

OPTIONS = Options(poll_s=0.2, applied_s=0.0)


@pytest.fixture(scope="module")
def controller(garden):
    with running(garden.seed.kubeconfig, OPTIONS) as made:
        yield made


@pytest.fixture
def seed(garden, shoot):
    return Seed(garden.seed.api, shoot.namespace)


@pytest.fixture
def installed(controller, gardenlet, shoot, seed):
    """A shoot in which everything runs."""
    gardenlet.reconcile(shoot)
    gardenlet.wait(shoot)
    seed.manages()
    return seed


def remove(gardenlet, shoot, seed):
    """As gardenlet and gardener-resource-manager do it."""
    gardenlet.delete(shoot)
    seed.wait_for(seed.uninstalls, "the uninstall form")
    assert gardenlet.find(shoot)["metadata"]["finalizers"], "the nodes are not clean yet"
    seed.manages()
    gardenlet.wait_gone(shoot)
    assert (seed.resource(), seed.secrets()) == (None, [])


def test_enabled_globally_and_then_disabled_by_a_shoot(installed, gardenlet, shoot):
    gardenlet.tell(replace(shoot, spec={"extensions": [{"type": "cri-resmgr-extension", "disabled": True}]}))
    remove(gardenlet, shoot, installed)


def test_disabled_globally_enabled_for_a_shoot_and_then_disabled(installed, gardenlet, shoot):
    gardenlet.tell(replace(shoot, spec={"extensions": []}))
    remove(gardenlet, shoot, installed)


def test_registration_is_removed_while_shoots_have_it(installed, gardenlet, shoot, seed):
    other = replace(shoot, namespace=f"{shoot.namespace}-b", provider_config={"workerPools": ["worker"]})
    gardenlet.reconcile(other)
    gardenlet.wait(other)
    others = Seed(seed.api, other.namespace)
    others.manages()
    for each in (shoot, other):  # nothing changes in the Clusters: only the Extensions go
        gardenlet.delete(each)
    for each, its in ((shoot, seed), (other, others)):
        its.wait_for(its.uninstalls, "the uninstall form")
        its.manages()
        gardenlet.wait_gone(each)


def test_uninstall_form_goes_to_every_node_whatever_was_selected(controller, gardenlet, shoot, seed):
    selective = replace(shoot, provider_config={"workerPools": ["worker"], "nodeSelector": {"a": "b"}})
    gardenlet.reconcile(selective)
    gardenlet.wait(selective)
    gardenlet.delete(selective)
    seed.wait_for(seed.uninstalls, "the uninstall form")
    (daemon_set,) = (one for (kind, _), one in seed.objects().items() if kind == "DaemonSet")
    terms = daemon_set["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
    assert "worker.gardener.cloud/pool" not in str(terms)
    assert daemon_set["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"] == "100%"


def test_removal_that_takes_long_says_what_it_waits_for(garden, gardenlet, shoot, seed):
    with running(garden.seed.kubeconfig, Options(poll_s=0.1, applied_s=0.0, told_s=0.0)):
        gardenlet.reconcile(shoot)
        gardenlet.wait(shoot)
        gardenlet.delete(shoot)
        seed.wait_for(seed.uninstalls, "the uninstall form")
        seed.manages(missing='DaemonSet "kube-system/cri-resmgr-installation": 2 of 5 replica(s) have been updated')
        seed.wait_for(lambda: "2 of 5" in str(error_of(gardenlet, shoot)), "the error")
        assert "codes" not in error_of(gardenlet, shoot), "gardenlet goes on trying"
        assert error_of(gardenlet, shoot)["description"].startswith("Error deleting the Extension: the nodes are being")
        seed.manages()
        gardenlet.wait_gone(shoot)


def error_of(gardenlet, shoot):
    return gardenlet.find(shoot)["status"].get("lastError", {})


def test_removal_does_not_wait_for_ever_for_a_node_that_does_not_answer(garden, gardenlet, shoot, seed):
    with running(garden.seed.kubeconfig, Options(poll_s=0.1, applied_s=0.0, removal_s=3.0)):
        gardenlet.reconcile(shoot)
        gardenlet.wait(shoot)
        gardenlet.delete(shoot)
        seed.wait_for(seed.uninstalls, "the uninstall form")
        gardenlet.wait_gone(shoot)


@pytest.mark.parametrize("end", [{"deleting": True}, {"hibernated": True}], ids=["deleted", "hibernated"])
def test_where_there_can_be_no_node_nobody_waits_for_one(installed, gardenlet, shoot, end):
    gardenlet.tell(replace(shoot, **end))
    gardenlet.delete(shoot)
    gardenlet.wait_gone(shoot)
    assert (installed.resource(), installed.secrets()) == (None, [])


def test_shoot_that_sleeps_keeps_the_extension_until_it_wakes_and_nobody_complains(installed, gardenlet, shoot):
    installed.patch({"metadata": {"finalizers": ["example.org/manager"]}})
    gardenlet.tell(replace(shoot, hibernated=True))
    gardenlet.delete(shoot)
    installed.wait_for(lambda: "deletionTimestamp" in installed.resource()["metadata"], "the resource to be deleted")
    extension = gardenlet.find(shoot)
    assert extension["metadata"]["finalizers"]
    assert "lastError" not in extension["status"]
    installed.patch({"metadata": {"finalizers": None}})  # gardener-resource-manager is back
    gardenlet.wait_gone(shoot)


def test_forced_deletion_waits_for_nothing(installed, gardenlet, shoot):
    installed.patch({"metadata": {"finalizers": ["example.org/manager"]}})
    gardenlet.tell(replace(shoot, annotations={FORCE_DELETION: "true"}))
    gardenlet.delete(shoot)
    gardenlet.wait_gone(shoot)
    assert "deletionTimestamp" in installed.resource()["metadata"], "gardenlet takes its finalizer off"
    installed.patch({"metadata": {"finalizers": None}})


BROKEN = {"configs": {"default": "policy: ["}, "unknown": 1}


@pytest.mark.parametrize("kubernetes", ["1.34.4", "not a version"])
def test_deletion_needs_no_valid_configuration(installed, gardenlet, shoot, kubernetes):
    broken = replace(shoot, provider_config=BROKEN, kubernetes=kubernetes)
    gardenlet.reconcile(broken)
    installed.wait_for(lambda: error_of(gardenlet, shoot), "the error")
    gardenlet.delete(broken)
    installed.wait_for(installed.uninstalls, "the uninstall form")
    installed.manages()
    gardenlet.wait_gone(broken)


def test_extension_that_never_had_a_valid_configuration_goes_at_once(controller, gardenlet, shoot):
    broken = replace(shoot, provider_config=BROKEN)
    gardenlet.reconcile(broken)
    gardenlet.delete(broken)
    gardenlet.wait_gone(broken)


def test_node_that_leaves_the_selection_gets_the_removal(installed, gardenlet, shoot):
    fewer = replace(shoot, provider_config={"workerPools": ["worker"]})
    gardenlet.reconcile(fewer)
    gardenlet.wait(fewer)
    objects = installed.objects()
    pool = "worker.gardener.cloud/pool"
    assert terms(objects["DaemonSet", "cri-resmgr-installation"])[0][pool] == ("In", ["worker"])
    assert any(term.get(pool) == ("NotIn", ["worker"]) for term in terms(objects["DaemonSet", "cri-resmgr-removal"]))


def terms(daemon_set):
    """What a node must be, alternatives of conditions by label."""
    affinity = daemon_set["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
    found = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    return [{one["key"]: (one["operator"], one["values"]) for one in term["matchExpressions"]} for term in found]


def test_installing_again_in_the_middle_of_a_removal_needs_the_end_of_it(installed, gardenlet, shoot):
    gardenlet.delete(shoot)
    installed.wait_for(installed.uninstalls, "the uninstall form")
    gardenlet.reconcile(shoot)  # the object is still there, and being deleted
    installed.manages()
    gardenlet.wait_gone(shoot)
    gardenlet.reconcile(shoot)
    gardenlet.wait(shoot)
    assert not installed.uninstalls()
