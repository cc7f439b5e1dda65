"""The installer on a real systemd machine with a real kubelet: on, over, off, and nothing is left."""

import contextlib
import re
import threading
import time
from collections.abc import Iterator

import pytest

from equipment import worker
from equipment.cri import CriClient
from equipment.processes import wait_for
from equipment.restless import Restless, shake_hands
from equipment.worker import RELAY_SOCKET
from installer.options import SERVICE
from node.installing import BUNDLES, PLAIN, RELAY, Node, node

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_go, pytest.mark.timeout(300)]

__all__ = ["node"]


@contextlib.contextmanager
def kubelet_watched(node: Node) -> Iterator[list[float]]:
    """The moments at which the kubelet was not healthy, a tenth of a second apart."""
    moments: list[float] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.1):
            if not node.healthy():
                moments.append(time.monotonic())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield moments
    finally:
        stop.set()
        thread.join()


def down_s(moments: list[float]) -> float:
    return moments[-1] - moments[0] + 0.1 if moments else 0.0


def test_a_node_from_plain_to_relay_to_the_next_version_and_back(node: Node):
    node.add_pod("settled")
    tree, units, pods = node.tree(), node.units(), node.pods()
    kubelet = node.sandbox.show("kubelet", "MainPID")

    with kubelet_watched(node) as moments:
        begun_s = time.monotonic()
        node.install("one", pod=True)
        took_s = time.monotonic() - begun_s
    print(f"\ninstalled in {took_s:.1f} s, kubelet away for {down_s(moments):.1f} s")
    assert node.endpoint() == RELAY
    assert node.sandbox.show(SERVICE, "ActiveState") == "active"
    assert node.installer("probe", pod=True) == "installed\n"
    assert "--v=3" in worker.kubelet_arguments(node.sandbox)
    node.add_pod("new")
    assert pods.items() <= node.pods().items()

    installed, pids = node.tree(), [node.sandbox.show(unit, "MainPID") for unit in ("kubelet", SERVICE)]
    assert pids[0] != kubelet
    node.install("one", pod=True)
    assert [node.sandbox.show(unit, "MainPID") for unit in ("kubelet", SERVICE)] == pids
    changed = {path for path, facts in node.tree().items() if facts != installed.get(path)}
    assert {path for path in changed if "/state.db" not in path} <= {node.JOURNAL}

    relay = node.sandbox.outside(RELAY_SOCKET)
    with (
        CriClient(relay) as cri,
        Restless(lambda: shake_hands(relay)) as connects,
        Restless(lambda: cri("Version")) as calls,
    ):
        begun_s = time.monotonic()
        node.install("two", pod=True)
        took_s = time.monotonic() - begun_s
    print(f"upgraded in {took_s:.1f} s: {connects.done} connects and {calls.done} calls meanwhile")
    assert connects.failures == []
    assert calls.failures == []
    assert node.sandbox.show("kubelet", "MainPID") == pids[0]
    assert node.sandbox.show(SERVICE, "MainPID") != pids[1]
    assert node.sandbox.inside("ls", "/opt/cri-resmgr").split() == ["current", "two"]
    assert 'cri_resmgr_installer_info{version="two"} 1' in node.metrics()

    with kubelet_watched(node) as moments:
        node.installer("uninstall", pod=True)
    print(f"uninstalled, kubelet away for {down_s(moments):.1f} s")
    assert node.endpoint() == PLAIN
    assert pods.items() <= node.pods().items()
    node.sandbox.inside("rm", "/etc/kubernetes/manifests/new.json")
    assert node.tree() == tree
    assert node.units() == units


def test_rounds_of_install_and_uninstall_leave_no_trace(node: Node):
    node.add_pod("settled")
    tree, units, pods = node.tree(), node.units(), node.pods()
    for _ in range(3):
        node.install("one")
        node.installer("uninstall")
    assert node.tree() == tree
    assert node.units() == units
    assert node.pods() == pods


def test_gardeners_node_agent_may_rewrite_the_kubelets_unit_and_restart_it(node: Node):
    node.install("one")
    unit = node.sandbox.inside("cat", "/etc/systemd/system/kubelet.service")
    node.sandbox.write_file("/etc/systemd/system/kubelet.service.d/theirs.conf", "[Service]\n")
    node.sandbox.write_file("/etc/systemd/system/kubelet.service", unit.replace("--v=2", "--v=1"), mode=0o600)
    node.sandbox.inside("rm", "-r", "/etc/systemd/system/kubelet.service.d")
    node.sandbox.inside("systemctl", "daemon-reload")
    node.sandbox.inside("systemctl", "restart", "kubelet")
    wait_for(node.healthy, "the kubelet")
    assert node.endpoint() == RELAY
    assert node.installer("probe") == "installed\n"


def test_a_kubelet_whose_other_arguments_change_keeps_them_and_the_relay(node: Node):
    node.install("one")
    words = 'KUBELET_EXTRA_ARGS="--v=4 --node-labels=a=\\"b\\""'
    node.sandbox.write_file("/var/lib/kubelet/extra_args", f"{words}\n")
    node.sandbox.inside("systemctl", "restart", "kubelet")
    wait_for(node.healthy, "the kubelet")
    assert node.endpoint() == RELAY
    assert {"--v=4", "--node-labels=a=b"} <= set(worker.kubelet_arguments(node.sandbox))


