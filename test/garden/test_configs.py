"""Whose configuration a shoot gets, and who is told what is wrong with it, by gardenlet's rules."""

from dataclasses import replace

import pytest

from equipment.control_plane import ApiError
from equipment.gardenlet import objection, path_of, refusal
from equipment.processes import wait_for
from extension.options import Options
from garden.running import Seed, running

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_go, pytest.mark.timeout(120)]

OURS = "extension-cri-resmgr-extension-test"
CONFIGMAPS = f"/api/v1/namespaces/{OURS}/configmaps"
NAME = "gardener-extension-cri-resmgr-configs"
AWARE, NONE = "policy:\n  Active: topology-aware\n", "policy:\n  Active: none\n"
BASE = {"default": AWARE, "group.fast": AWARE}


@pytest.fixture(scope="module")
def operator(garden):
    """What the chart makes in the seed."""
    garden.seed.api("POST", "/api/v1/namespaces", {"metadata": {"name": OURS}})

    def says(data):
        try:
            garden.seed.api("POST", CONFIGMAPS, {"metadata": {"name": NAME}, "data": data})
        except ApiError:
            garden.seed.api("PUT", f"{CONFIGMAPS}/{NAME}", {"metadata": {"name": NAME}, "data": data})

    says(BASE)
    return says


@pytest.fixture(scope="module")
def controller(garden, operator):
    with running(garden.seed.kubeconfig, Options(namespace=OURS, poll_s=0.2)) as made:
        yield made


@pytest.fixture
def seed(garden, shoot, controller, operator):
    yield Seed(garden.seed.api, shoot.namespace)
    operator(BASE)


def configs_of(seed):
    found = seed.objects()
    prefix = "cri-resmgr-config."
    return {name.removeprefix(prefix): one["data"] for (kind, name), one in found.items() if kind == "ConfigMap"}


def accepted(gardenlet, shoot, provider_config):
    """Until gardenlet accepts it; an error of the same second may be from before."""
    wanted = replace(shoot, provider_config=provider_config)
    gardenlet.reconcile(wanted)
    wait_for(lambda: not objection(gardenlet.find(wanted)), f"{provider_config} to be accepted", 30)


def refused(gardenlet, shoot, provider_config, *told):
    """Until gardenlet gives the shoot up, and its owner is told so; an error of the same second may be from before."""
    wanted = replace(shoot, provider_config=provider_config)
    gardenlet.reconcile(wanted)
    wait_for(lambda: all(text in refusal(gardenlet.find(wanted)) for text in told), f"the shoot to fail for {told}", 30)


def test_operators_configurations_reach_a_shoot_that_says_nothing(seed, gardenlet, shoot):
    accepted(gardenlet, shoot, None)
    found = configs_of(seed)
    assert found.keys() == {"default", "fallback", "group.fast"}
    assert "topology-aware" in found["default"]["policy"]


def test_owner_overrides_type_by_type(seed, gardenlet, shoot):
    accepted(gardenlet, shoot, {"configs": {"default": NONE, "node.one": AWARE, "group.fast": ""}})
    found = configs_of(seed)
    assert found.keys() == {"default", "fallback", "node.one"}
    assert "none" in found["default"]["policy"]


def test_operators_change_reaches_every_shoot_at_once(seed, gardenlet, shoot, operator):
    other = replace(shoot, namespace=f"{shoot.namespace}-b")
    for each in (shoot, other):
        accepted(gardenlet, each, None)
    operator({"force": NONE})
    for each in (seed, Seed(seed.api, other.namespace)):
        each.wait_for(lambda each=each: configs_of(each).keys() == {"force", "fallback"}, "the new configuration")
        assert configs_of(each)["force"] == {"force.cfg": NONE}
    gardenlet.wait(shoot)


def test_owners_mistake_is_told_with_its_path_and_fails_the_shoot(seed, gardenlet, shoot):
    unknown = "providerConfig.workerpools: unknown key; did you mean workerPools?"
    refused(gardenlet, shoot, {"workerpools": ["x"]}, unknown)
    refused(
        gardenlet,
        shoot,
        {"configs": {"default": "policy:\n  Actve: none\n", "defualt": NONE}},
        "providerConfig.configs.default: line 2: policy.Actve: unknown key; did you mean Active?",
        "providerConfig.configs.defualt: is no type of configuration; did you mean default?",
    )
    assert seed.resource() is None, "nothing was changed"


