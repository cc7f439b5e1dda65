"""The relay on sockets, in this process: who is told what, and when connections end."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from cri_resmgr.relay.counters import Counters
from cri_resmgr.relay.opening import opener
from cri_resmgr.relay.server import Relay
from cri_resmgr.wire.frames import GOAWAY, SETTINGS
from relay.raw import ANSWERED, GREETING, Reader, reply, request, settings

DEADLINE_S = 20
Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Rig:
    """A relay, a runtime whose connections the test has in hand, and clients."""

    def __init__(self, directory: Path) -> None:
        self.path, self.runtime_path = str(directory / "relay"), str(directory / "runtime")
        self.counters = Counters()
        self.listener = socket.socket(socket.AF_UNIX)
        self.relay = Relay(self.runtime_path, opener({}), counters=self.counters)
        self.accepted: asyncio.Queue[Streams] = asyncio.Queue()
        self._writers: list[asyncio.StreamWriter] = []
        self._runtime: asyncio.Server | None = None

    async def start(self) -> None:
        self.listener.bind(self.path)
        self.listener.listen()
        self.relay.start(self.listener)
        await self.start_runtime()

    async def start_runtime(self) -> None:
        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._writers.append(writer)
            await self.accepted.put((reader, writer))

        self._runtime = await asyncio.start_unix_server(accepted, self.runtime_path)

    async def connect(self) -> Streams:
        streams = await asyncio.open_unix_connection(self.path)
        self._writers.append(streams[1])
        return streams

    async def link(self) -> tuple[Streams, Streams]:
        """A client, and the runtime's end of its link."""
        client = await self.connect()
        async with asyncio.timeout(DEADLINE_S):
            return client, await self.accepted.get()

    async def stop_runtime(self) -> None:
        assert self._runtime
        self._runtime.close()
        await self._runtime.wait_closed()
        Path(self.runtime_path).unlink(missing_ok=True)

    async def stop(self) -> None:
        await self.relay.drain(0)
        for writer in self._writers:
            writer.close()
        self.listener.close()
        await self.stop_runtime()
        await asyncio.sleep(0)  # transports close in the next turn of the loop


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path)
    await rig.start()
    yield rig
    await rig.stop()


async def read(reader: asyncio.StreamReader) -> bytes:
    """To the end."""
    async with asyncio.timeout(DEADLINE_S):
        return await reader.read()


def kinds(data: bytes) -> list[int]:
    return [kind for kind, *_ in Reader(from_client=False).read([data])]


async def test_a_call_goes_through_and_closing_one_side_closes_the_other(rig):
    (reader, writer), (runtime_reader, runtime_writer) = await rig.link()
    writer.write(GREETING + request(1, b"/pass", b"q"))
    runtime_writer.write(settings() + reply(1, b"r"))
    got = Reader(from_client=True)
    while not (one := got.streams.get(1)) or not one.ended:
        got.read([await asyncio.wait_for(runtime_reader.read(1 << 16), DEADLINE_S)])
    runtime_writer.close()
    answered = Reader(from_client=False)
    answered.read([await read(reader)])
    assert answered.streams[1].data == b"\0\0\0\0\1r"
    assert answered.streams[1].ended
    assert rig.counters.links_open == 0


async def test_a_client_is_closed_when_the_runtime_cannot_be_reached(rig):
    await rig.stop_runtime()
    reader, _ = await rig.connect()
    assert await read(reader) == b""
    assert (rig.counters.links_refused, rig.counters.links_open) == (1, 0)
    await rig.start_runtime()
    await rig.link()
    assert rig.counters.links_open == 1


async def test_a_client_that_leaves_ends_the_runtimes_connection(rig):
    (_, writer), (runtime_reader, _) = await rig.link()
    writer.write(GREETING)
    writer.close()
    assert await read(runtime_reader) == GREETING
    assert rig.counters.links_open == 0


async def test_garbage_ends_both_connections_with_a_reason(rig):
    (reader, writer), (runtime_reader, _) = await rig.link()
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert kinds(await read(reader)) == [GOAWAY]
    assert (await read(runtime_reader)).endswith(b"\0\0\0\1")
    assert rig.counters.links_broken == 1


async def test_a_drain_tells_clients_to_go_elsewhere(rig):
    (reader, writer), (_, runtime_writer) = await rig.link()
    writer.write(GREETING)
    runtime_writer.write(settings() + ANSWERED)
    await asyncio.wait_for(reader.readexactly(9), DEADLINE_S)
    draining = asyncio.create_task(rig.relay.drain(DEADLINE_S))
    assert kinds(await read(reader)) == [SETTINGS, GOAWAY]
    await draining


async def test_a_goodbye_does_not_come_before_the_runtimes_greeting(rig):
    """A client takes anything but SETTINGS as the first frame for an error."""
    (reader, writer), (_, runtime_writer) = await rig.link()
    draining = asyncio.create_task(rig.relay.drain(DEADLINE_S))
    await asyncio.sleep(0.05)
    writer.write(GREETING)
    runtime_writer.write(settings() + ANSWERED)
    assert kinds(await read(reader)) == [SETTINGS, SETTINGS, GOAWAY]
    await draining


async def test_a_drain_without_links_ends_at_once(rig):
    await asyncio.wait_for(rig.relay.drain(1e6), DEADLINE_S)


async def test_who_connects_after_a_drain_waits_for_the_successor(rig):
    await rig.relay.drain(0)
    _, writer = await rig.connect()
    writer.write(GREETING)
    await asyncio.sleep(0.05)
    assert rig.counters.links_total == 0
    rig.relay = Relay(rig.runtime_path, opener({}), counters=rig.counters)
    rig.relay.start(rig.listener)
    runtime_reader, _ = await asyncio.wait_for(rig.accepted.get(), DEADLINE_S)
    assert await asyncio.wait_for(runtime_reader.readexactly(len(GREETING)), DEADLINE_S) == GREETING


async def test_a_drain_waits_for_an_answer_and_not_longer_than_it_may(rig):
    (reader, writer), (_, runtime_writer) = await rig.link()
    writer.write(GREETING + request(1, b"/pass", b"q"))
    runtime_writer.write(settings())
    await asyncio.wait_for(reader.readexactly(9), DEADLINE_S)
    draining = asyncio.create_task(rig.relay.drain(DEADLINE_S))
    await asyncio.sleep(0.5)  # longer than a quiet moment
    assert not draining.done()
    runtime_writer.write(reply(1, b"r"))
    got = Reader(from_client=False)
    got.read([await read(reader)])
    assert got.streams[1].ended
    await draining
