"""Taking it away while the real gardener-resource-manager does its part, in a shoot that has no nodes."""

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
