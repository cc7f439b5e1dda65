"""Faults under load: whatever is killed, no call is lost without an error, and in the end the ledger is what runs."""

import json
import os
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from cri_resmgr.cri import api_pb2
from doubles.runtime import FakeRuntime, served
from equipment.cri import CriClient
from equipment.load import Load, client_that_does_not_read, clients_that_give_up, memory_of, shares_of
from equipment.processes import wait_for
from equipment.relay import Relay
from equipment.runtimes import Runtime
from equipment.stand_ins import BUSYBOX
from unit.cli.daemons import Daemon, run_pod

pytestmark = pytest.mark.needs_root

WORKERS = 16
SETTLE_DEADLINE_S = 120  # a container whose creation was cut off may still appear for half a minute
UNKNOWN = "unknown"
STATES = {
    api_pb2.CONTAINER_CREATED: "created",
    api_pb2.CONTAINER_RUNNING: "running",
    api_pb2.CONTAINER_EXITED: "exited",
}


def get(path: Path, target: str) -> tuple[int, str]:
    """Status and body from the daemon's own HTTP."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(path))
        client.sendall(f"GET {target} HTTP/1.1\r\n\r\n".encode())
        answer = b""
        while chunk := client.recv(1 << 16):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()


# ---- under load


class Watched(Relay):
    """The daemon with what can be seen of it from outside."""

    def __init__(self, runtime: Runtime, root: Path, *flags: str) -> None:
        self.watched = root / "watched.sock"
        super().__init__(runtime.socket, root, "--metrics-address", f"unix://{self.watched}", *flags)

    def metrics(self) -> str:
        """All samples."""
        return get(self.watched, "/metrics")[1]

    def metric(self, name: str) -> float:
        """One sample, named with its labels."""
        lines = self.metrics().splitlines()
        return float(next(line.rpartition(" ")[2] for line in lines if line.startswith(f"{name} ")))

    def rows(self, query: str) -> list[tuple]:
        """What the store says."""
        with closing(sqlite3.connect(self.root / "relay" / "state.db")) as connection:
            return connection.execute(query).fetchall()

    def descriptors(self) -> int:
        """Open files of the process."""
        return sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())

    def threads(self) -> int:
        """Tasks of the process, as the kernel has them."""
        return sum(1 for _ in Path(f"/proc/{self.pid}/task").iterdir())

    def rss_mib(self) -> float:
        """Resident memory."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


@pytest.fixture(name="watched")
def _watched(containerd16: Runtime, tmp_path: Path) -> Iterator[Watched]:
    with Watched(containerd16, tmp_path) as relay:
        yield relay

    def removed() -> bool:
        """A task whose deletion was cut off by a restart of containerd may take a second attempt."""
        with suppress(grpc.RpcError):
            containerd16.remove_pods()
            return True
        return False

    wait_for(removed, "the pods to go", SETTLE_DEADLINE_S)


class Faults:
    """Kills the daemon and restarts the runtime, evenly over the time that the load takes."""

    def __init__(self, load: Load, events: list[Callable[[], None]]) -> None:
        self._load, self._events, self._over = load, events, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.errors: list[BaseException] = []

    def __enter__(self) -> "Faults":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def _run(self) -> None:
        for place, event in enumerate(self._events, start=1):
            while self._load.done < place * self._load.pods // (len(self._events) + 2):
                if self._over.wait(0.02):
                    return
            try:
                event()
            except BaseException as error:  # noqa: BLE001 - shown by the test
                self.errors.append(error)

    def over(self) -> None:
        """The load has ended, however."""
        self._over.set()


@dataclass(frozen=True)
class Scale:
    """How much of everything."""

    pods: int
    kills: int
    restarts: int


def in_runtime(runtime: Runtime) -> tuple[set[str], dict[str, str]]:
    """Ids of the sandboxes, and ids and states of the containers, without the relay."""
    with CriClient(runtime.socket) as cri:
        pods = {pod.id for pod in cri("ListPodSandbox", deadline_s=120).items}
        return pods, {c.id: STATES.get(c.state, UNKNOWN) for c in cri("ListContainers", deadline_s=120).containers}


def in_ledger(relay: Watched) -> tuple[set[str], dict[str, str]]:
    """The same, as the store has it."""
    return {id_ for (id_,) in relay.rows("SELECT id FROM pods")}, dict(relay.rows("SELECT id, state FROM containers"))


def same(ledger: tuple[set[str], dict[str, str]], runtime: tuple[set[str], dict[str, str]]) -> bool:
    """Equal as far as the runtime knows itself.

    What was stopped or superseded before it ever started has ended for us, while containerd goes on to say `created`;
    after restarts in the middle of a start it says `unknown`.
    """
    mine, theirs = ledger[1], runtime[1]
    vague = {
        id_ for id_, state in theirs.items() if state == UNKNOWN or (state, mine.get(id_)) == ("created", "exited")
    }
    states = {id_: mine.get(id_, "missing") if id_ in vague else state for id_, state in theirs.items()}
    return ledger == (runtime[0], states)


