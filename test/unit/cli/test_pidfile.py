"""The PID file names us, and nobody who lives is overwritten."""

import os
import stat

import pytest

from cri_resmgr.cli import pidfile
from cri_resmgr.errors import BadInput

DEAD = b"999999999\n"


@pytest.fixture(name="path")
def _path(tmp_path):
    return tmp_path / "run" / "pid"


def write(path, data: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)


def test_a_claim_makes_directory_and_file_and_a_release_removes_the_file(path):
    pidfile.claim(path)
    assert path.read_text() == f"{os.getpid()}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert pidfile.owner(path) == os.getpid()
    pidfile.release(path)
    assert not path.exists()
    pidfile.release(path)


def test_our_own_file_may_be_claimed_again(path):
    pidfile.claim(path)
    pidfile.claim(path)
    assert pidfile.owner(path) == os.getpid()


@pytest.mark.parametrize("left", [b"", b" \n", DEAD])
def test_a_file_that_names_nobody_who_lives_is_claimed(path, left):
    write(path, left)
    assert pidfile.owner(path) is None
    pidfile.claim(path)
    assert pidfile.owner(path) == os.getpid()


def test_a_living_other_is_named_and_left_alone(path):
    write(path, b"%d\n" % os.getppid())
    with pytest.raises(BadInput, match=f"process {os.getppid()} is alive; stop it"):
        pidfile.claim(path)
    pidfile.release(path)
    assert pidfile.owner(path) == os.getppid()


@pytest.mark.parametrize("text", [b"notes", b"0", b"-7", b"007 8", "\u0663".encode(), b"\xff", b"1" * 30, b"12\x00"])
def test_what_is_no_process_id_is_left_alone(path, text):
    write(path, text)
    with pytest.raises(BadInput, match="holds no process id; remove it"):
        pidfile.claim(path)
    pidfile.release(path)
    assert path.read_bytes() == text


def test_a_link_to_somewhere_else_is_replaced_and_not_followed(path, tmp_path):
    target = tmp_path / "precious"
    target.write_bytes(DEAD)
    path.parent.mkdir()
    path.symlink_to(target)
    pidfile.claim(path)
    assert target.read_bytes() == DEAD
    assert not path.is_symlink()


def test_a_place_without_directories_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadInput, match="name a file in a directory that we may use"):
        pidfile.claim(tmp_path / "file" / "pid")


def test_a_full_disk_is_told_and_what_it_leaves_is_claimed_when_there_is_space(path, monkeypatch):
    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *_: object):
            raise OSError(28, "No space left on device")

        def write(self, _text: str) -> None:
            """Buffered: the error comes with the close."""

    def full(fd: int, _mode: str) -> Full:
        os.close(fd)
        return Full()

    with monkeypatch.context() as patched:
        patched.setattr(pidfile.os, "fdopen", full)
        with pytest.raises(BadInput, match="No space left"):
            pidfile.claim(path)
    pidfile.claim(path)
    assert pidfile.owner(path) == os.getpid()
