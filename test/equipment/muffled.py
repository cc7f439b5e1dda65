"""A network in between that can fall silent: connections stay, nothing comes through, and nobody is told.

    with Muffled(("127.198.0.1", 443)) as network:      # clients connect to network.port on 127.0.0.1
        network.silent()
        network.loud()

What is sent into the silence is lost, and its connection is cut when the silence ends: the network has forgotten it.
"""

import contextlib
import socket
import threading


class Muffled:
    """Passes connections on to `target` from construction until `stop`; also a context manager."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._open = threading.Event()
        self._open.set()
        self._ended = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, name="muffled", daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> "Muffled":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def silent(self) -> None:
        """Nothing comes through from now on, in neither direction."""
        self._open.clear()

    def loud(self) -> None:
        """New connections come through again, and those on which nobody has said anything."""
        self._open.set()

    def stop(self) -> None:
        """End all connections; nothing happens the second time."""
        self._ended.set()
        self._open.set()
        for one in (self._listening, *self._sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            self._open.wait()
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()
                continue
            self._sockets += [client, server]
            for source, sink in ((client, server), (server, client)):
                thread = threading.Thread(target=self._pass_on, args=(source, sink), name="muffled", daemon=True)
                self._threads.append(thread)
                thread.start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while source.recv(1, socket.MSG_PEEK):  # looked at before it is taken: there may be silence
                if not self._open.is_set():
                    self._open.wait()
                    break
                sink.sendall(source.recv(1 << 16))
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
