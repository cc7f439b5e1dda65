"""Pods that come and go through a relay, as a kubelet makes them, and clients that misbehave meanwhile.

Each worker lives one pod after another: sandbox, container, start, resize, stop, remove.  A call that is cut off is
asked again as a kubelet does it, with another attempt where the first may have had an effect.  Every call ends in a
reply or an error, or it counts as lost.
"""

import contextlib
import random
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from cri_resmgr.cri import api_pb2, methods
from cri_resmgr.wire import frames
from cri_resmgr.wire.grpc import prefixed
from cri_resmgr.wire.hpack import Field, encode
from equipment.cri import CriClient, pod_config

CALL_DEADLINE_S = 120
ATTEMPTS = 400
PAUSE_S = 0.25
REFUSALS = 12  # of a container, until its sandbox is taken for broken and another one is made, as the kubelet does
SANDBOXES = 6
KEEP_EVERY = 6
# What a client sees when its connection, or the server behind it, goes away.
CUT_OFF = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED})
STARTING = "server is not initialized yet"  # containerd's word for the first moments after its restart
UNREAD_CALLS = 2000
_LIST: list[Field] = [
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", methods.LIST_CONTAINERS.encode()),
    (b":authority", b"localhost"),
    (b"content-type", b"application/grpc"),
    (b"te", b"trailers"),
]


class GivenUpError(Exception):
    """A call did not succeed however often it was tried."""


@dataclass(frozen=True)
class Wish:
    """What one pod asks for; `resources` and `resized` are fields of LinuxContainerResources."""

    resources: Mapping[str, int]
    resized: Mapping[str, int]
    stays: bool
    """Its life ends with its container running."""
    cgroup_parent: str = ""
    """Empty: that of `pod_config`."""
    namespace: str = "default"


def best_effort(number: int) -> Wish:
    """Pods that ask for no CPU until they are resized; every sixth one stays."""
    resources = {"cpu_shares": 2, "memory_limit_in_bytes": memory_of(number)}
    return Wish(resources, {"cpu_shares": shares_of(number)}, stays=number % KEEP_EVERY == 0)


@dataclass
class Load:
    """`pods` life cycles through the relay at `path`; `wish` says by a pod's number what it asks for."""

    path: Path
    image: str
    pods: int
    wish: Callable[[int], Wish] = best_effort
    done: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    """How calls ended, by status."""
    lost: list[str] = field(default_factory=list)
    """Calls that ended in nothing but their own deadline."""
    surprises: list[str] = field(default_factory=list)
    """Errors that no fault explains: nothing of the pod had been cut off before."""

    def __post_init__(self) -> None:
        """One lock for all counters."""
        self._lock = threading.Lock()
        self._next = iter(range(self.pods))

    def run(self, workers: int) -> None:
        """Live all of them; an error of a worker is raised."""
        with ThreadPoolExecutor(workers) as pool:
            for worker in [pool.submit(self._work) for _ in range(workers)]:
                worker.result()

    def _work(self) -> None:
        with CriClient(self.path) as cri:
            while (number := self._take()) is not None:
                PodLife(self, cri, number).live()
                with self._lock:
                    self.done += 1

    def _take(self) -> int | None:
        with self._lock:
            return next(self._next, None)

    def note(self, outcome: str, *, lost: str = "", surprise: str = "") -> None:
        """One call has ended."""
        with self._lock:
            self.outcomes[outcome] += 1
            self.lost += [lost] if lost else []
            self.surprises += [surprise] if surprise else []


