"""The real gardener-resource-manager as a process: it applies the ManagedResources of one cluster to another one.

One that looked after all namespaces would leave its finalizer on what tests of others make, so it is told some.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from equipment.control_plane import answers
from equipment.processes import Processes
from equipment.tools import tool

PROGRAM = "gardener-resource-manager"
HEALTH_PORT = 8081
START_DEADLINE_S = 60


@dataclass(frozen=True, kw_only=True)
class ResourceManager:
    """One instance, with an address of the loopback for itself; it runs among `processes` under `name`."""

    processes: Processes
    directory: Path
    """Of its files: the configuration and the certificate of its web server."""
    address: IPv4Address
    source: Path
    """Kubeconfig of the cluster with the ManagedResources."""
    target: Path
    """Kubeconfig of the cluster that they are for."""
    certificate: Path
    """`NAME.crt`; beside it there is `NAME.key`."""
    resource_class: str = "resources"
    """That one stands for ManagedResources without a class, which are for shoots; `seed` for those of a seed."""
    name: str = PROGRAM

    def start(self, *namespaces: str) -> None:
        """Start it anew for these namespaces of the source; returns when it is ready."""
        program = tool(PROGRAM)  # built, if need be, before a deadline runs
        self.processes.stop(self.name)
        self.processes.start(self.name, [program, f"--config={self._configuration(namespaces)}"])
        ready = f"http://{self.address}:{HEALTH_PORT}/readyz"
        self.processes.wait_for(self.name, lambda: answers(ready), PROGRAM, START_DEADLINE_S)

    def stop(self) -> None:
        """As when the shoot is hibernated; ManagedResources that it has seen cannot go until it is back."""
        self.processes.stop(self.name)

    def _configuration(self, namespaces: Sequence[str]) -> Path:
        host = str(self.address)
        self.directory.mkdir(parents=True, exist_ok=True)
        for suffix in ("crt", "key"):  # its webhook server listens also when it has no webhooks
            shutil.copyfile(self.certificate.with_suffix(f".{suffix}"), self.directory / f"tls.{suffix}")
        path = self.directory / "configuration.json"
        path.write_text(json.dumps({
            "apiVersion": "resourcemanager.config.gardener.cloud/v1alpha1",
            "kind": "ResourceManagerConfiguration",
            "sourceClientConnection": {"kubeconfig": str(self.source), "namespaces": list(namespaces)},
            "targetClientConnection": {"kubeconfig": str(self.target)},
            "leaderElection": {"leaderElect": False},
            "logLevel": "info",
            "logFormat": "text",
            "server": {
                "webhooks": {"bindAddress": host, "port": 9449, "tls": {"serverCertDir": str(self.directory)}},
                "healthProbes": {"bindAddress": host, "port": HEALTH_PORT},
                "metrics": {"bindAddress": host, "port": 8080},
            },
            "controllers": {
                "clusterID": "",
                "resourceClass": self.resource_class,
                "garbageCollector": {"enabled": False},
                "health": {"concurrentSyncs": 5, "syncPeriod": "15s"},
                "tokenRequestor": {"enabled": True, "concurrentSyncs": 2},
                "managedResource": {"concurrentSyncs": 5, "syncPeriod": "15s", "managedByLabelValue": "gardener"},
            },
            "webhooks": {},
        }))  # fmt: skip
        return path
