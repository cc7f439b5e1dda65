"""Container runtimes as the tests use them: each in a directory, a network and a bridge of its own.

    with Containerd16(registry) as runtime:
        runtime.socket, runtime.crictl("pods"), runtime.restart()

`stop` ends everything that the runtime has ever started, also when the runtime was killed or never came up, and a
run that was itself killed is cleaned up after by the next one (`sweep`).
"""

import contextlib
import functools
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

from equipment import Unavailable, leftovers, machine
from equipment.cri import CriClient
from equipment.images import Layout
from equipment.mounts import remove_tree
from equipment.processes import Processes
from equipment.registry import Registry
from equipment.runtime_kinds import CONTAINERD2, CONTAINERD16, CRIO, Kind, network
from equipment.tools import tool

START_DEADLINE_S = 60
COMMAND_DEADLINE_S = 300
POD_DEADLINE_S = 30
_DAEMON = "runtime"
_ROOT_PREFIX = "crt-"  # short: a socket's path has room for 107 characters


class Runtime:
    """One runtime from `start` to `stop`; also a context manager."""

    def __init__(self, kind: Kind, registry: Registry) -> None:
        """Choose where it lives; nothing runs yet."""
        if not machine.is_root():
            raise Unavailable(f"{kind.name} makes mounts, cgroups and name spaces, which only root may")
        machine.ensure_apt(*kind.packages)
        sweep()
        self.kind = kind
        self.root = Path(tempfile.mkdtemp(prefix=f"{_ROOT_PREFIX}{kind.name}-"))
        self._registry = registry
        self._processes: Processes | None = None

    @property
    def socket(self) -> Path:
        """Where it serves CRI."""
        return self.root / self.kind.socket

    @property
    def pid(self) -> int:
        """Of the daemon."""
        return self._running().pid(_DAEMON)

    def start(self) -> None:
        """Return when pods can be made."""
        # A runtime propagates mounts below its directory into containers, which wants a shared mount.
        subprocess.run(["mount", "--bind", self.root, self.root], check=True, timeout=30)
        subprocess.run(["mount", "--make-shared", self.root], check=True, timeout=30)
        self._processes = Processes(self.root)
        bridge, subnet = claim_bridge(self.root)
        (self.root / "cni").mkdir()
        (self.root / "cni" / "10-bridge.conflist").write_text(network(bridge, subnet, self.root))
        for name, file in self.kind.files(self.root, self._registry.address).items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content if isinstance(file.content, bytes) else file.content.encode())
            path.chmod(file.mode)
        self._start_daemon()
        self.load(self._registry.layout)

    def load(self, layout: Layout) -> None:
        """Make images known under all of their names."""
        if self.kind.ctr:
            archive = self.root / "images.tar"
            layout.write_archive(archive)
            self.ctr("images", "import", str(archive))
            archive.unlink()
            return
        with CriClient(self.socket) as cri, ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda name: cri("PullImage", image={"image": name}), layout.manifests))

    def restart(self) -> None:
        """End the daemon and start it again; pods live on."""
        self._running().stop(_DAEMON)
        self._start_daemon()

    def kill(self) -> None:
        """End the daemon as a crash would; pods live on, and `restart` brings it back."""
        self._running().kill(_DAEMON)

    def log(self) -> str:
        """What the daemon has said so far."""
        return self._running().log(_DAEMON)

    def ctr(self, *arguments: str) -> str:
        """The output of containerd's own client in the name space of Kubernetes."""
        if not self.kind.ctr:
            raise TypeError(f"{self.kind.name} has no ctr; use crictl")
        return _output([self.kind.ctr(), "--address", self.socket, "--namespace", "k8s.io", *arguments])

    def crictl(self, *arguments: str) -> str:
        """The output of crictl; it is built when it is first needed."""
        # With its own 2 s it gives up on a busy machine, silently where it removes many.
        return _output([tool("crictl"), "--timeout=120s", f"--runtime-endpoint=unix://{self.socket}", *arguments])

    def remove_pods(self) -> None:
        """Remove every pod and what runs in it."""
        with CriClient(self.socket) as cri:
            # Killed first: CRI-O's StopPodSandbox waits for containers to obey their stop signal.
            containers = [each.id for each in cri("ListContainers").containers]
            _each(cri, "StopContainer", "container_id", containers, timeout=0)
            pods = [pod.id for pod in cri("ListPodSandbox").items]
            _each(cri, "StopPodSandbox", "pod_sandbox_id", pods)
            self._end_forgotten_tasks(cri)
            _each(cri, "RemovePodSandbox", "pod_sandbox_id", pods)

    def _end_forgotten_tasks(self, cri: CriClient) -> None:
        """End what containerd runs and does not stop.

        A StartContainer whose caller dies at the wrong moment leaves a task below a container that CRI calls created:
        StopContainer then does nothing, and removing fails for ever with "cannot delete running task".
        """
        if not self.kind.ctr:
            return
        tasks = set(self.ctr("tasks", "list", "--quiet").split())
        for container in cri("ListContainers").containers:
            if container.id in tasks:
                with contextlib.suppress(RuntimeError):  # it has ended meanwhile
                    self.ctr("tasks", "delete", "--force", container.id)

    def stop(self) -> None:
        """End everything that it has started and remove its directory; nothing happens the second time."""
        if self._processes and self._processes.alive(_DAEMON):
            # The orderly way takes network rules away as well; what it leaves goes below.
            with contextlib.suppress(grpc.RpcError):
                self.remove_pods()
        if self._processes:
            self._processes.stop_all()
            self._processes = None
        remove_root(self.root)

    def __enter__(self) -> "Runtime":
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _running(self) -> Processes:
        if self._processes is None:
            raise RuntimeError(f"{self.kind.name} has not been started")
        return self._processes

    def _start_daemon(self) -> None:
        processes = self._running()
        processes.start(_DAEMON, self.kind.command(self.root), env={"PATH": self.kind.path()})
        with CriClient(self.socket) as cri:
            processes.wait_for(_DAEMON, lambda: _ready(cri), "the runtime and its network", START_DEADLINE_S)


