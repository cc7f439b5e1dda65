"""Clients that never rest: what they see is what a kubelet would see at the worst moment."""

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

# A client's connection preface and an empty SETTINGS frame (RFC 9113, 3.4).
HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
HANDSHAKE_DEADLINE_S = 30


class Restless:
    """Repeats `act` in a thread while the context is open, and keeps what went wrong."""

    def __init__(self, act: Callable[[], object], *, pause_s: float = 0.01) -> None:
        """An exception of `act` counts as one failure."""
        self.done = 0
        self.failures: list[str] = []
        self.longest_s = 0.0
        self._act, self._pause_s = act, pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Restless":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._pause_s):
            begin_s = time.monotonic()
            try:
                self._act()
            except Exception as error:  # noqa: BLE001 - whatever it is, a test decides whether it may be
                self.failures.append(f"after {time.monotonic() - begin_s:.2f} s: {error!r}")
            else:
                self.done += 1
            self.longest_s = max(self.longest_s, time.monotonic() - begin_s)


def shake_hands(path: Path) -> None:
    """Connect and wait until the server's SETTINGS begin; OSError when refused or closed before."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(HANDSHAKE_DEADLINE_S)
        client.connect(str(path))
        client.sendall(HTTP2_HELLO)
        if not client.recv(9):
            raise ConnectionResetError(f"{path} closed the connection without a word")


def accepts(path: Path) -> bool:
    """Somebody listens at `path`; a socket file alone may be left from a process that was killed."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0
