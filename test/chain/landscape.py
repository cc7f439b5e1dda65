"""Everything that `chain` says is real, started and ended."""

import contextlib
import re
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from ipaddress import IPv4Address
from pathlib import Path

import yaml

from chain import installations
from equipment import built_images, cache, gardener, worker
from equipment.control_plane import ControlPlane
from equipment.credentials import ADMIN
from equipment.garden import define
from equipment.gardener_api import GardenerApi
from equipment.gardenlet import Gardenlet
from equipment.mounts import remove_tree
from equipment.processes import Processes
from equipment.resource_manager import ResourceManager
from equipment.rootfs import rootfs
from equipment.sandbox import Bind, Sandbox
from equipment.tools import tool

NODE = "crirm-chain"
POOL = "local"
TREE = "/opt/cri-resmgr/current"
"""The installed bundle, on the node."""
REGISTRY_PORT = 5001
"""Where the seed's commands push to."""
SHOOT_NAMESPACE = "shoot--local--local"
STANDIN = "standin"
REPOSITORY = Path(__file__).parents[2]
GARDEN_OBJECTS = Path(__file__).with_name("garden.yaml")
MONITORING = ("monitoring.coreos.com_scrapeconfigs.yaml", "monitoring.coreos.com_prometheusrules.yaml")
PRIORITY_CLASSES = {"gardener-system-900": 999_998_900}
"""Gardener brings it to a seed."""

Shown = Callable[[str], AbstractContextManager[None]]


@contextlib.contextmanager
def _silent(_: str) -> Iterator[None]:
    yield


class Landscape:
    """All of it; it outlives whoever starts it, until somebody stops it."""

    def __init__(self, directory: Path | None = None, *, shown: Shown = _silent) -> None:
        """Take over and end what an earlier run has left; `shown` wraps each long step, whose name it is given."""
        self.directory = directory or cache.directory() / "run" / "chain"
        self._shown = shown
        self._processes = Processes(self.directory / "processes")
        self.garden = GardenerApi(self.directory / "garden")
        self.cluster = ControlPlane(self.directory / "cluster", nodes=(NODE,))
        binds = (Bind(tool("kubelet"), "/opt/bin/kubelet"),)
        self.node = Sandbox(self.directory / "node", rootfs(), name=NODE, binds=binds)
        self.images: built_images.Images

    def start(self) -> None:
        """Return when the node is Ready, the garden knows what it must, and the stand-in is at work."""
        place = built_images.built()
        with ThreadPoolExecutor() as pool:
            others = [pool.submit(self._start_garden), pool.submit(self._start_registry, place)]
            with self._shown("the cluster: etcd, API server, controller manager, scheduler"):
                self.cluster.start()
            with self._shown("its node: systemd, containerd, kubelet"):
                self._start_node()
            with self._shown("the garden: gardener-apiserver"):
                _results(others)
        with self._shown("what Gardener runs in a seed: two gardener-resource-managers, and a stand-in for gardenlet"):
            self._furnish_seed()
            self.seed_manager.start("garden", SHOOT_NAMESPACE, installations.NAMESPACE)
            self.shoot_manager.start(SHOOT_NAMESPACE)
            self.start_standin()

    def stop(self) -> None:
        """End everything and leave nothing."""
        self.node.down()
        self._processes.stop_all()
        self.garden.stop()
        self.cluster.stop()
        remove_tree(self.directory)

    @property
    def shoot_manager(self) -> ResourceManager:
        """gardener-resource-manager for ManagedResources that go to the shoot."""
        return self._manager("shoot", IPv4Address("127.198.100.3"), "resources")

    @property
    def seed_manager(self) -> ResourceManager:
        """gardener-resource-manager for those that stay in the seed."""
        return self._manager("seed", IPv4Address("127.198.100.4"), "seed")

    @property
    def gardenlet(self) -> Gardenlet:
        """For what the stand-in does not do by itself: migration."""
        return Gardenlet(self.cluster.api)

    def start_standin(self) -> None:
        """Let it go on where it was."""
        command = [
            sys.executable, "-m", "chain.standin", f"--garden={self.garden.kubeconfig}",
            f"--seed={self.kubeconfig}", f"--directory={self.directory / STANDIN}",
        ]  # fmt: skip
        path = f"{REPOSITORY / 'test'}:{REPOSITORY / 'hacks'}"
        self._processes.start(STANDIN, command, env={"PYTHONPATH": path}, cwd=REPOSITORY)

    def stop_standin(self) -> None:
        """Nobody acts for Gardener any more."""
        self._processes.stop(STANDIN)

    def relay(self, *words: str, check: bool = True) -> str:
        """What `cri-resmgr` of the node's bundle prints; with `check`, RuntimeError when it fails."""
        return self.node.inside(f"{TREE}/bin/cri-resmgr", *words, check=check)

    def policy(self) -> str:
        """In one line the policy in force and what it comes from, as `status` says; empty while there is none."""
        found = re.search(r"^policy .*(\n +\S.*)*", self.relay("status", check=False), re.MULTILINE)
        return " ".join(found[0].split()) if found else ""

    @property
    def kubeconfig(self) -> Path:
        """The administrator's, of the cluster."""
        return self.cluster.credentials.kubeconfig(ADMIN)

    @property
    def kubectl(self) -> Path:
        """For people."""
        return tool("kubectl")

    def logs(self) -> dict[str, str]:
        """What the processes that are not in the cluster have written, by their names."""
        return {name: self._processes.log(name) for name in (STANDIN, "manager-shoot", "manager-seed", "registry")}

    def _start_garden(self) -> None:
        self.garden.start()
        self.garden.kubectl("apply", "-f", GARDEN_OBJECTS)

    def _start_registry(self, place: Path) -> None:
        processes, storage = self._processes, place / "registry"
        address = built_images.start_registry(processes, storage, port=REGISTRY_PORT, readonly=True)
        self.images = built_images.Images.of(place, address)

    def _start_node(self) -> None:
        worker.furnish_containerd(self.node)
        worker.furnish_kubelet(self.node, self.cluster)
        self.node.boot()
        worker.import_images(self.node)
        self.cluster.wait_ready(NODE)
        self.label_node(**{"worker.gardener.cloud/pool": POOL})

    def label_node(self, **labels: str | None) -> None:
        """Set labels of the node, or take them away."""
        self.cluster.api.merge(f"/api/v1/nodes/{NODE}", {"metadata": {"labels": labels}})

    def _furnish_seed(self) -> None:
        monitoring = (yaml.safe_load(gardener.original(name).read_text()) for name in MONITORING)
        for definition in (*gardener.definitions(), *monitoring):
            define(self.cluster.api, definition)
        self.cluster.api("POST", "/api/v1/namespaces", {"metadata": {"name": "garden"}})
        for name, value in PRIORITY_CLASSES.items():
            thing = {"metadata": {"name": name}, "value": value}
            self.cluster.api("POST", "/apis/scheduling.k8s.io/v1/priorityclasses", thing)

    def _manager(self, name: str, address: IPv4Address, resource_class: str) -> ResourceManager:
        return ResourceManager(
            processes=self._processes,
            directory=self.directory / f"manager-{name}",
            address=address,
            source=self.kubeconfig,
            target=self.kubeconfig,
            certificate=self.cluster.credentials.directory / "apiserver.crt",
            resource_class=resource_class,
            name=f"manager-{name}",
        )


def _results(futures: list[Future[None]]) -> None:
    for future in futures:
        future.result()
