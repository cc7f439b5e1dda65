"""One client's connection with its connection to the runtime, and how it is told to go elsewhere."""

import asyncio
import contextlib

CHUNK_BYTES = 1 << 16
FRAME_HEAD_BYTES = 9
# Every stream may end, new ones belong on a new connection (RFC 9113, 6.8).
GOAWAY = bytes.fromhex("000008 07 00 00000000 7fffffff 00000000")


class Frames:
    """Where a stream of HTTP/2 frames is between two frames."""

    def __init__(self) -> None:
        self._head = b""
        self._payload_left_bytes = 0

    def feed(self, data: bytes) -> None:
        """Look at what passes."""
        at = 0
        while at < len(data):
            if self._payload_left_bytes:
                step = min(self._payload_left_bytes, len(data) - at)
                self._payload_left_bytes -= step
            else:
                step = min(FRAME_HEAD_BYTES - len(self._head), len(data) - at)
                self._head += data[at : at + step]
                if len(self._head) == FRAME_HEAD_BYTES:
                    self._payload_left_bytes, self._head = int.from_bytes(self._head[:3], "big"), b""
            at += step

    @property
    def between(self) -> bool:
        """The last frame is whole."""
        return not self._head and not self._payload_left_bytes


class Pipe:
    """One client with its connection to the runtime."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self._client = client
        self._frames = Frames()
        self._begun = self._leaving = False

    async def run(self, reader: asyncio.StreamReader, runtime: str) -> None:
        """Copy both ways until one side ends."""
        try:
            from_runtime, to_runtime = await asyncio.open_unix_connection(runtime)
        except OSError:
            return self._client.close()  # the client tries again, as it would with the runtime itself
        ways = (self._copy(reader, to_runtime), self._answer(from_runtime))
        tasks = [asyncio.ensure_future(way) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            self._client.close()
            to_runtime.close()

    def leave(self) -> None:
        """Tell the client to make its next call on another connection."""
        self._leaving = True
        if self._begun and self._frames.between:
            self._say_goodbye()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                writer.write(data)
                await writer.drain()

    async def _answer(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                self._begun = True
                self._client.write(data)
                self._frames.feed(data)
                if self._leaving and self._frames.between:
                    self._say_goodbye()
                await self._client.drain()

    def _say_goodbye(self) -> None:
        self._leaving = False
        self._client.write(GOAWAY)
