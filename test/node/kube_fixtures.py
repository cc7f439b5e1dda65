"""An API server of one's own, for a file of tests that ill-treat it; take it over with `import *`."""

from collections.abc import Iterator

import pytest

from equipment.api_server import ApiServer
from equipment.lifetimes import Shown, started
from node.cluster_fixtures import run_directory

__all__ = ["api_server"]


@pytest.fixture(scope="module")
def api_server(shown: Shown) -> Iterator[ApiServer]:
    """etcd and the API server; needs Go once."""
    with started(ApiServer(run_directory("api-server")), shown) as server:
        yield server
