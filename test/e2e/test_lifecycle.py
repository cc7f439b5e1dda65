"""What Gardener does to shoots besides: hibernation, migration, forced deletion, new versions of ours."""

import json
import time

import pytest

from chain.landscape import SHOOT_NAMESPACE, TREE
from chain.user import TOPOLOGY_AWARE
from equipment.built_images import NEXT_TAG
from equipment.gardenlet import FORCE_DELETION, Shoot
from extension.rendering.inputs import DISABLED_LABEL

pytestmark = [
    pytest.mark.needs_root, pytest.mark.needs_go, pytest.mark.timeout(600), pytest.mark.label("lifecycle"),
    pytest.mark.local_only,
]  # fmt: skip
CONFIG = {"configs": {"default": TOPOLOGY_AWARE}}


def processes(chain):
    """Of kubelet and daemon: which ones they are, and how often systemd has started them anew."""
    names = ("kubelet", "cri-resource-manager")
    return [(chain.node.show(name, "MainPID"), chain.node.show(name, "NRestarts")) for name in names]


def bundle(chain):
    """Which one is installed."""
    return chain.node.inside("readlink", TREE).strip()


def test_another_version_takes_over_without_a_kubelet_restart_and_every_pod_starts(user, landscape, chain, busy):
    user.enable(CONFIG)
    user.run_pod("settled")
    before, kubelet = user.container("settled"), chain.node.show("kubelet", "MainPID")
    version = bundle(chain)
    daemon = chain.node.show("cri-resource-manager", "MainPID")
    landscape.upgrade(installation_tag=NEXT_TAG)
    try:
        user.reconcile()
        user.wait(lambda: bundle(chain) != version, "the next bundle")
        user.wait(lambda: user.rolled_out("cri-resmgr-installation"), "the roll-out")
        user.wait_installed()
        assert bundle(chain).endswith("-two")
        assert chain.node.show("cri-resource-manager", "MainPID") != daemon
        assert chain.node.show("kubelet", "MainPID") == kubelet
        assert user.container("settled") == before
        time.sleep(3)  # some pods more, through the new one
        assert busy == []
    finally:
        landscape.upgrade()
        user.reconcile()
        user.wait(lambda: bundle(chain) == version, "the first bundle again")
    user.delete_pod("settled")


def test_pods_and_labels_of_ours_that_change_change_nothing_on_the_node(user, chain):
    user.enable(CONFIG)
    user.wait_installed()
    seen = processes(chain)
    for app in ("cri-resmgr-installation", "cri-resmgr-agent"):
        (pod,) = user.pods(app)
        user.landscape.shoot("delete", "pod", "-n", "kube-system", pod["metadata"]["name"])
        user.wait(lambda: user.rolled_out(app), f"{app} to be ready again")  # noqa: B023 - waited for at once
    template = {"spec": {"template": {"metadata": {"labels": {"e2e": "changed"}}}}}
    change = json.dumps(template)
    user.landscape.shoot("patch", "daemonset", "cri-resmgr-installation", "-n", "kube-system", "-p", change)
    user.wait(lambda: user.rolled_out("cri-resmgr-installation"), "the roll-out")
    user.wait_installed()
    assert processes(chain) == seen


def test_a_node_is_switched_off_by_its_label_and_on_again(user, chain):
    user.enable(CONFIG)
    user.run_pod("settled")
    before = user.container("settled")
    chain.label_node(**{DISABLED_LABEL: "true"})
    try:
        user.wait(
            lambda: chain.node.show("cri-resource-manager", "LoadState") == "not-found", "the node to be without us"
        )
        user.wait(lambda: user.rolled_out("cri-resmgr-removal"), "the removal to be ready")
        assert user.pods("cri-resmgr-installation") == []
    finally:
        chain.label_node(**{DISABLED_LABEL: None})
    user.wait(lambda: user.rolled_out("cri-resmgr-installation"), "the installation to be back")
    user.wait_installed()
    assert user.container("settled") == before
    user.delete_pod("settled")


def test_a_shoot_that_hibernates_waits_for_nobody_and_wakes_up_as_it_was(user, chain):
    user.enable(CONFIG)
    chain.shoot_manager.stop()  # gardenlet takes it away together with the nodes
    user.patch({"hibernation": {"enabled": True}})
    assert user.is_healthy(), "a hibernated shoot is healthy by definition"
    chain.shoot_manager.start(SHOOT_NAMESPACE)
    user.patch({"hibernation": {"enabled": False}})
    user.wait(user.is_healthy, "health after waking up")
    user.wait_installed()


def test_a_shoot_that_migrates_keeps_everything_on_its_nodes(user, chain):
    user.enable(CONFIG)
    user.run_pod("settled")
    before, daemon = user.container("settled"), chain.node.show("cri-resource-manager", "MainPID")
    told = Shoot(namespace=SHOOT_NAMESPACE, provider_config=CONFIG, whole=user.get())
    chain.stop_standin()
    try:
        chain.gardenlet.migrate(told)
        chain.gardenlet.wait_migrated(told)
        chain.gardenlet.delete(told)
        chain.gardenlet.wait_gone(told)
        assert {"cri-resmgr-installation", "cri-resmgr-agent"} <= user.daemon_sets().keys()
        chain.gardenlet.restore(told)  # the other seed is this one here
        chain.gardenlet.wait(told)
    finally:
        chain.start_standin()
    user.wait(user.is_healthy, "health after the migration")
    assert (user.container("settled"), chain.node.show("cri-resource-manager", "MainPID")) == (before, daemon)
    user.delete_pod("settled")


@pytest.mark.slow
def test_forced_deletion_waits_for_nobody(user, chain):
    user.enable(CONFIG)
    chain.stop_standin()
    chain.shoot_manager.stop()
    told = Shoot(namespace=SHOOT_NAMESPACE, provider_config=CONFIG, whole=_forced(user.get()))
    try:
        chain.gardenlet.tell(told)
        chain.gardenlet.delete(told)
        chain.gardenlet.wait_gone(told, deadline_s=30)
    finally:
        chain.shoot_manager.start(SHOOT_NAMESPACE)
        chain.start_standin()
    user.patch({"extensions": []})
    user.enable(CONFIG)  # and it can be had again
    user.wait_installed()


def _forced(shoot):
    notes = {**shoot["metadata"].get("annotations", {}), FORCE_DELETION: "true"}
    metadata = {**shoot["metadata"], "annotations": notes, "deletionTimestamp": "2026-01-01T00:00:00Z"}
    return {**shoot, "metadata": metadata}
