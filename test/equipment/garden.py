"""A garden small enough for tests: a seed and a shoot that are an API server each, and what Gardener runs between them.

    with Garden() as garden:
        garden.seed.api("GET", "/apis/extensions.gardener.cloud/v1alpha1/extensions")
        garden.start_resource_manager("shoot--test--one")    # what it applies is found with garden.shoot.api

The seed is there in some seconds.  The shoot comes on demand, with a controller manager and the real
gardener-resource-manager of one namespace: one that looked after all would leave its finalizer on what tests of the
controller alone make.  There are no nodes, so a DaemonSet is healthy as soon as its controller has seen it.

Several gardens run side by side: each takes the first free *plot*, a directory with loopback addresses of its own.
"""

import contextlib
import fcntl
import json
import shutil
from ipaddress import IPv4Address
from pathlib import Path
from typing import IO, Any

from equipment import cache, gardener
from equipment.api_server import ApiServer
from equipment.control_plane import Api, ApiError, answers
from equipment.processes import wait_for
from equipment.tools import tool

PLOTS = 8
START_DEADLINE_S = 60
CONTROLLERS = "daemonset-controller,garbage-collector-controller,namespace-controller"
RESOURCE_MANAGER, CONTROLLER_MANAGER = "gardener-resource-manager", "kube-controller-manager"
HEALTH_PORT = 8081
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


class Garden:
    """A context manager; `seed` and, once it is started, `shoot` are API servers that tests may kill and pause."""

    def __init__(self) -> None:
        """Take a plot and end what a killed run has left there."""
        self._number, self._plot = _take_plot()
        self.directory = cache.directory() / "run" / f"garden-{self._number}"
        self.seed = ApiServer(self.directory / "seed", address=self._address(1), audited=True)
        self._shoot: ApiServer | None = None

    def __enter__(self) -> "Garden":
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def shoot(self) -> ApiServer:
        """The shoot's API server, which is started when it is first asked for, with its controller manager."""
        if self._shoot is None:
            self._shoot = ApiServer(self.directory / "shoot", address=self._address(2))
            self._shoot.start()
            self.start_controller_manager()
        return self._shoot

    def start(self) -> None:
        """Return when the seed serves what Gardener brings."""
        self.seed.start()
        for definition in gardener.definitions():
            define(self.seed.api, definition)

    def stop(self) -> None:
        """End everything and leave nothing."""
        for server in (self._shoot, self.seed):
            if server is not None:
                server.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
        self._plot.close()

    def start_controller_manager(self) -> None:
        """Let what is deleted in the shoot go, and DaemonSets have a status; runs already after the first `shoot`."""
        self.shoot.processes.start(CONTROLLER_MANAGER, [
            tool(CONTROLLER_MANAGER), f"--kubeconfig={self.shoot.kubeconfig}", f"--controllers={CONTROLLERS}",
            "--leader-elect=false", "--secure-port=0", "--profiling=false",
        ])  # fmt: skip

    def stop_controller_manager(self) -> None:
        """Let DaemonSets of the shoot become unhealthy."""
        self.shoot.processes.stop(CONTROLLER_MANAGER)

    def start_resource_manager(self, namespace: str) -> None:
        """Have the ManagedResources of one namespace of the seed applied to the shoot; another one's are let be."""
        program = tool(RESOURCE_MANAGER)  # built, if need be, before a deadline runs
        processes = self.shoot.processes
        processes.stop(RESOURCE_MANAGER)
        processes.start(RESOURCE_MANAGER, [program, f"--config={self._configuration(namespace)}"])
        ready = f"http://{self._address(3)}:{HEALTH_PORT}/readyz"
        processes.wait_for(RESOURCE_MANAGER, lambda: answers(ready), "gardener-resource-manager", START_DEADLINE_S)

    def stop_resource_manager(self) -> None:
        """As when the shoot is hibernated; ManagedResources that it has seen cannot go until it is back."""
        self.shoot.processes.stop(RESOURCE_MANAGER)

    def _address(self, role: int) -> IPv4Address:
        return IPv4Address(f"127.198.{self._number}.{role}")

    def _configuration(self, namespace: str) -> Path:
        """The resource manager's: class `resources`, from that namespace of the seed to the shoot."""
        host, pki = str(self._address(3)), self.shoot.credentials.directory
        certificates = self.directory / "resource-manager"
        certificates.mkdir(exist_ok=True)
        for name in ("crt", "key"):  # its webhook server listens also when it has no webhooks
            shutil.copyfile(pki / f"apiserver.{name}", certificates / f"tls.{name}")
        path = self.directory / "resource-manager.yaml"
        path.write_text(json.dumps({
            "apiVersion": "resourcemanager.config.gardener.cloud/v1alpha1",
            "kind": "ResourceManagerConfiguration",
            "sourceClientConnection": {"kubeconfig": str(self.seed.kubeconfig), "namespaces": [namespace]},
            "targetClientConnection": {"kubeconfig": str(self.shoot.kubeconfig)},
            "leaderElection": {"leaderElect": False},
            "logLevel": "info",
            "logFormat": "text",
            "server": {
                "webhooks": {"bindAddress": host, "port": 9449, "tls": {"serverCertDir": str(certificates)}},
                "healthProbes": {"bindAddress": host, "port": HEALTH_PORT},
                "metrics": {"bindAddress": host, "port": 8080},
            },
            "controllers": {
                "clusterID": "",
                "resourceClass": "resources",
                "garbageCollector": {"enabled": False},
                "health": {"concurrentSyncs": 5, "syncPeriod": "15s"},
                "managedResource": {"concurrentSyncs": 5, "syncPeriod": "15s", "managedByLabelValue": "gardener"},
            },
            "webhooks": {},
        }))  # fmt: skip
        return path


def define(api: Api, definition: dict[str, Any]) -> None:
    """Make a custom resource definition and wait until it is served; nothing happens when it is there."""
    spec = definition["spec"]
    with contextlib.suppress(ApiError):
        api("POST", DEFINITIONS, definition)
    version = next(version["name"] for version in spec["versions"] if version["served"])
    path = f"/apis/{spec['group']}/{version}/{spec['names']['plural']}"
    wait_for(lambda: api.find(f"{path}?limit=1"), f"{path} to be served", START_DEADLINE_S)


def _take_plot() -> tuple[int, IO[str]]:
    """The number of a plot that is ours until the file is closed."""
    directory = cache.directory() / "run"
    directory.mkdir(exist_ok=True)
    for number in range(PLOTS):
        lock = (directory / f"garden-{number}.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            return number, lock
    raise RuntimeError(f"{PLOTS} gardens run already on this machine, see {directory}; wait for the end of one")
