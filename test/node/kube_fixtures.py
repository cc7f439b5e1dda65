"""An API server of one's own, for a file of tests that ill-treat it; take it over with `import *`."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from equipment.api_server import ApiServer
from node.cluster_fixtures import run_directory

__all__ = ["api_server"]


@pytest.fixture(scope="module")
def api_server(shown: Callable[[], AbstractContextManager[None]]) -> Iterator[ApiServer]:
    """etcd and the API server; needs Go once."""
    server = ApiServer(run_directory("api-server"))
    try:
        with shown():
            server.start()
        yield server
    finally:
        server.stop()
