"""What goes wrong around an installer on a real systemd machine: disks, reboots, restarts of others, its own death."""

import contextlib
import threading
from collections.abc import Iterator

import pytest

from equipment import worker
from equipment.cri import CriClient
from equipment.processes import wait_for
from equipment.worker import RELAY_SOCKET
from installer.options import SERVICE
from node.installing import BUNDLES, EXTRA_ARGS, PLAIN, RELAY, Node, node

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_go, pytest.mark.timeout(300)]

PLACE = "/opt/cri-resmgr"
# Runs the installer, and kills it at once when it is about to do what the first argument names.
KILLED = """
import os, signal, sys
at = sys.argv.pop(1)
def hook(event, arguments):
    if event == "subprocess.Popen":
        what = " ".join(map(str, arguments[1]))
    elif event in ("os.rename", "os.remove", "os.rmdir", "shutil.rmtree"):
        what = event + " " + " ".join(map(str, arguments[:2])) + " "
    else:
        return
    if at in what:
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
from installer.cli import main
sys.exit(main())
"""
__all__ = ["node"]


@contextlib.contextmanager
def once_begun(node: Node, *command: str) -> Iterator[None]:
    """Run a command on the node as soon as an operation is in the journal; it must have worked."""
    failures: list[BaseException] = []

    def act() -> None:
        try:
            seen = 'while ! grep -q \'"operation": "[a-z]\' "$0"; do sleep 0.05; done; exec "$@"'
            node.sandbox.inside("timeout", "60", "sh", "-c", seen, node.JOURNAL, *command, deadline_s=90)
        except RuntimeError as error:
            failures.append(error)

    thread = threading.Thread(target=act)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    assert failures == []


def small_disk(node: Node, options: str) -> None:
    node.sandbox.inside("mkdir", "-p", PLACE)
    node.sandbox.inside("mount", "-t", "tmpfs", "-o", options, "tmpfs", PLACE)


def kill(node: Node, at: str, verb: str, *flags: str) -> None:
    """Run a verb that dies by SIGKILL right before `at`."""
    script = 'PYTHONPATH="$0" python3 -B -c "$@" 2>/dev/null; echo "ended with $?"'
    said = node.sandbox.inside("sh", "-c", script, node.PACKAGE, KILLED, at, verb, *flags, deadline_s=120)
    assert said.endswith("ended with 137\n"), f"{verb} never came to {at}: {said}"


def assert_installed(node: Node, version: str) -> None:
    wait_for(node.healthy, "the kubelet")
    assert node.endpoint() == RELAY
    assert node.sandbox.show(SERVICE, "ActiveState") == "active"
    assert node.installer("probe") == "installed\n"
    assert node.status()["version"] == version


def test_a_node_whose_opt_is_read_only_is_refused_and_not_changed(node: Node):
    small_disk(node, "ro")
    tree, kubelet = node.tree(), node.sandbox.show("kubelet", "MainPID")
    node.install("one", check=False)
    found = node.status()
    assert (found["state"], found["installed"]) == ("refused", False)
    assert found["reason"] == f"{PLACE} is on a read-only file system; it must be writable"
    assert node.sandbox.show("kubelet", "MainPID") == kubelet
    node.installer("uninstall")
    assert node.tree() == tree


def test_a_disk_that_is_too_small_is_refused_and_one_that_fills_up_meanwhile_is_undone(node: Node):
    small_disk(node, "size=256k")
    tree, kubelet = node.tree(), node.sandbox.show("kubelet", "MainPID")
    node.bundle("large", f"{worker.LAUNCHER}\n# {'x' * (1 << 20)}\n")
    node.install("large", check=False)
    assert node.status()["reason"] == f"{PLACE} has less than 300 MiB free; make room"
    node.install("large", "--force", check=False)
    found = node.status()
    assert found["state"] == "rolled_back"
    assert "No space left on device" in str(found["reason"])
    assert "the bundle needs 2 MiB there" in str(found["reason"])
    assert node.sandbox.show("kubelet", "MainPID") == kubelet
    node.installer("uninstall")
    assert node.tree() == tree


@pytest.mark.parametrize("other", ["containerd", "kubelet"])
def test_a_restart_of_somebody_else_meanwhile_ends_well_and_pods_run_on(node: Node, other: str):
    node.add_pod("settled")
    pods = node.pods()
    for version in ("one", "two"):
        with once_begun(node, "systemctl", "restart", other):
            node.install(version)
        assert_installed(node, version)
    with once_begun(node, "systemctl", "restart", other):
        node.installer("uninstall")
    wait_for(node.healthy, "the kubelet")
    assert node.endpoint() == PLAIN
    assert node.pods() == pods


def test_a_call_of_nearly_five_seconds_outlives_an_upgrade(node: Node):
    node.install("one")
    node.add_pod("settled")
    with CriClient(node.sandbox.outside(RELAY_SOCKET)) as cri:
        [container] = cri("ListContainers").containers
        call = cri.start("ExecSync", container_id=container.id, cmd=["sleep", "4"], timeout=20)
        with once_begun(node, "true"):
            node.install("two")
        assert call.result().exit_code == 0
    assert_installed(node, "two")


def test_a_node_that_has_lost_everything_but_the_kubelets_arguments_boots_on_the_plain_runtime(node: Node):
    node.install("one")
    lost = f"{PLACE} /etc/cri-resmgr /etc/systemd/system/cri-resource-manager* /etc/systemd/system.control"
    node.sandbox.inside("sh", "-c", f"rm -r {lost}")
    node.reboot()
    wait_for(node.healthy, "the kubelet")
    assert node.endpoint() == PLAIN
    assert node.sandbox.inside("cat", "/var/lib/kubelet/extra_args") == EXTRA_ARGS
    node.install("one")
    assert_installed(node, "one")


def test_an_installer_that_is_killed_at_a_boundary_ends_what_it_began_when_it_runs_again(node: Node):
    node.add_pod("settled")
    tree, pods = node.tree(), node.pods()
    one, two = ([f"--bundle={BUNDLES}/{version}", "--config-dir=/root"] for version in ("one", "two"))
    for at in (f"{PLACE}/one", "systemctl daemon-reload", f"--no-block {SERVICE}", "systemctl restart kubelet.service"):
        kill(node, at, "install", *one)
        wait_for(node.healthy, "the kubelet")
    node.install("one")
    assert_installed(node, "one")
    for at in (f"{PLACE}/two", f"{PLACE}/current ", f"--no-block {SERVICE}"):
        kill(node, at, "install", *two)
        wait_for(node.healthy, "the kubelet")
    node.install("two")
    assert_installed(node, "two")
    for at in ("systemctl restart kubelet.service", f"systemctl stop {SERVICE}", "release --all", f"{PLACE}/current"):
        kill(node, at, "uninstall")
        wait_for(node.healthy, "the kubelet")
    node.installer("uninstall")
    assert node.endpoint() == PLAIN
    assert node.tree() == tree
    assert node.pods() == pods