Containerd16 = functools.partial(Runtime, CONTAINERD16)
Containerd2 = functools.partial(Runtime, CONTAINERD2)
Crio = functools.partial(Runtime, CRIO)


def _each(cri: CriClient, method: str, name: str, ids: list[str], **fields: object) -> None:
    """Call `method` for all of them, eight at a time."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda each: cri(method, deadline_s=POD_DEADLINE_S, **{name: each}, **fields), ids))


def claim_bridge(root: Path) -> tuple[str, str]:
    """A bridge that nobody else has, and its subnet; its name is noted in `root`.

    Making a link is atomic, so two runtimes that start at once cannot take the same one.
    """
    for number in range(256):
        bridge = f"crt{number}"
        command = ["ip", "link", "add", bridge, "type", "bridge"]
        made = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
        if made.returncode == 0:
            (root / "bridge").write_text(bridge)
            return bridge, f"10.196.{number}.0/24"
        if "exists" not in made.stderr:
            raise Unavailable(f"cannot make the bridge {bridge}: {made.stderr.strip()}")
    raise Unavailable("all bridges crt0 to crt255 exist; remove those that no test run uses with `ip link delete`")


def remove_root(root: Path) -> None:
    """Remove what a runtime in `root` has left: processes, mounts, cgroups, its bridge, files."""
    if not root.exists():
        return
    others = [path for path in root.parent.glob(f"{_ROOT_PREFIX}*") if path != root]
    leftovers.remove(root, alone=not others)
    with contextlib.suppress(FileNotFoundError):
        subprocess.run(["ip", "link", "delete", (root / "bridge").read_text()], check=False, capture_output=True)
    remove_tree(root)


def sweep() -> None:
    """Clean up after runs that were killed: directories whose lock nobody holds."""
    for root in Path(tempfile.gettempdir()).glob(f"{_ROOT_PREFIX}*"):
        # Without a lock it is so new that nothing runs in it; with the lock held somebody works in it.
        if (root / "lock").exists():
            with contextlib.suppress(RuntimeError):
                Processes(root).stop_all()
                remove_root(root)


def _ready(cri: CriClient) -> bool:
    try:
        conditions = cri("Status", deadline_s=5).status.conditions
    except grpc.RpcError:
        return False
    return {c.type for c in conditions if c.status} >= {"RuntimeReady", "NetworkReady"}


def _output(command: list[str | Path]) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=COMMAND_DEADLINE_S)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} failed:\n{done.stderr.strip()}")
    return done.stdout
