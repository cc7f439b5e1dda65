"""A unary gRPC client on a unix socket: one connection, made when it is first needed and again after it was lost."""

import asyncio
from typing import cast

from cri_resmgr.wire import grpc
from cri_resmgr.wire.connection import Connection, Reply
from cri_resmgr.wire.frames import ProtocolError


class CallError(Exception):
    """A call ended with a status other than OK; without a server that is UNAVAILABLE, as gRPC has it."""

    def __init__(self, path: str, code: int, text: str) -> None:
        super().__init__(f"{path}: {text} (code {code})")
        self.code, self.text = code, text


class _Socket(asyncio.Protocol):
    """The transport's side of a `Connection`."""

    def __init__(self) -> None:
        self.connection = Connection()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.flush()

    def data_received(self, data: bytes) -> None:
        try:
            self.connection.feed(data)
        except ProtocolError as error:
            self.connection.lost(f"not HTTP/2: {error}", grpc.INTERNAL)
            self.close()
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self.connection.lost(str(exc) if exc else "connection closed")

    def flush(self) -> None:
        if self.connection.out and self.transport is not None:
            self.transport.write(b"".join(self.connection.out))
            self.connection.out.clear()

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()


class Client:
    """Calls on the socket `path`; any number of them at once share a connection."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._socket: _Socket | None = None
        self._connecting = asyncio.Lock()

    async def call(self, method: str, message: bytes, *, deadline_s: float) -> bytes:
        """The reply to one call; raises `CallError`, also when the deadline passes."""
        try:
            async with asyncio.timeout(deadline_s):
                socket = await self._connected(method)
                return await self._called(socket, method, message, deadline_s)
        except TimeoutError as error:
            text = f"no answer from {self.path} within {deadline_s:g} s"
            raise CallError(method, grpc.DEADLINE_EXCEEDED, text) from error

    def close(self) -> None:
        """End the connection; calls under way fail."""
        if self._socket is not None:
            self._socket.close()

    async def _called(self, socket: _Socket, method: str, message: bytes, deadline_s: float) -> bytes:
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def done(reply: Reply) -> None:
            if not answer.done():
                answer.set_result(reply)

        stream = socket.connection.begin(method, message, done, timeout_s=deadline_s)
        socket.flush()
        try:
            reply = await answer
        finally:
            socket.connection.cancel(stream)
            socket.flush()
        if reply.code:
            raise CallError(method, reply.code, reply.text)
        return reply.message

    async def _connected(self, method: str) -> _Socket:
        async with self._connecting:
            if self._socket is None or not self._socket.connection.usable:
                loop = asyncio.get_running_loop()
                try:
                    _, self._socket = await loop.create_unix_connection(_Socket, self.path)
                except OSError as error:
                    text = f"cannot connect to {self.path}: {error.strerror or error}"
                    raise CallError(method, grpc.UNAVAILABLE, text) from error
            return self._socket
