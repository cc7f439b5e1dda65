"""Values are read without the lock, beside whoever has the store open, and nothing is left behind."""

from contextlib import closing

import pytest

from cri_resmgr.state import peeking
from cri_resmgr.state.store import Store


@pytest.fixture(name="directory")
def _directory(tmp_path):
    return tmp_path / "relay"


def test_values_are_read_from_a_store_that_is_closed(directory):
    with closing(Store.open(directory)) as store:
        store.set("a", "1")
        store.set("empty", "")
    before = sorted(path.name for path in directory.iterdir())
    assert peeking.values(directory, ("a", "empty", "b")) == {"a": "1"}
    assert sorted(path.name for path in directory.iterdir()) == before


def test_values_are_read_beside_a_daemon_that_has_just_written_them(directory):
    with closing(Store.open(directory)) as store:
        store.set("a", "1")
        assert peeking.values(directory, ("a",)) == {"a": "1"}
        store.set("a", "2")
        assert peeking.values(directory, ("a",)) == {"a": "2"}


def test_where_nothing_is_nothing_is_made(directory):
    assert peeking.values(directory, ("a",)) == {}
    assert not directory.exists()


def test_a_file_that_is_no_store_has_no_values(directory):
    directory.mkdir()
    (directory / peeking.NAME).write_bytes(b"not a database at all" * 100)
    assert peeking.values(directory, ("a",)) == {}
