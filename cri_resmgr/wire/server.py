"""A small unary gRPC server on a unix socket: handlers take a message and return one.

    server = Server({"/pkg.Service/Method": handler}, failed=report)
    await server.start(sockets.bind(path, mode=0o660, backlog=16))
    await server.close()

A handler raises `Status` for an answer that is no message; whatever else it raises is ours, is reported, and ends as
INTERNAL.  When a client gives a call up its handler is cancelled; one that must not stop half way shields itself.
A peer that does not read is not read from, either.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from cri_resmgr.wire import frames, grpc
from cri_resmgr.wire.accepting import Connection
from cri_resmgr.wire.frames import ProtocolError

MAX_CONNECTIONS = 8

Handler = Callable[[bytes], Awaitable[bytes]]


class Status(Exception):  # noqa: N818 - an answer, and no failure of ours
    """A call ends without a message; `code` is gRPC's."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


class Server:
    """Serves `handlers` by method path; `failed(method, error)` is told of those that break."""

    def __init__(self, handlers: Mapping[str, Handler], *, failed: Callable[[str, Exception], None]) -> None:
        self._handlers, self._failed = handlers, failed
        self._peers: set[_Peer] = set()
        self._server: asyncio.AbstractServer | None = None

    async def start(self, listening: socket.socket) -> None:
        """Accept connections on a bound socket, which is the server's from here on."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(self._peer, sock=listening)

    async def close(self) -> None:
        """Accept nothing more and end what is under way; the socket's path stays."""
        if self._server is not None:
            self._server.close()
        tasks = [task for peer in tuple(self._peers) for task in peer.end()]
        await asyncio.gather(*tasks, return_exceptions=True)

    def _peer(self) -> "_Peer":
        return _Peer(self._handlers, self._failed, self._peers)


class _Peer(asyncio.Protocol):
    """One connection: the transport's side of it, and the handlers that work for it."""

    def __init__(
        self, handlers: Mapping[str, Handler], failed: Callable[[str, Exception], None], peers: "set[_Peer]"
    ) -> None:
        self._handlers, self._failed, self._peers = handlers, failed, peers
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._connection = Connection(handlers.keys(), asked=self._asked, dropped=self._dropped)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if len(self._peers) >= MAX_CONNECTIONS:
            self._transport.abort()
            return
        self._peers.add(self)
        self._flush()

    def data_received(self, data: bytes) -> None:
        try:
            self._connection.feed(data)
        except ProtocolError as error:
            self._connection.out.append(frames.goaway(frames.LAST_STREAM, error.code))
            self._flush()
            self.end()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._peers.discard(self)
        self._connection.lost()

    def pause_writing(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def end(self) -> tuple[asyncio.Task[None], ...]:
        """Close the connection; the handlers that are cancelled thereby."""
        tasks = tuple(self._tasks.values())
        self._connection.lost()
        if self._transport is not None:
            self._transport.close()
        return tasks

    def _flush(self) -> None:
        if self._connection.out and self._transport is not None:
            self._transport.write(b"".join(self._connection.out))
            self._connection.out.clear()

    def _asked(self, stream: int, method: str, message: bytes) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(stream, method, message), name=f"serving {method}")
        self._tasks[stream] = task
        task.add_done_callback(lambda _: self._tasks.pop(stream))

    def _dropped(self, stream: int) -> None:
        task = self._tasks.get(stream)
        if task is not None:
            task.cancel()

    async def _answer(self, stream: int, method: str, message: bytes) -> None:
        try:
            self._connection.answer(stream, await self._handlers[method](message))
        except Status as status:
            self._connection.refuse(stream, status.code, status.text)
        except Exception as error:  # noqa: BLE001 - a handler may break in any way
            self._failed(method, error)
            self._connection.refuse(stream, grpc.INTERNAL, "this call has met an error of ours; the log says more")
        self._flush()
