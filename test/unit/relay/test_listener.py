"""The listening socket: never taken from the living, replaced without a gap, found again after a restart."""

import os
import re
import socket
import stat
import threading

import pytest

from cri_resmgr.errors import BadInput
from cri_resmgr.relay.listener import open_listener


@pytest.fixture(name="path")
def _path(tmp_path):
    return tmp_path / "run" / "relay.sock"


def connects(path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def test_it_listens_with_the_right_modes_and_a_lock_that_names_us(path):
    listener = open_listener(path, kept={})
    assert connects(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o711
    assert (path.parent / "relay.sock.lock").read_text() == f"{os.getpid()}\n"
    assert not listener.inherited
    assert not listener.socket.get_inheritable()
    listener.close(unlink=True)
    assert [each.name for each in path.parent.iterdir()] == ["relay.sock.lock"]


def test_whatever_the_umask_is_the_mode_is_right(path):
    before = os.umask(0)
    try:
        listener = open_listener(path, kept={})
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    listener.close(unlink=True)


def test_two_at_once_are_one_too_many(path):
    first = open_listener(path, kept={})
    with pytest.raises(BadInput, match=f"already served by process {os.getpid()}; stop it first"):
        open_listener(path, kept={})
    assert connects(path)
    first.close(unlink=True)
    open_listener(path, kept={}).close(unlink=True)


def test_a_stale_socket_is_replaced_and_there_is_no_moment_without_a_file(path):
    first = open_listener(path, kept={})
    first.close(unlink=False)
    assert not connects(path)
    seen, over = [], threading.Event()

    def look():
        while not over.is_set():
            seen.append(path.exists())

    looking = threading.Thread(target=look)
    looking.start()
    for _ in range(20):
        open_listener(path, kept={}).close(unlink=False)
    over.set()
    looking.join()
    assert all(seen)


def test_clients_that_came_before_a_restart_are_found_in_the_kept_socket(path):
    first = open_listener(path, kept={})
    kept = {first.name: first.socket.dup()}
    first.close(unlink=False)
    with socket.socket(socket.AF_UNIX) as early:
        early.connect(str(path))
        second = open_listener(path, kept=kept)
        assert second.inherited
        assert second.name == first.name
        second.socket.setblocking(True)
        second.socket.accept()[0].close()
    second.close(unlink=True)
    assert not path.exists()


def test_a_kept_socket_of_another_file_is_not_used(path):
    first = open_listener(path, kept={})
    kept = {first.name: first.socket.dup()}
    first.close(unlink=True)
    second = open_listener(path, kept={"relay-0-0": kept[first.name]})
    assert not second.inherited
    kept[first.name].close()
    second.close(unlink=True)


def test_a_successors_socket_is_not_removed(path):
    listener = open_listener(path, kept={})
    with socket.socket(socket.AF_UNIX) as successor:
        aside = path.with_name("aside")
        successor.bind(str(aside))
        aside.rename(path)
        listener.close(unlink=True)
        assert path.exists()


def test_a_path_that_is_gone_already_is_no_trouble(path):
    listener = open_listener(path, kept={})
    path.unlink()
    listener.close(unlink=True)


@pytest.mark.parametrize("kind", ["directory", "file", "link", "living"])
def test_what_is_there_and_not_ours_stays(path, kind, tmp_path):
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as other:
        if kind == "directory":
            path.mkdir()
        elif kind == "file":
            path.write_text("precious")
        elif kind == "link":
            (tmp_path / "file").touch()
            path.symlink_to(tmp_path / "file")
        else:
            other.bind(str(path))
            other.listen()
        before = path.lstat().st_ino
        with pytest.raises(BadInput, match=re.escape(str(path))):
            open_listener(path, kept={})
        assert path.lstat().st_ino == before
    listener = open_listener(path.with_name("other.sock"), kept={})
    listener.close(unlink=True)


def test_a_link_to_a_runtime_that_is_down_does_not_keep_the_daemon_from_starting(path, tmp_path):
    path.parent.mkdir()
    path.symlink_to(tmp_path / "runtime.sock")
    listener = open_listener(path, kept={})
    assert not path.is_symlink()
    assert connects(path)
    assert not (tmp_path / "runtime.sock").exists()
    listener.close(unlink=True)


def test_a_link_to_a_living_socket_is_replaced_and_what_it_leads_to_goes_on(path, tmp_path):
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as runtime:
        runtime.bind(str(tmp_path / "runtime.sock"))
        runtime.listen()
        path.symlink_to(tmp_path / "runtime.sock")
        listener = open_listener(path, kept={})
        assert not path.is_symlink()
        assert connects(path)
        assert connects(tmp_path / "runtime.sock")
        listener.close(unlink=True)


@pytest.mark.parametrize("where", ["file/relay.sock", "x" * 120])
def test_a_place_where_no_socket_can_be_is_refused(tmp_path, where):
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadInput, match=r"name another (place|path)"):
        open_listener(tmp_path / where, kept={})


def test_a_lock_that_cannot_be_had_is_refused(path):
    (path.parent / "relay.sock.lock").mkdir(parents=True)
    with pytest.raises(BadInput, match=r"relay\.sock\.lock"):
        open_listener(path, kept={})


def test_a_refusal_lets_the_lock_go(path):
    path.parent.mkdir()
    path.mkdir()
    with pytest.raises(BadInput):
        open_listener(path, kept={})
    path.rmdir()
    open_listener(path, kept={}).close(unlink=True)


def test_a_disk_without_space_for_our_process_id_does_not_keep_us_from_serving(path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    listener = open_listener(path, kept={})
    assert connects(path)
    listener.close(unlink=True)
