"""Runtimes and what they need, one of each for a session; `cluster_fixtures` has what is Kubernetes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from equipment import machine
from equipment.images import Layout, build
from equipment.lifetimes import Shown
from equipment.registry import Registry
from equipment.relay import Relay
from equipment.runtimes import Containerd2, Containerd16, Crio, Runtime
from equipment.stand_ins import stand_ins
from node.cluster_fixtures import *  # noqa: F403 - the fixtures of another file, as if they stood here


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without root these tests are skipped; with it, equipment that is missing is an error."""
    if machine.is_root():
        return
    for item in items:
        if "needs_root" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="makes mounts, cgroups or network name spaces: run it as root"))


@pytest.fixture(scope="session")
def image_layout() -> Layout:
    """The images of `equipment.stand_ins`."""
    return build(stand_ins())


@pytest.fixture(scope="session")
def registry(image_layout: Layout) -> Iterator[Registry]:
    """Serves them."""
    with Registry(image_layout) as running:
        yield running


def running(make: Callable[[Registry], Runtime], registry: Registry, shown: Shown) -> Iterator[Runtime]:
    """Start a runtime, which may have to be built, and end all of it."""
    with shown():
        runtime = make(registry)
        runtime.__enter__()
    try:
        yield runtime
    finally:
        runtime.stop()


@pytest.fixture(scope="session")
def containerd16(registry: Registry, shown: Shown) -> Iterator[Runtime]:
    """Debian's containerd."""
    yield from running(Containerd16, registry, shown)


@pytest.fixture(scope="session")
def containerd2(registry: Registry, shown: Shown) -> Iterator[Runtime]:
    """containerd 2.x; needs Go once."""
    yield from running(Containerd2, registry, shown)


@pytest.fixture(scope="session")
def crio(registry: Registry, shown: Shown) -> Iterator[Runtime]:
    """CRI-O; needs Go once."""
    yield from running(Crio, registry, shown)


@pytest.fixture
def relay(containerd16: Runtime, tmp_path: Path) -> Iterator[Relay]:
    """The daemon under test in front of containerd 1.6."""
    with Relay(containerd16.socket, tmp_path) as running_relay:
        yield running_relay