@pytest.mark.parametrize("lost", [
    "/opt/cri-resmgr",
    pytest.param("/etc/systemd/system/cri-resource-manager*", marks=pytest.mark.slow),
    pytest.param("/etc/systemd/system.control", marks=pytest.mark.slow),
    pytest.param("/etc/cri-resmgr", marks=pytest.mark.slow),
])  # fmt: skip
def test_a_node_that_boots_without_part_of_us_has_its_kubelet_on_the_plain_runtime(node: Node, lost: str):
    node.install("one")
    node.sandbox.inside("sh", "-c", f"rm -r {lost}")
    node.reboot()
    wait_for(node.healthy, "the kubelet")
    assert node.endpoint() == PLAIN
    assert node.sandbox.show("kubelet", "NRestarts") == "0"
    assert "--v=3" in worker.kubelet_arguments(node.sandbox)


def test_a_node_boots_with_its_kubelet_on_the_relay(node: Node):
    node.install("one")
    node.add_pod("settled")
    node.sandbox.reboot()
    wait_for(node.healthy, "the kubelet")
    assert node.endpoint() == RELAY
    assert node.sandbox.show("kubelet", "NRestarts") == "0"
    assert node.installer("probe") == "installed\n"
    node.installer("uninstall")
    assert node.endpoint() == PLAIN


def test_a_daemon_that_does_not_come_up_is_rolled_back_before_the_kubelet_hears_of_it(node: Node):
    tree, kubelet = node.tree(), node.sandbox.show("kubelet", "MainPID")
    node.bundle("dies", '#!/bin/sh\n[ "$1" != config ] || exit 0\necho no luck >&2\nexit 1\n')
    said = node.install("dies", check=False)
    assert node.sandbox.show("kubelet", "MainPID") == kubelet
    assert node.status()["state"] == "rolled_back"
    assert "no luck" in str(node.status()["reason"])
    assert node.installer("probe") == "rolled_back\n"
    node.installer("uninstall")
    assert node.tree() == tree, said


def test_a_kubelet_that_is_not_well_through_the_relay_is_given_its_runtime_back(node: Node):
    tree = node.tree()
    node.add_pod("settled")
    pods = node.pods()
    # Answers the installer's question, and nobody else's: a kubelet wants more than a Version.
    node.bundle("useless", node.ONLY_VERSION)
    node.install("useless", "--deadline=8", check=False)
    assert node.status()["state"] == "rolled_back"
    assert node.endpoint() == PLAIN
    wait_for(node.healthy, "the kubelet")
    assert node.pods() == pods
    node.installer("uninstall")
    node.remove_pods()
    assert node.tree() == tree


def test_an_upgrade_that_fails_leaves_the_version_that_was_there(node: Node):
    node.install("one")
    kubelet = node.sandbox.show("kubelet", "MainPID")
    node.bundle("dies", '#!/bin/sh\n[ "$1" != config ] || exit 0\nexit 1\n')
    node.install("dies", check=False)
    found = node.status()
    assert (found["state"], found["version"]) == ("rolled_back", "one")
    assert node.sandbox.show("kubelet", "MainPID") == kubelet
    with CriClient(node.sandbox.outside(RELAY_SOCKET)) as cri:
        assert cri("Version").runtime_name == "containerd"


def test_a_new_pod_does_not_try_again_what_was_rolled_back_and_the_verb_install_does(node: Node):
    node.bundle("ill", '#!/bin/sh\n[ "$1" != config ] || exit 0\nexit 1\n')
    node.install("ill", check=False)
    node.bundle("ill")
    with asleep(node, "ill"):
        assert node.status()["state"] == "rolled_back"
        node.install("ill", pod=True)
    assert node.status()["state"] == "installed"


def test_a_new_pod_installs_where_one_was_refused_before(node: Node):
    node.sandbox.inside("mkdir", "-p", "/opt/cri-resmgr")
    node.sandbox.inside("mount", "-t", "tmpfs", "-o", "ro", "tmpfs", "/opt/cri-resmgr")
    with asleep(node, "one"):
        assert node.status()["state"] == "refused"
        node.sandbox.inside("umount", "/opt/cri-resmgr")
        assert node.status()["state"] == "refused"
    with asleep(node, "one"):
        assert node.status()["state"] == "installed"


@contextlib.contextmanager
def asleep(node: Node, bundle: str) -> Iterator[str]:
    """Does what a pod does until it sleeps, and ends it; its process."""
    node.sandbox.inside(
        "systemd-run", "--unit=pod", f"--setenv=PYTHONPATH={node.PACKAGE}", "python3", "-B", "-m", "installer.cli",
        "run", f"--bundle={BUNDLES}/{bundle}", "--config-dir=/root",
    )  # fmt: skip
    pid = node.sandbox.show("pod", "MainPID")
    try:
        wait_for(lambda: "sigwait" in node.sandbox.inside("cat", f"/proc/{pid}/cmdline"), "the pod to sleep")
        yield pid
    finally:
        node.sandbox.inside("systemctl", "stop", "pod", check=False)


def test_what_the_pod_leaves_asleep_is_small(node: Node):
    with asleep(node, "one") as pid:
        assert node.status()["state"] == "installed"
        assert_small(node, pid)
        node.sandbox.inside("systemctl", "stop", "pod")
        assert node.sandbox.show("pod", "Result") == "success"


def assert_small(node: Node, pid: str) -> None:
    rss_kib = int(re.search(r"VmRSS:\s+(\d+)", node.sandbox.inside("cat", f"/proc/{pid}/status"))[1])
    print(f"\nthe pod sleeps in {rss_kib / 1024:.1f} MiB")
    assert rss_kib < 20 << 10
