from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[dict]]:
    """What the relay logs, instead of printing it."""
    with capture_logs() as records:
        yield records
