"""Our unit on a real systemd: what a client sees while the service is restarted, killed, stopped, hung, reloaded."""

import contextlib
import json
import operator
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import grpc
import pytest

from equipment.cri import CriClient, run_pod
from equipment.processes import wait_for
from equipment.restless import Restless, accepts, shake_hands
from equipment.sandbox import Sandbox
from equipment.stand_ins import BUSYBOX
from equipment.worker import RELAY_SOCKET, UNIT

pytestmark = [pytest.mark.needs_root, pytest.mark.timeout(180)]

ROUNDS = 3
# Connections come thick enough that some are accepted in the very moment of the stop.
CONNECT_PAUSE_S = 0.002
# The longest that a call may take and still survive a restart (DESIGN: SIGTERM = GOAWAY, finish for 5 s at most).
LONG_CALL_S = 4

READ_STORE = """
import json, pathlib, sqlite3
store = next(pathlib.Path("/var/lib/cri-resmgr").glob("*.db"))
connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
print(json.dumps(sorted(connection.execute("SELECT id, adopted, asked_cpu_shares FROM containers"))))
"""


def show(node: Sandbox, *names: str) -> dict[str, str]:
    """Properties of our unit."""
    lines = node.inside("systemctl", "show", UNIT, *(f"--property={name}" for name in names)).splitlines()
    return dict(line.split("=", 1) for line in lines)


def active(node: Sandbox) -> bool:
    return show(node, "ActiveState") == {"ActiveState": "active"}


def restarts(node: Sandbox) -> int:
    """How often systemd has restarted the service by itself."""
    return int(show(node, "NRestarts")["NRestarts"])


def kill(node: Sandbox, signal: str) -> None:
    node.inside("systemctl", "kill", f"--signal={signal}", UNIT)


@pytest.fixture
def node(service_node: Sandbox) -> Sandbox:
    """A node whose service has been started."""
    service_node.inside("systemctl", "start", UNIT)
    return service_node


@pytest.fixture
def relay(node: Sandbox) -> Path:
    """The relay's socket, as the host sees it."""
    return node.outside(RELAY_SOCKET)


@pytest.fixture
def cri(relay: Path) -> Iterator[CriClient]:
    with CriClient(relay) as client:
        yield client


def long_call(node: Sandbox, cri: CriClient, container_id: str) -> grpc.Future:
    """A call that the runtime is working on."""
    nap = f"sleep {LONG_CALL_S}"
    call = cri.start("ExecSync", container_id=container_id, cmd=["sh", "-c", f"{nap}; echo finished"])
    wait_for(lambda: node.inside("pgrep", "-xf", nap, check=False), f"{nap} in the container")
    return call


@contextlib.contextmanager
def restless_clients(relay: Path, cri: CriClient) -> Iterator[tuple[Restless, Restless]]:
    """One client that connects all the time, and one that calls all the time on the same channel."""
    connects = Restless(partial(shake_hands, relay), pause_s=CONNECT_PAUSE_S)
    with connects, Restless(partial(cri, "Version")) as calls:
        yield connects, calls


def wait_for_more(*clients: Restless) -> None:
    """Wait until every one of `clients` has had an answer since now."""
    before = [client.done for client in clients]
    try:
        wait_for(lambda: all(map(operator.gt, (client.done for client in clients), before)), "clients to go on")
    except TimeoutError as error:
        for client, done in zip(clients, before, strict=True):
            error.add_note(f"{client.done - done} answers since then; {client.failures[-3:]}")
        raise


def test_the_service_is_active_once_it_answers(node, cri):
    # `systemctl start` waits for READY=1, so the very first call must find everything there.
    assert cri("Version").runtime_name == "containerd"
    assert show(node, "ActiveState", "Type") == {"ActiveState": "active", "Type": "notify"}


def test_the_service_waits_for_its_runtime_instead_of_failing(service_node):
    service_node.inside("systemctl", "stop", "containerd")
    service_node.inside("systemctl", "start", "--no-block", UNIT)
    wait_for(lambda: show(service_node, "MainPID")["MainPID"] != "0", "the daemon to run")
    with pytest.raises(TimeoutError):
        wait_for(lambda: show(service_node, "ActiveState")["ActiveState"] != "activating", "another state", 3)
    service_node.inside("systemctl", "start", "containerd")
    wait_for(partial(active, service_node), "the service to be active")
    assert restarts(service_node) == 0


