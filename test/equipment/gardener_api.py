"""The real gardener-apiserver, with an etcd and a kube-apiserver of its own: Gardener's `start-envtest`."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from equipment import machine
from equipment.kubectl import kubectl
from equipment.lifetimes import started
from equipment.processes import Processes
from equipment.tools import tool

NAME = "start-envtest"
START_DEADLINE_S = 90


class GardenerApi:
    """The garden's API server, reached with kubectl as people do it; all that it writes is in one directory."""

    def __init__(self, directory: Path) -> None:
        """Take `directory` over from an earlier run."""
        self.kubeconfig = directory / "garden.kubeconfig"
        self._assets = directory / "assets"
        self._processes = Processes(directory / "processes")

    def start(self) -> None:
        """Return when it serves Gardener's kinds."""
        machine.ensure_apt("etcd-server")
        self._assets.mkdir(parents=True, exist_ok=True)
        served = (("etcd", shutil.which("etcd")), *((name, tool(name)) for name in ("kube-apiserver", "kubectl")))
        for name, path in served:
            assert path, f"{name} is nowhere"
            (self._assets / name).unlink(missing_ok=True)
            (self._assets / name).symlink_to(path)
        self.kubeconfig.unlink(missing_ok=True)
        command = [tool(NAME), "--environment-type=gardener", f"--kubeconfig={self.kubeconfig}"]
        self._processes.start(NAME, command, env={"KUBEBUILDER_ASSETS": str(self._assets)})
        self._processes.wait_for(NAME, self.kubeconfig.exists, "gardener-apiserver", START_DEADLINE_S)

    def stop(self) -> None:
        """End it, with the servers behind it."""
        self._processes.stop_all()

    def kubectl(self, *arguments: str | Path, stdin: str | None = None) -> str:
        """What kubectl prints.  Raises KubectlError."""
        return kubectl(self.kubeconfig, *arguments, stdin=stdin)


@contextmanager
def gardener_api(directory: Path) -> Iterator[GardenerApi]:
    """An API server that serves Gardener's kinds, while the context lasts; `directory` is its own."""
    with started(GardenerApi(directory)) as api:
        yield api
