from pathlib import Path

import pytest

from equipment import mounts

TABLE = r"""
proc /proc proc rw 0 0
overlay /run/test/root overlay rw 0 0
tmpfs /run/test/root/tmp tmpfs rw 0 0
tmpfs /run/test\040two tmpfs rw 0 0
tmpfs /run/testing tmpfs rw 0 0
tmpfs /run/test tmpfs rw 0 0
""".lstrip()


def test_mounts_at_and_below_a_directory_are_found_last_first():
    found = mounts.mounts_below(Path("/run/test"), TABLE)
    assert found == [Path("/run/test"), Path("/run/test/root/tmp"), Path("/run/test/root")]


def test_blanks_in_names_are_understood():
    assert mounts.mounts_below(Path("/run/test two"), TABLE) == [Path("/run/test two")]


def test_a_tree_is_removed_and_a_missing_one_is_no_error(tmp_path):
    tree = tmp_path / "tree"
    (tree / "below").mkdir(parents=True)
    mounts.remove_tree(tree)
    assert not tree.exists()
    mounts.remove_tree(tree)


def test_a_tree_with_a_mount_that_does_not_go_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(mounts, "unmount_below", lambda _: None)
    monkeypatch.setattr(mounts, "mounts_below", lambda directory: [directory / "stuck"])
    with pytest.raises(RuntimeError, match=r"still mounted below .*stuck"):
        mounts.remove_tree(tmp_path)
    assert tmp_path.exists()