def test_restarts_refuse_no_connect_and_fail_no_call(node, relay, cri):
    _, container = run_pod(cri, "worker", image=BUSYBOX, command=("sleep", "1000"))
    with restless_clients(relay, cri) as (connects, calls):
        for _ in range(ROUNDS):
            long = long_call(node, cri, container)
            node.inside("systemctl", "restart", UNIT)
            assert long.result().stdout == b"finished\n"
            wait_for_more(connects, calls)
    assert connects.failures == []
    assert calls.failures == []
    assert restarts(node) == 0


def test_a_killed_daemon_comes_back_under_the_same_listener(node, relay, cri):
    with restless_clients(relay, cri) as (connects, calls):
        for round_ in range(ROUNDS):
            kill(node, "KILL")
            wait_for(lambda: restarts(node) > round_ and active(node), "the restart")  # noqa: B023
            wait_for_more(connects, calls)
    refused = [failure for failure in connects.failures if "Refused" in failure or "FileNotFound" in failure]
    assert refused == []
    # A kill breaks what is in flight, one call and one handshake each, and nothing else.
    assert len(connects.failures) <= ROUNDS
    assert len(calls.failures) <= ROUNDS


def test_stop_stops_and_start_starts(node, relay, cri):
    node.inside("systemctl", "stop", UNIT)
    assert not accepts(relay)
    # A connect is no reason to start again, as it would be for a socket unit.
    with pytest.raises(TimeoutError):
        wait_for(lambda: accepts(relay) or show(node, "ActiveState") != {"ActiveState": "inactive"}, "a revival", 2)
    assert show(node, "Result", "NFileDescriptorStore") == {"Result": "success", "NFileDescriptorStore": "0"}
    node.inside("systemctl", "start", UNIT)
    assert cri("Version").runtime_name == "containerd"


def test_a_daemon_that_hangs_is_killed_by_the_watchdog_and_comes_back(node, relay, cri):
    assert show(node, "WatchdogUSec")["WatchdogUSec"] not in ("0", "infinity")
    node.write_file(f"/etc/systemd/system/{UNIT}.d/hasty.conf", "[Service]\nWatchdogSec=2s\nTimeoutAbortSec=2s\n")
    node.inside("systemctl", "daemon-reload")
    node.inside("systemctl", "restart", UNIT)
    kill(node, "STOP")
    wait_for(lambda: restarts(node) == 1 and active(node), "the restart")
    assert cri("Version").runtime_name == "containerd"
    assert "Watchdog timeout" in node.journal(UNIT)


def test_a_reload_keeps_links_and_the_process(node, cri):
    _, container = run_pod(cri, "worker", image=BUSYBOX, command=("sleep", "1000"))
    states: list[grpc.ChannelConnectivity] = []
    cri.channel.subscribe(states.append)
    wait_for(lambda: states == [grpc.ChannelConnectivity.READY], "the channel's state")
    pid = show(node, "MainPID")
    long = long_call(node, cri, container)
    for _ in range(ROUNDS):
        node.inside("systemctl", "reload", UNIT)
    assert long.result().stdout == b"finished\n"
    assert show(node, "MainPID") == pid
    assert states == [grpc.ChannelConnectivity.READY]


def stored_containers(node: Sandbox) -> list[list[object]]:
    """[id, whether it was adopted, shares asked for] of each container, as the store has it."""
    # Read inside: SQLite follows /proc/PID/root, a link to "/", out of the sandbox.
    return json.loads(node.inside("python3", "-c", READ_STORE))


def test_what_was_asked_for_survives_a_kill(node, cri):
    _, container = run_pod(cri, "worker", image=BUSYBOX, command=("sleep", "1000"))
    wait_for(lambda: stored_containers(node), "the store to be written")
    before = stored_containers(node)
    # A daemon that had forgotten would adopt the container and know no more than the runtime does.
    assert [row[:2] for row in before] == [[container, False]]
    kill(node, "KILL")
    wait_for(lambda: restarts(node) == 1 and active(node), "the restart")
    assert stored_containers(node) == before


def test_the_service_comes_with_the_machine_and_knows_what_has_gone(node, cri):
    run_pod(cri, "worker", image=BUSYBOX, command=("sleep", "1000"))
    wait_for(lambda: stored_containers(node), "the store to be written")
    node.inside("systemctl", "enable", UNIT)
    node.reboot()
    assert active(node)
    with CriClient(node.outside(RELAY_SOCKET)) as after:
        # The runtime still lists the container, as one that has exited, until the kubelet removes it.
        for container in after("ListContainers").containers:
            after("RemoveContainer", container_id=container.id)
    wait_for(lambda: not stored_containers(node), "the store to forget it")