def wait_equal(relay: Watched, runtime: Runtime) -> None:
    """Wait until the ledger is what runs, while a kubelet lists."""

    def equal() -> bool:
        with CriClient(relay.socket) as cri:
            cri("ListPodSandbox", deadline_s=120)
            cri("ListContainers", deadline_s=120)
        return same(in_ledger(relay), in_runtime(runtime))

    try:
        wait_for(equal, "the ledger to be what runs", SETTLE_DEADLINE_S)
    except TimeoutError as error:
        error.add_note(f"ledger:  {in_ledger(relay)}\nruntime: {in_runtime(runtime)}")
        raise


def check_originals(relay: Watched) -> None:
    """What the kubelet asked for is remembered, also of what was adopted."""
    kept = relay.rows("SELECT name, asked_cpu_shares, asked_memory_limit_bytes FROM containers WHERE state = 'running'")
    assert kept
    for name, shares, memory in kept:
        number = int(name[1:])
        assert shares in {2, shares_of(number)}
        assert memory == memory_of(number)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "scale",
    [
        pytest.param(Scale(60, 4, 1), id="short", marks=pytest.mark.slow),
        pytest.param(Scale(200, 20, 5), id="long", marks=pytest.mark.slow),
    ],
)
def test_under_load_and_faults_no_call_is_lost_and_the_ledger_is_what_runs(
    watched: Watched, containerd16: Runtime, shown, scale: Scale
):
    idle = watched.descriptors(), watched.threads()
    load = Load(watched.socket, BUSYBOX, scale.pods)

    def kill() -> None:
        watched.kill()
        watched.start()

    events = [kill] * scale.kills
    for place in range(scale.restarts):
        events.insert((place + 1) * len(events) // (scale.restarts + 1), containerd16.restart)
    with Faults(load, events) as faults:
        try:
            with clients_that_give_up(watched.socket) as given_up, client_that_does_not_read(watched.socket):
                load.run(WORKERS)
        finally:
            faults.over()
    with shown():
        print(f"\n{scale}: {dict(load.outcomes)}; given up: {dict(given_up)}; {watched.rss_mib():.0f} MiB")
    assert not faults.errors
    assert watched.log().count("daemon.ready") == scale.kills + 1
    assert (load.done, load.lost, load.surprises) == (scale.pods, [], [])
    assert given_up["CANCELLED"]

    wait_equal(watched, containerd16)
    check_originals(watched)
    assert watched.metric("cri_resmgr_calls_held") == 0
    wait_for(lambda: watched.metric("cri_resmgr_links_open") == 0, "the links to end", 60)
    assert watched.descriptors() <= idle[0] + 1  # a thread for checkpoints has come, or a log file of SQLite
    assert watched.threads() <= idle[1] + 1
    watched.restart()
    wait_equal(watched, containerd16)
    check_originals(watched)
    assert "Traceback" not in watched.log()


# ---- a full disk


@pytest.fixture(name="tiny")
def _tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of 600 KiB."""
    directory = tmp_path / "relay"
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k,mode=0710", "tmpfs", directory], check=True, timeout=30)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True, timeout=30)


def health(daemon: Daemon) -> tuple[int, str]:
    """Status, and reasons as text."""
    status, body = get(daemon.root / "watched.sock", "/healthz")
    return status, "; ".join(json.loads(body)["reasons"])


def test_with_a_full_disk_pods_go_on_health_says_so_and_nothing_is_lost_when_there_is_space_again(tiny, tmp_path):
    runtime = FakeRuntime()
    flags = ("--metrics-address", f"unix://{tmp_path / 'watched.sock'}")
    with Daemon(tmp_path, *flags) as daemon, served(runtime, daemon.runtime_socket):
        daemon.start()
        wait_for(lambda: health(daemon)[0] == 200, "a healthy daemon")
        filler = tiny / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(1024))
        with daemon.client() as client:
            for number in range(40):
                run_pod(client, f"pod-{number}")
            wait_for(lambda: health(daemon)[0] == 503, "the full disk to be noticed")
            assert "free space" in health(daemon)[1]
            run_pod(client, "one-more")
        assert "store.degraded" in daemon.log()
        filler.unlink()
        wait_for(lambda: health(daemon)[0] == 200, "the store to recover")
        assert "store.recovered" in daemon.log()
        assert daemon.stop() == 0
    with closing(sqlite3.connect(tiny / "state.db")) as connection:
        stored = {id_ for (id_,) in connection.execute("SELECT id FROM containers")}
    assert stored == set(runtime.containers)
    assert len(stored) == 41
