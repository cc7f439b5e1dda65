"""A garden for all tests here: a seed for a session; shoot and resource manager for those who ask for them.

Tests share the seed, so each makes namespaces of its own (fixture `shoot`), and nobody kills the API server of others:
who does needs a `Garden` to himself.
"""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from equipment import machine
from equipment.garden import Garden
from equipment.gardenlet import Gardenlet, Shoot
from equipment.lifetimes import Shown, started


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without root these tests are skipped; with it, equipment that is missing is an error."""
    if machine.is_root():
        return
    for item in items:
        if "needs_root" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="listens on addresses and ports of root's: run it as root"))


@pytest.fixture(scope="session")
def garden(shown: Shown) -> Iterator[Garden]:
    """A seed that serves Extension, Cluster and ManagedResource; needs Go once."""
    with started(Garden(), shown) as made:
        yield made


@pytest.fixture(scope="session")
def gardenlet(garden: Garden) -> Gardenlet:
    """What stands for gardenlet on this seed."""
    return Gardenlet(garden.seed.api)


@pytest.fixture
def shoot(gardenlet: Gardenlet) -> Iterator[Shoot]:
    """A shoot that nobody has told the seed of; its namespace is of this test alone, and nobody's work afterwards."""
    made = Shoot(namespace=f"shoot--test--{uuid4().hex[:8]}")
    yield made
    gardenlet.drop(made)
