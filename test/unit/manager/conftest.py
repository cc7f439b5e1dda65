"""A manager for each test."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from cri_resmgr.state.store import Store
from doubles.policies import PrivatePolicy
from doubles.runtime import FakeRuntime
from unit.manager.managers import HeldClient, Manager


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[dict]]:
    """What is logged, instead of printing it."""
    with capture_logs() as records:
        yield records


@pytest.fixture
async def manager(tmp_path: Path) -> Manager:
    """Reconciled with an empty runtime."""
    with closing(Store.open(tmp_path / "relay")) as store:
        made = Manager(store, FakeRuntime(), budget_s=0.5)
        yield made.reconciled()
        await made.close()


@pytest.fixture
async def private(tmp_path: Path) -> Manager:
    """Reconciled with an empty runtime of eight CPUs, some of which containers get for themselves."""
    runtime = FakeRuntime()
    with closing(Store.open(tmp_path / "relay")) as store:
        made = Manager(store, runtime, budget_s=60, policy=PrivatePolicy(), client=HeldClient(runtime))
        yield made.reconciled()
        await made.close()
