"""The daemon as a process in front of a real runtime: what a client finds after it was killed or restarted."""

from pathlib import Path

import grpc
import pytest

from equipment.cri import CriClient, run_pod
from equipment.relay import Relay
from equipment.runtimes import Runtime
from equipment.stand_ins import BUSYBOX

pytestmark = pytest.mark.needs_root


@pytest.fixture
def pod(relay: Relay, containerd16: Runtime):
    """A pod that was made through the relay; the ids of its sandbox and its container."""
    with CriClient(relay.socket) as cri:
        ids = run_pod(cri, "relayed", image=BUSYBOX, command=("sleep", "2147483647"))
    yield ids
    containerd16.remove_pods()


def seen(runtime: Runtime | Relay) -> tuple[set[str], set[str]]:
    """Ids of the sandboxes and of the containers; containerd lists them in the order of a Go map, so as sets."""
    with CriClient(runtime.socket) as cri:
        pods, containers = cri("ListPodSandbox").items, cri("ListContainers").containers
    return {each.id for each in pods}, {each.id for each in containers}


def assert_shown(relay: Relay, pod: tuple[str, str]) -> None:
    """The pod is there; so may be sandboxes that an earlier test of the shared runtime could not remove."""
    sandboxes, containers = seen(relay)
    assert pod[0] in sandboxes
    assert pod[1] in containers


def test_relay_and_runtime_show_the_same_pods(relay: Relay, containerd16: Runtime, pod: tuple[str, str]):
    assert seen(relay) == seen(containerd16)
    assert_shown(relay, pod)


@pytest.mark.parametrize("end", [Relay.stop, Relay.kill], ids=["stopped", "killed"])
def test_an_ended_relay_refuses_and_a_new_one_shows_the_same_pods(relay: Relay, pod: tuple[str, str], end):
    before = relay.pid
    end(relay)
    assert not relay.alive
    with CriClient(relay.socket) as cri, pytest.raises(grpc.RpcError) as error:
        cri("Version", deadline_s=10)
    assert error.value.code() is grpc.StatusCode.UNAVAILABLE
    relay.start()
    assert relay.pid != before
    assert_shown(relay, pod)


def test_a_client_that_stays_connected_is_served_by_the_next_relay(relay: Relay):
    with CriClient(relay.socket) as cri:
        assert cri("Version").runtime_name == "containerd"
        relay.restart()
        assert cri("Version", deadline_s=60).runtime_name == "containerd"


def test_a_restarted_runtime_is_found_again(relay: Relay, containerd16: Runtime, pod: tuple[str, str]):
    containerd16.restart()
    assert_shown(relay, pod)


def test_a_relay_that_does_not_come_up_shows_what_it_said(containerd16: Runtime, tmp_path: Path):
    (tmp_path / "relay.sock").mkdir()
    relay = Relay(containerd16.socket, tmp_path)
    with pytest.raises(RuntimeError, match="the process ended") as error, relay:
        pass
    assert "relay.sock" in "".join(error.value.__notes__)
