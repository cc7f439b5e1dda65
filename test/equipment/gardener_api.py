"""The real gardener-apiserver, with an etcd and a kube-apiserver of its own: Gardener's `start-envtest`."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from equipment import machine
from equipment.processes import Processes
from equipment.tools import tool

NAME = "start-envtest"
START_DEADLINE_S = 90
DEADLINE_S = 60


class KubectlError(Exception):
    """What kubectl complained of."""


class GardenerApi:
    """The garden's API server, reached with kubectl as people do it."""

    def __init__(self, kubeconfig: Path) -> None:
        """`kubeconfig` is the administrator's."""
        self._kubeconfig = kubeconfig

    def kubectl(self, *arguments: str | Path) -> str:
        """What kubectl prints.  Raises KubectlError."""
        command = [tool("kubectl"), f"--kubeconfig={self._kubeconfig}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        if done.returncode:
            raise KubectlError(done.stderr.strip() or done.stdout.strip())
        return done.stdout


@contextmanager
def gardener_api(directory: Path) -> Iterator[GardenerApi]:
    """An API server that serves Gardener's kinds, while the context lasts; `directory` is its own."""
    machine.ensure_apt("etcd-server")
    assets = directory / "assets"
    assets.mkdir(parents=True, exist_ok=True)
    for name, path in (("etcd", shutil.which("etcd")), *((name, tool(name)) for name in ("kube-apiserver", "kubectl"))):
        assert path, f"{name} is nowhere"
        (assets / name).unlink(missing_ok=True)
        (assets / name).symlink_to(path)
    kubeconfig = directory / "garden.kubeconfig"
    kubeconfig.unlink(missing_ok=True)
    command = [tool(NAME), "--environment-type=gardener", f"--kubeconfig={kubeconfig}"]
    processes = Processes(directory / "processes")
    try:
        processes.start(NAME, command, env={"KUBEBUILDER_ASSETS": str(assets)})
        processes.wait_for(NAME, kubeconfig.exists, "gardener-apiserver", START_DEADLINE_S)
        yield GardenerApi(kubeconfig)
    finally:
        processes.stop_all()
