"""A daemon that does not stay up: the kubelet has the plain runtime on the same path, and later the daemon again."""

import contextlib
import json
from collections.abc import Iterator

import grpc
import pytest

from equipment import worker
from equipment.cri import CriClient
from equipment.processes import wait_for
from equipment.restless import Restless
from equipment.worker import RELAY_SOCKET
from installer.options import BYPASS, SERVICE
from node.installing import Node, node

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_go, pytest.mark.timeout(300)]

PROGRAM = "/opt/cri-resmgr/current/bin/cri-resmgr"
__all__ = ["node"]


@pytest.fixture
def installed(node: Node) -> Node:
    node.install("one")
    return node


@contextlib.contextmanager
def client(node: Node) -> Iterator[CriClient]:
    with CriClient(node.sandbox.outside(RELAY_SOCKET)) as cri:
        yield cri


def active(node: Node, unit: str) -> bool:
    return node.sandbox.show(unit, "ActiveState") == "active"


def break_daemon(node: Node, program: str = "#!/bin/sh\nexit 1\n") -> None:
    node.sandbox.write_file(PROGRAM, program, mode=0o755)
    node.sandbox.inside("systemctl", "kill", "--signal=KILL", SERVICE)


def wait_bypassed(node: Node, deadline_s: float = 60) -> None:
    """Active is said when its program begins, so it must answer, too."""

    def bypassed() -> bool:
        return active(node, BYPASS) and not active(node, SERVICE) and answering(node)

    wait_for(bypassed, "the bypass", deadline_s)


def answering(node: Node) -> bool:
    with client(node) as cri, contextlib.suppress(grpc.RpcError):
        return bool(cri("Version"))
    return False


def test_a_daemon_that_dies_at_its_start_is_bypassed_and_the_kubelet_goes_on(installed: Node):
    installed.add_pod("settled")
    pods, kubelet = installed.pods(), installed.sandbox.show("kubelet", "MainPID")
    break_daemon(installed)
    wait_bypassed(installed)
    with client(installed) as cri:
        assert cri("Version").runtime_name == "containerd"
    installed.add_pod("new")
    assert pods.items() <= installed.pods().items()
    assert installed.sandbox.show("kubelet", "MainPID") == kubelet
    assert installed.installer("probe") == "bypassed\n"
    assert 'cri_resmgr_installer_state{state="bypassed"} 1' in installed.metrics()


def test_a_daemon_that_works_again_gets_the_path_back_without_a_failed_call(installed: Node):
    break_daemon(installed)
    wait_bypassed(installed)
    kubelet = installed.sandbox.show("kubelet", "MainPID")
    installed.sandbox.write_file(PROGRAM, worker.LAUNCHER, mode=0o755)
    with client(installed) as cri, Restless(lambda: cri("Version")) as calls:
        installed.sandbox.inside("systemctl", "reload", BYPASS)
        wait_for(lambda: active(installed, SERVICE) and not active(installed, BYPASS), "the daemon")
        done = calls.done
        wait_for(lambda: calls.done > done, "one more call")
    assert calls.failures == []
    assert installed.sandbox.show("kubelet", "MainPID") == kubelet
    wait_for(lambda: installed.installer("probe", check=False) == "installed\n", "the probe")


def test_a_daemon_that_still_does_not_work_costs_no_call(installed: Node):
    break_daemon(installed)
    wait_bypassed(installed)
    with client(installed) as cri, Restless(lambda: cri("Version")) as calls:
        installed.sandbox.inside("systemctl", "reload", BYPASS)
        wait_for(lambda: "daemon.tried" in installed.sandbox.journal(BYPASS), "the try")
        wait_for(lambda: installed.sandbox.journal(BYPASS).count("bypass.serving") == 2, "its end")
        done = calls.done
        wait_for(lambda: calls.done > done, "one more call")
    assert calls.failures == []
    with client(installed) as cri:
        assert cri("Version").runtime_name == "containerd"


def test_a_daemon_that_hangs_is_bypassed_after_the_watchdog_has_tried(installed: Node):
    hasty = "[Service]\nWatchdogSec=1s\nTimeoutAbortSec=1s\n"
    installed.sandbox.write_file(f"/etc/systemd/system/{SERVICE}.d/hasty.conf", hasty)
    installed.sandbox.inside("systemctl", "daemon-reload")
    installed.sandbox.inside("systemctl", "restart", SERVICE)
    for restarts in (1, 2, 3):
        installed.sandbox.inside("systemctl", "kill", "--signal=STOP", SERVICE)
        wait_for(
            lambda: (int(installed.sandbox.show(SERVICE, "NRestarts")) >= restarts and active(installed, SERVICE))  # noqa: B023
            or active(installed, BYPASS),
            "the watchdog",
        )  # fmt: skip
    wait_bypassed(installed)
    with client(installed) as cri:
        assert cri("Version").runtime_name == "containerd"


@pytest.mark.parametrize("lost", ["bin/python3", pytest.param("", marks=pytest.mark.slow)])
def test_without_an_interpreter_the_path_becomes_a_link_to_the_runtime(installed: Node, lost: str):
    tree = "/opt/cri-resmgr/one"
    installed.sandbox.inside("rm", "-r", *({PROGRAM, f"{tree}/{lost}"} if lost else {tree}))
    installed.sandbox.inside("systemctl", "kill", "--signal=KILL", SERVICE)
    wait_bypassed(installed)
    wait_for(lambda: "is a link" in installed.sandbox.journal(BYPASS), "the link")
    with client(installed) as cri:
        assert cri("Version").runtime_name == "containerd"
    wait_for(installed.healthy, "the kubelet")
    installed.install("one")
    assert active(installed, SERVICE)
    assert installed.installer("probe") == "installed\n"


def test_people_can_bypass_the_daemon_and_start_it_again(installed: Node):
    installed.sandbox.inside("systemctl", "start", BYPASS)
    wait_bypassed(installed)
    installed.sandbox.inside("systemctl", "start", SERVICE)
    wait_for(lambda: active(installed, SERVICE) and not active(installed, BYPASS), "the daemon")
    with client(installed) as cri:
        assert cri("Version").runtime_name == "containerd"


def test_another_version_ends_a_bypass(installed: Node):
    break_daemon(installed)
    wait_bypassed(installed)
    installed.install("two")
    assert active(installed, SERVICE)
    assert not active(installed, BYPASS)
    assert json.loads(installed.installer("status", "--output=json"))["state"] == "installed"
