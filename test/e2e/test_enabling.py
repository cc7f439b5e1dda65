"""A shoot gets it, and loses it again, in each of the ways there are."""

import json

import pytest

from chain.user import DISABLED, extension
from equipment.gardenlet import TYPE
from equipment.kubectl import KubectlError

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_go, pytest.mark.timeout(600)]
REGISTRATION = ("controllerregistration", TYPE)


@pytest.fixture
def on_for_everybody(landscape):
    """The registration says so while the case runs; for Gardener v1.120 and later."""

    def enable(*kinds):
        found = json.loads(landscape.garden("get", *REGISTRATION, "-ojson"))
        (resource,) = found["spec"]["resources"]
        change = json.dumps({"spec": {"resources": [{**resource, "autoEnable": list(kinds)}]}})
        landscape.garden("patch", *REGISTRATION, "--type=merge", "-p", change)

    enable("shoot")
    yield
    enable()


@pytest.mark.label("enable")
def test_a_shoot_that_names_it_gets_it_and_its_kubelet_talks_to_the_relay(user):
    user.disable()
    user.run_pod("before")
    before = user.container("before")
    user.enable()
    assert {"cri-resmgr-installation", "cri-resmgr-agent", "cri-resmgr-removal"} == user.daemon_sets().keys()
    user.wait_installed()
    assert "daemon.ready" in user.log("cri-resmgr-installation", "journal")
    user.run_pod("after")
    assert user.container("before") == before, "a pod that ran did not notice"
    user.wait(user.is_healthy, "the Shoot to be well: pods of a kubelet that was restarted are not, for a moment")
    assert user.condition()["reason"] == "HealthCheckSuccessful"
    for name in ("before", "after"):
        user.delete_pod(name)


@pytest.mark.label("enable", "disable")
@pytest.mark.garden_only
def test_a_shoot_says_itself_that_it_is_well_with_it_and_without_it(user):
    for spec in (extension(), DISABLED):
        user.patch(spec)
        user.wait(user.is_healthy, "the Shoot to say that all is well")


@pytest.mark.label("disable")
def test_a_shoot_that_disables_it_loses_every_trace_and_no_pod(user):
    user.enable()
    user.run_pod("stays")
    before = user.container("stays")
    user.disable()
    assert user.configs() == {}
    assert user.container("stays") == before
    user.run_pod("later")
    with pytest.raises(KubectlError, match="not found"):
        user.landscape.shoot("get", "customresourcedefinition", "adjustments.criresmgr.intel.com")
    for name in ("stays", "later"):
        user.delete_pod(name)


@pytest.mark.label("enable", "disable")
@pytest.mark.slow
@pytest.mark.usefixtures("on_for_everybody")
def test_on_for_everybody_a_shoot_that_says_nothing_has_it_and_one_that_disables_it_has_not(user):
    user.disable()
    user.patch({"extensions": []})
    user.wait(lambda: user.rolled_out("cri-resmgr-installation"), "the installation")
    user.disable()


@pytest.mark.label("disable")
@pytest.mark.local_only
@pytest.mark.slow
def test_a_registration_that_is_removed_stays_until_no_shoot_has_it_and_nodes_do_not_notice(user, landscape):
    user.enable()
    landscape.garden("delete", *REGISTRATION, "--wait=false")
    user.run_pod("meanwhile")
    found = json.loads(landscape.garden("get", *REGISTRATION, "-ojson"))
    assert "deletionTimestamp" in found["metadata"]
    user.wait_installed()
    user.delete_pod("meanwhile")
    user.disable()

    def gone():
        return not landscape.garden("get", *REGISTRATION, "--ignore-not-found")

    user.wait(gone, "the registration to go")
    user.wait(lambda: not landscape.garden("get", "controllerinstallations", "-oname"), "the installation to go")
    landscape.register()
