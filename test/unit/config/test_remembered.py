"""Settings are remembered for exactly the text that they came from."""

from hashlib import sha256
from pathlib import Path

import pytest

from cri_resmgr.config import remembered
from cri_resmgr.config.settings import DumpSettings, Settings

TEXT = "dump: {Config: 'full:.*'}\n"
FOUND = Settings(dump=DumpSettings(rules="full:.*"), source="a.cfg", digest=sha256(TEXT.encode()).hexdigest())


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "a.cfg"
    path.write_text(TEXT)
    return path


def test_the_same_text_needs_no_second_reading(tmp_path, config):
    remembered.remember(tmp_path, config, FOUND)
    assert remembered.recall(tmp_path, config) == FOUND
    assert (tmp_path / remembered.NAME).stat().st_mode & 0o777 == 0o600
    assert not list(tmp_path.glob(".settings*")), "nothing is left aside"


def test_another_text_another_file_and_another_version_are_read_anew(tmp_path, config, monkeypatch):
    remembered.remember(tmp_path, config, FOUND)
    other = tmp_path / "b.cfg"
    other.write_text(config.read_text())
    assert remembered.recall(tmp_path, other) is None
    monkeypatch.setattr(remembered, "__version__", "0.0.0")
    assert remembered.recall(tmp_path, config) is None
    monkeypatch.undo()
    config.write_text("dump: {}\n")
    assert remembered.recall(tmp_path, config) is None


def test_a_text_that_was_replaced_after_it_was_read_is_read_anew(tmp_path, config):
    config.write_text("dump: {}\n")
    remembered.remember(tmp_path, config, FOUND)
    assert remembered.recall(tmp_path, config) is None
    config.write_text(TEXT)
    assert remembered.recall(tmp_path, config) is None, "nothing was remembered"


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"version": 1}', b'{"version": "0.1.0", "digest": 3}'])
def test_a_damaged_memory_is_no_memory(tmp_path, config, damage):
    (tmp_path / remembered.NAME).write_bytes(damage)
    assert remembered.recall(tmp_path, config) is None


def test_a_place_that_cannot_be_written_and_a_file_that_is_gone_do_no_harm(tmp_path, config):
    remembered.remember(tmp_path / "nowhere", config, FOUND)
    assert remembered.recall(tmp_path / "nowhere", config) is None
    remembered.remember(tmp_path, config, FOUND)
    config.unlink()
    assert remembered.recall(tmp_path, config) is None


def test_a_text_that_is_too_large_is_left_to_the_checking_process(tmp_path, config):
    config.write_bytes(b"#" * (remembered.LIMIT_TEXT_BYTES + 1))
    remembered.remember(tmp_path, config, FOUND)
    assert remembered.recall(tmp_path, config) is None
