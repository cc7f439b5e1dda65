"""Fixtures of a real cluster; `conftest` takes them over.

What a fixture makes lives in the cache directory, not in pytest's temporary ones: the next run must find it to end
what a killed run has left, and socket paths must be short.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from equipment import cache, worker
from equipment.bare_node import BareNode
from equipment.control_plane import ControlPlane
from equipment.lifetimes import Shown, started
from equipment.pods import Pods
from equipment.rootfs import rootfs as make_rootfs
from equipment.runtimes import Runtime
from equipment.sandbox import Bind, Sandbox
from equipment.tools import tool

BARE = "node-a"
PLACED = "node-b"
SANDBOX = "crirm-sandbox"


def run_directory(name: str) -> Path:
    """Where the equipment `name` keeps its files while it runs."""
    return cache.directory() / "run" / name


@pytest.fixture(scope="session")
def control_plane(shown: Shown) -> Iterator[ControlPlane]:
    """etcd, API server, controller manager, scheduler; needs Go once."""
    with started(ControlPlane(run_directory("control-plane"), nodes=(BARE, PLACED, SANDBOX)), shown) as plane:
        yield plane


@pytest.fixture(scope="module")
def bare_node(control_plane: ControlPlane, containerd16: Runtime) -> Iterator[BareNode]:
    """A kubelet on Debian's containerd; it goes with its module, for it ends all pods that it does not know."""
    made = BareNode(run_directory(BARE), name=BARE, control_plane=control_plane, runtime=containerd16)
    with started(made) as node:
        yield node


@pytest.fixture
def pods(control_plane: ControlPlane) -> Iterator[Pods]:
    """Makes pods that are gone after the test."""
    with Pods(control_plane) as made:
        yield made


@pytest.fixture(scope="session")
def rootfs(shown: Shown) -> Path:
    """Debian with systemd, containerd and Python; read only."""
    with shown():
        return make_rootfs()


@pytest.fixture
def service_node(rootfs: Path) -> Iterator[Sandbox]:
    """A booted sandbox with containerd, two images and our service, which is not started; no Kubernetes."""
    sandbox = Sandbox(run_directory(SANDBOX), rootfs, name=SANDBOX, binds=worker.daemon_binds(rootfs))
    try:
        worker.furnish_containerd(sandbox)
        worker.furnish_daemon(sandbox)
        sandbox.boot()
        worker.import_images(sandbox)
        yield sandbox
    finally:
        sandbox.down()


@pytest.fixture
def sandbox_node(rootfs: Path, control_plane: ControlPlane) -> Iterator[Sandbox]:
    """A booted sandbox that has joined the cluster as a Gardener worker would; our service is there but not started."""
    binds = (*worker.daemon_binds(rootfs), Bind(tool("kubelet"), "/opt/bin/kubelet"))
    sandbox = Sandbox(run_directory(SANDBOX), rootfs, name=SANDBOX, binds=binds)
    try:
        worker.furnish_containerd(sandbox)
        worker.furnish_daemon(sandbox)
        worker.furnish_kubelet(sandbox, control_plane)
        sandbox.boot()
        worker.import_images(sandbox)
        control_plane.wait_ready(SANDBOX)
        yield sandbox
    finally:
        sandbox.down()
        control_plane.forget_node(SANDBOX)
