import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from equipment.processes import wait_for
from equipment.restless import Restless, accepts, shake_hands


def listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    return listener


def test_successes_are_counted_and_failures_are_kept():
    outcomes = iter([None, OSError("once"), None])
    ended = []

    def act():
        outcome = next(outcomes, ended)
        if outcome is ended:
            ended.append(True)
        elif outcome:
            raise outcome

    with Restless(act, pause_s=0) as client:
        wait_for(lambda: ended, "three acts")
    assert client.done >= 2
    assert len(client.failures) == 1
    assert "OSError('once')" in client.failures[0]


def test_the_longest_act_is_remembered(tmp_path):
    with Restless(partial(wait_for, lambda: False, "nothing", 0.2)) as client:
        wait_for(lambda: client.failures, "the first act")
    assert client.longest_s >= 0.2


def test_a_handshake_needs_an_answer(tmp_path):
    path = tmp_path / "socket"
    with pytest.raises(FileNotFoundError):
        shake_hands(path)
    with listen(path) as listener, ThreadPoolExecutor() as pool:
        attempt = pool.submit(shake_hands, path)
        with listener.accept()[0] as mute:
            assert mute.recv(100).startswith(b"PRI * HTTP/2.0")
        with pytest.raises(ConnectionResetError, match="without a word"):
            attempt.result()
        attempt = pool.submit(shake_hands, path)
        with listener.accept()[0] as polite:
            polite.recv(100)
            polite.sendall(bytes(9))
            attempt.result()


def test_a_socket_file_without_a_listener_accepts_nobody(tmp_path):
    path = tmp_path / "socket"
    assert not accepts(path)
    with listen(path):
        assert accepts(path)
    assert not accepts(path)
