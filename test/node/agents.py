"""The node agent as a process, between a real API server and a real daemon whose runtime is in memory."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psutil

from doubles.runtime import FakeRuntime, served
from equipment.agent import Agent
from equipment.api_server import ApiServer
from equipment.kubectl import kubectl
from equipment.processes import Processes, free_port, wait_for
from unit.cli.daemons import Daemon

NODE = "agents-node"
NAMESPACE = "kube-system"
PREFIX = "cri-resmgr-config"
OWN, DEFAULT, BATCH = f"{PREFIX}.node.{NODE}", f"{PREFIX}.default", f"{PREFIX}.group.batch"
LABEL = "cri-resource-manager.intel.com/group"
COMMANDS = Path(sys.executable).parent
EVENTS = f"/apis/events.k8s.io/v1/namespaces/default/events?fieldSelector=regarding.name%3D{NODE}"
CONFIGMAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
NODES = "/api/v1/nodes"
PATIENCE_S = 60.0

PINNED = {"policy": "Active: topology-aware\nReservedResources: {CPU: 750m}\n"}
NONE = {"policy": "Active: none\n"}
WRONG = {"policy": "Active: ballons\n"}


class AgentProcess:
    """One agent with its files in `root`; `flags` are added."""

    def __init__(self, root: Path, kubeconfig: Path, config_socket: Path, *flags: str, name: str = "agent") -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.name, self.socket, self.port = name, root / f"{name}.sock", free_port()
        self._processes = Processes(root / name)
        self._command = [
            *(COMMANDS / "cri-resmgr-agent", "-agent-socket", self.socket, "-cri-resmgr-socket", config_socket),
            *("-kubeconfig", kubeconfig, "-metrics-port", str(self.port), *flags),
        ]

    def start(self) -> None:
        """Start it, and wait for nothing."""
        self._processes.start(self.name, self._command, env={"NODE_NAME": NODE})

    @property
    def process(self) -> psutil.Process:
        """What the system knows of it."""
        return psutil.Process(self._processes.pid(self.name))

    def stop(self) -> None:
        """As the kubelet does."""
        self._processes.stop(self.name)

    def kill(self) -> None:
        """As a crash does."""
        self._processes.kill(self.name)

    def log(self) -> str:
        """All that it has said."""
        return self._processes.log(self.name)

    def wait(self, condition: Any, what: str, deadline_s: float = PATIENCE_S) -> None:
        """While it lives."""
        self._processes.wait_for(self.name, condition, what, deadline_s)

    def probe(self, *flags: str) -> tuple[int, str]:
        """The exit code of the probe, and what it says."""
        done = subprocess.run(
            [COMMANDS / "cri-resmgr-agent-probe", "-agent-socket", self.socket, *flags],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        return done.returncode, done.stdout

    def ready(self) -> tuple[bool, str]:
        """What its readiness probe says, asked without a process."""
        try:
            status, text = asked(self.socket, "/readyz")
        except OSError as error:
            return False, str(error)
        return status == 200, text

    def wait_ready(self, containing: str = "") -> str:
        """Wait until it is ready, and says that; what it says."""
        self.wait(lambda: self.ready()[0] and containing in self.ready()[1], f"ready: {containing}")
        return self.ready()[1]

    def wait_unready(self, containing: str) -> str:
        """Wait until it is not, and says why; what it says."""
        self.wait(lambda: not self.ready()[0] and containing in self.ready()[1], f"not ready: {containing}")
        return self.ready()[1]

    def close(self) -> None:
        """End it and give the directory free."""
        self._processes.stop_all()


def asked(path: Path, target: str) -> tuple[int, str]:
    """Status and text of a GET at a unix socket."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(path))
        connection.sendall(f"GET {target} HTTP/1.1\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()


class Scene:
    """An API server with our Node, a daemon, and an agent between them, which is not started."""

    def __init__(self, server: ApiServer, root: Path) -> None:
        self.server, self.root, self.api = server, root, server.api
        self.runtime = FakeRuntime()
        self.daemon = Daemon(root)
        self.agents: list[AgentProcess] = []
        self.agent = self.another()

    def another(self, *flags: str, kubeconfig: Path | None = None) -> AgentProcess:
        """One more agent, not started."""
        where = kubeconfig or self.server.kubeconfig
        name = f"agent-{len(self.agents)}"
        self.agents.append(AgentProcess(self.root, where, self.daemon.config_socket, *flags, name=name))
        return self.agents[-1]

    def kubectl(self, *words: str | Path) -> str:
        """What kubectl prints; raises KubectlError."""
        return kubectl(self.server.kubeconfig, *words)

    def node(self, group: str | None = None, *, cpu: str = "1") -> None:
        """The Node is there, in a group or in none."""
        if self.api.find(f"{NODES}/{NODE}") is None:
            self.api("POST", NODES, {"metadata": {"name": NODE}})
        self.api.merge(f"{NODES}/{NODE}", {"metadata": {"labels": {LABEL: group}}})
        self.api.merge(f"{NODES}/{NODE}/status", {"status": {"allocatable": {"cpu": cpu}}})

    def configmap(self, name: str, data: dict[str, str]) -> None:
        """A ConfigMap is there, with this data and no other."""
        body = {"metadata": {"name": name, "namespace": NAMESPACE}, "data": data}
        there = self.api.find(f"{CONFIGMAPS}/{name}") is not None
        self.api("PUT" if there else "POST", f"{CONFIGMAPS}/{name}" if there else CONFIGMAPS, body)

    def drop(self, name: str) -> None:
        """A ConfigMap is there no more."""
        self.api.discard(f"{CONFIGMAPS}/{name}")

    def status(self) -> dict[str, Any]:
        """What the daemon says."""
        with Agent(self.daemon.config_socket) as asker:
            return asker.status()

    def uses(self, name: str) -> bool:
        """Whether the daemon uses this ConfigMap."""
        return bool(self.status()["config"]["source"] == f"{NAMESPACE}/{name}")

    def wait_used(self, name: str, policy: str = "") -> None:
        """Wait until it does, with this policy."""
        self.agent.wait(
            lambda: self.uses(name) and policy in {"", self.status()["policy"]}, f"the daemon to use {name}"
        )

    def applied_s(self, name: str, data: dict[str, str], policy: str) -> float:
        """How long it takes from a change of a ConfigMap until the daemon has applied it."""
        with Agent(self.daemon.config_socket) as asker:
            begun_s = time.monotonic()
            self.configmap(name, data)
            wait_for(lambda: asker.status()["policy"] == policy, f"policy {policy}", PATIENCE_S)
            return time.monotonic() - begun_s

    def wait_told(self, event: str, count: int = 1) -> None:
        """Wait until the agent has logged it so often."""
        self.agent.wait(lambda: self.agent.log().count(event) >= count, f"{event} in its log")

    def events(self, reason: str) -> list[Any]:
        """Events of the node with this reason."""
        return [event for event in self.api("GET", EVENTS)["items"] if event["reason"] == reason]

    def wait_event(self, reason: str, containing: str) -> Any:
        """Wait for one that says this."""
        found: list[Any] = []

        def there() -> bool:
            found[:] = [event for event in self.events(reason) if containing in event["note"]]
            return bool(found)

        self.agent.wait(there, f"an Event {reason}: {containing}")
        return found[0]

    def clear(self) -> None:
        """Leave the API server as it was."""
        for name in (OWN, DEFAULT, BATCH):
            self.drop(name)
        for event in self.api("GET", EVENTS)["items"]:
            self.api.discard(f"/apis/events.k8s.io/v1/namespaces/default/events/{event['metadata']['name']}")
        self.api.discard(f"{NODES}/{NODE}")


S = TypeVar("S", bound=Scene)


@contextmanager
def scene(server: ApiServer, root: Path, kind: type[S] = Scene) -> Iterator[S]:  # type: ignore[assignment]
    """A runtime, and the daemon before it, started; all is gone at the end."""
    made = kind(server, root)
    try:
        with served(made.runtime, made.daemon.runtime_socket), made.daemon:
            made.node()
            made.daemon.start()
            yield made
    finally:
        for agent in made.agents:
            agent.close()
        made.clear()


def metrics(port: int) -> str:
    """What Prometheus gets at the agent's port."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    return answer.partition(b"\r\n\r\n")[2].decode()


def settle_cpu_s(process: psutil.Process, seconds: float) -> float:
    """CPU seconds that a process takes in that time."""
    before = sum(process.cpu_times()[:2])
    time.sleep(seconds)
    return sum(process.cpu_times()[:2]) - before
