from pathlib import Path

import pytest

from unit.webhook import pairs
from unit.webhook.pairs import Files


@pytest.fixture(scope="session")
def lasting_files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A good pair that no test changes."""
    return pairs.make(tmp_path_factory.mktemp("pair"))


@pytest.fixture
def files(lasting_files: Files, tmp_path: Path) -> Files:
    """A copy of it that belongs to the test."""
    made = Files(tmp_path / "svc.crt", tmp_path / "svc.key")
    made.become(lasting_files)
    return made
