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
import shutil
from ipaddress import IPv4Address
from typing import IO, Any

from equipment import cache, gardener
from equipment.api_server import ApiServer
from equipment.control_plane import Api, ApiError
from equipment.processes import wait_for
from equipment.resource_manager import ResourceManager
from equipment.tools import tool

PLOTS = 8
START_DEADLINE_S = 60
CONTROLLERS = "daemonset-controller,garbage-collector-controller,namespace-controller"
CONTROLLER_MANAGER = "kube-controller-manager"
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
        self._resource_manager().start(namespace)

    def stop_resource_manager(self) -> None:
        """As when the shoot is hibernated; ManagedResources that it has seen cannot go until it is back."""
        self._resource_manager().stop()

    def _address(self, role: int) -> IPv4Address:
        return IPv4Address(f"127.198.{self._number}.{role}")

    def _resource_manager(self) -> ResourceManager:
        """The one from the seed to the shoot."""
        return ResourceManager(
            processes=self.shoot.processes,
            directory=self.directory / "resource-manager",
            address=self._address(3),
            source=self.seed.kubeconfig,
            target=self.shoot.kubeconfig,
            certificate=self.shoot.credentials.directory / "apiserver.crt",
        )


def define(api: Api, definition: dict[str, Any]) -> None:
    """Make a custom resource definition and wait until it is served; nothing happens when it is there."""
    spec = definition["spec"]
    with contextlib.suppress(ApiError):
        api("POST", DEFINITIONS, definition)
    version = next(version["name"] for version in spec["versions"] if version["served"])
    group, plural = f"/apis/{spec['group']}/{version}", spec["names"]["plural"]

    def is_served() -> bool:
        """The API server announces it a moment before, or after, it serves it."""
        announced = {resource["name"] for resource in (api.find(group) or {}).get("resources", ())}
        return plural in announced and api.find(f"{group}/{plural}?limit=1") is not None

    wait_for(is_served, f"{group}/{plural} to be served", START_DEADLINE_S)


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
