from pathlib import Path

import pytest

from equipment import sysctls


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A /proc/sys without some of the names."""
    (tmp_path / "vm").mkdir()
    (tmp_path / "vm/overcommit_memory").write_text("0\n")
    (tmp_path / "vm/panic_on_oom").write_text("0\n")
    return tmp_path


def test_what_was_changed_is_put_back(root, tmp_path):
    memory = tmp_path / "memory"
    sysctls.remember(memory, root)
    (root / "vm/overcommit_memory").write_text("1\n")
    sysctls.restore(memory, root)
    assert (root / "vm/overcommit_memory").read_text() == "0\n"
    assert not memory.exists()


def test_what_a_killed_run_remembered_is_older_and_counts(root, tmp_path):
    memory = tmp_path / "memory"
    sysctls.remember(memory, root)
    (root / "vm/overcommit_memory").write_text("1\n")
    sysctls.remember(memory, root)
    sysctls.restore(memory, root)
    assert (root / "vm/overcommit_memory").read_text() == "0\n"


def test_a_setting_that_nobody_changed_is_not_written(root, tmp_path):
    memory = tmp_path / "memory"
    sysctls.remember(memory, root)
    (root / "vm/panic_on_oom").chmod(0o400)
    untouched = (root / "vm/panic_on_oom").stat().st_mtime_ns
    sysctls.restore(memory, root)
    assert (root / "vm/panic_on_oom").stat().st_mtime_ns == untouched


def test_restoring_without_a_memory_does_nothing(root, tmp_path):
    sysctls.restore(tmp_path / "memory", root)
    assert (root / "vm/overcommit_memory").read_text() == "0\n"
