from collections.abc import Iterator
from pathlib import Path

import pytest

from doubles.runtime import FakeRuntime, served
from unit.cli.daemons import Daemon


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """Not started yet."""
    with Daemon(tmp_path) as made:
        yield made


@pytest.fixture
def runtime(daemon: Daemon) -> Iterator[FakeRuntime]:
    """Serves where the daemon looks for its runtime."""
    fake = FakeRuntime()
    with served(fake, daemon.runtime_socket):
        yield fake