class PodLife:
    """One pod."""

    def __init__(self, load: Load, cri: CriClient, number: int) -> None:
        self._load, self._cri, self._number, self._wish = load, cri, number, load.wish(number)
        self._was_cut_off = False
        self._last_error = ""
        self._refused = False  # by the runtime, the last time

    def live(self) -> None:
        """From the sandbox to its removal, or to a container that runs on."""
        for _ in range(SANDBOXES):
            pod, pod_id = self._sandbox()
            if container_id := self._container(pod, pod_id):
                break
        else:
            raise GivenUpError(self._last_error)
        self._try("StartContainer", container_id=container_id)
        self._try("UpdateContainerResources", container_id=container_id, linux=self._wish.resized)
        if self._wish.stays:
            return
        for method, fields in (
            ("StopContainer", {"container_id": container_id}),
            ("RemoveContainer", {"container_id": container_id}),
            ("StopPodSandbox", {"pod_sandbox_id": pod_id}),
            ("RemovePodSandbox", {"pod_sandbox_id": pod_id}),
        ):
            self._try(method, **fields)

    def _sandbox(self) -> tuple[api_pb2.PodSandboxConfig, str]:
        pod = pod_config(f"load-{self._number}")
        pod.metadata.namespace = self._wish.namespace
        pod.linux.cgroup_parent = self._wish.cgroup_parent or pod.linux.cgroup_parent
        for attempt in range(ATTEMPTS):
            pod.metadata.attempt = attempt
            if reply := self._once("RunPodSandbox", config=pod):
                return pod, reply.pod_sandbox_id
        raise GivenUpError(self._last_error)

    def _container(self, pod: api_pb2.PodSandboxConfig, pod_id: str) -> str:
        """Its id; "" when the sandbox takes none."""
        config = api_pb2.ContainerConfig(
            metadata=api_pb2.ContainerMetadata(name=f"c{self._number}"),
            image=api_pb2.ImageSpec(image=self._load.image),
            command=("sleep", "2147483647"),
            linux={"resources": self._wish.resources},
        )
        refusals = 0
        for attempt in range(ATTEMPTS):
            config.metadata.attempt = attempt
            if reply := self._once("CreateContainer", pod_sandbox_id=pod_id, config=config, sandbox_config=pod):
                return str(reply.container_id)
            refusals += self._refused
            if refusals >= REFUSALS:  # containerd was restarted while it made the sandbox, say
                return ""
        raise GivenUpError(self._last_error)

    def _try(self, method: str, **fields: object) -> None:
        """Until it succeeds, or the runtime says that it makes no sense (any more)."""
        for _ in range(ATTEMPTS):
            cut_off_before = self._was_cut_off
            self._was_cut_off = False
            if self._once(method, cut_off_before=cut_off_before, **fields):
                self._was_cut_off = cut_off_before
                return
            if not self._was_cut_off:
                self._was_cut_off = cut_off_before
                return
        raise GivenUpError(self._last_error)

    def _once(self, method: str, *, cut_off_before: bool = False, **fields: object) -> object:
        """The reply; None for an error."""
        try:
            reply: object = self._cri(method, deadline_s=CALL_DEADLINE_S, **fields)
        except grpc.RpcError as error:
            self._failed(method, error, cut_off_before=cut_off_before or self._was_cut_off)
            return None
        self._load.note("OK")
        return reply

    def _failed(self, method: str, error: grpc.RpcError, *, cut_off_before: bool) -> None:
        what = self._last_error = f"{method} of pod {self._number}: {error.code().name} {error.details()}"
        self._refused = error.code() not in CUT_OFF
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            self._load.note("DEADLINE_EXCEEDED", lost=what)
        elif error.code() in CUT_OFF:
            self._was_cut_off = True
            self._load.note(error.code().name)
        else:
            expected = cut_off_before or STARTING in (error.details() or "")
            self._load.note(error.code().name, surprise="" if expected else what)
        threading.Event().wait(PAUSE_S)


def shares_of(number: int) -> int:
    """What a pod's container is resized to: its number can be told from it."""
    return 1000 + number


def memory_of(number: int) -> int:
    """The memory limit that a pod's container is made with."""
    return (64 << 20) + number * 4096


@contextlib.contextmanager
def clients_that_give_up(path: Path, *, seed: int = 1) -> Iterator[Counter[str]]:
    """Calls that are cancelled after a moment, again and again; yields how they ended."""
    dice, ended = random.Random(seed), Counter[str]()

    def give_up(cri: CriClient) -> None:
        id_ = f"nobody-{dice.randrange(1 << 30)}"
        method, fields = dice.choice(
            [
                ("ListContainers", {}),
                ("StopContainer", {"container_id": id_}),
                ("RemoveContainer", {"container_id": id_}),
                ("CreateContainer", {"pod_sandbox_id": id_, "config": {"metadata": {"name": id_}}}),
                ("RunPodSandbox", {"config": {"metadata": {"name": id_, "uid": id_}}}),
            ]
        )
        call = cri.start(method, deadline_s=CALL_DEADLINE_S, **fields)
        threading.Event().wait(dice.random() * 0.02)
        call.cancel()
        code = call.code()
        ended[code.name] += 1

    with CriClient(path) as cri, _repeating(lambda: give_up(cri)):
        yield ended


@contextlib.contextmanager
def client_that_does_not_read(path: Path) -> Iterator[None]:
    """Asks for thousands of lists and takes none of the answers; when it is thrown out it comes again."""

    def come() -> None:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(str(path))
            client.sendall(frames.PREFACE + frames.frame(frames.SETTINGS, 0, 0))
            for stream in range(1, 2 * UNREAD_CALLS, 2):
                head = frames.header_frames(stream, encode(_LIST), end_stream=False)
                client.sendall(head + frames.frame(frames.DATA, frames.END_STREAM, stream, prefixed(b"")))
            threading.Event().wait(2)

    with _repeating(come):
        yield


@contextlib.contextmanager
def _repeating(act: Callable[[], None]) -> Iterator[None]:
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(0.01):
            with contextlib.suppress(OSError, grpc.RpcError):
                act()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
