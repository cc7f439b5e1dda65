"""Fixtures of a real cluster; `conftest` takes them over.

What a fixture makes lives in the cache directory, not in pytest's temporary ones: the next run must find it to end
what a killed run has left, and socket paths must be short.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from equipment import Unavailable, cache, worker
from equipment.rootfs import rootfs as make_rootfs
from equipment.sandbox import Sandbox

SANDBOX = "crirm-sandbox"


def run_directory(name: str) -> Path:
    """Where the equipment `name` keeps its files while it runs."""
    return cache.directory() / "run" / name


@pytest.fixture(scope="session")
def rootfs() -> Path:
    """Debian with systemd, containerd and Python; read only."""
    try:
        return make_rootfs()
    except Unavailable as reason:
        pytest.skip(str(reason))


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