def test_mistake_leaves_in_place_what_was_right_and_is_mended_without_being_asked(seed, gardenlet, shoot, garden):
    accepted(gardenlet, shoot, {"maxUnavailable": 2})
    before = seed.resource()
    refused(gardenlet, shoot, {"maxUnavailable": 0}, "providerConfig.maxUnavailable: 0 is no number of nodes")
    assert seed.resource() == before
    patch = {"spec": {"providerConfig": {"maxUnavailable": 4}}}
    garden.seed.api.merge(path_of(shoot), patch)
    seed.wait_for(lambda: "lastError" not in gardenlet.find(shoot)["status"], "the mending")
    gardenlet.wait(shoot)
    assert seed.resource() != before


def test_operators_mistake_is_no_shoots_fault(seed, gardenlet, shoot, operator):
    operator({"default": "policy: ["})
    gardenlet.reconcile(shoot)
    seed.wait_for(lambda: (gardenlet.find(shoot).get("status") or {}).get("lastError"), "the error")
    error = gardenlet.find(shoot)["status"]["lastError"]
    assert "ControllerDeployment: configs.default" in error["description"]
    assert "codes" not in error
    accepted(gardenlet, shoot, {"configs": {"default": NONE}})  # who says it himself does not need it


def test_shoot_keeps_what_it_has_while_the_operators_configuration_is_broken(
    seed, gardenlet, shoot, operator, controller
):
    accepted(gardenlet, shoot, None)
    before, status = seed.resource(), gardenlet.find(shoot)["status"]
    operator({"default": "policy: ["})
    seed.wait_for(
        lambda: any("configs.default" in one for one in controller.controller.queue.failing.values()), "trouble"
    )
    assert (seed.resource(), gardenlet.find(shoot)["status"]) == (before, status)


@pytest.mark.parametrize("said", ["text", ["a", "list"], 7])
def test_api_server_itself_refuses_what_is_no_object(seed, gardenlet, shoot, said):
    with pytest.raises(ApiError) as caught:
        gardenlet.reconcile(replace(shoot, provider_config=said))
    assert caught.value.status == 422


def test_megabyte_is_refused_and_delays_nobody(seed, gardenlet, shoot):
    told = "providerConfig.configs.default: is larger than 262144 bytes; make it smaller"
    refused(gardenlet, shoot, {"configs": {"default": "a: [" + "x, " * 330_000 + "]"}}, told)


def test_long_text_is_read_apart_and_told_with_its_line(seed, gardenlet, shoot):
    long = "# why\n" * 5_000 + "policy:\n  Active: nobody\n"
    told = "providerConfig.configs.default: line 5002: policy.Active:"
    refused(gardenlet, shoot, {"configs": {"default": long}}, told)


def test_pools_whose_kubelet_places_containers_itself_are_refused_or_left_out(seed, gardenlet, shoot):
    static = {"name": "pinned", "kubernetes": {"kubelet": {"cpuManagerPolicy": "static"}}}
    shoot = replace(shoot, workers=(*shoot.workers, static))
    refused(gardenlet, shoot, None, "worker pool 'pinned' has a static cpuManagerPolicy")
    accepted(gardenlet, shoot, {"workerPools": ["worker"]})
    accepted(gardenlet, shoot, {"staticKubeletPools": "leaveOut"})
    affinity = seed.objects()["DaemonSet", "cri-resmgr-installation"]["spec"]["template"]["spec"]["affinity"]
    assert "'operator': 'NotIn', 'values': ['pinned']" in str(affinity)


def test_pool_that_is_not_there_is_refused_with_the_nearest_name(seed, gardenlet, shoot):
    told = "providerConfig.workerPools: the shoot has no worker pool 'workr'; did you mean worker?"
    refused(gardenlet, shoot, {"workerPools": ["workr"]}, told)
