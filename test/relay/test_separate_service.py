"""A service that another server serves, on the same connection as the runtime's."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import grpc
import pytest

from cri_resmgr.relay.counters import Counters
from cri_resmgr.relay.elsewhere import served_by, served_by_nobody
from cri_resmgr.relay.hooks import Hook
from cri_resmgr.relay.opening import opener
from cri_resmgr.relay.server import Relay
from cri_resmgr.wire.client import Client

DEADLINE_S = 20


class Handlers(grpc.GenericRpcHandler):
    """Says who it is; fails and streams on request."""

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.cancelled = 0

    def service(self, details):
        method = details.method.rpartition("/")[2]
        if method == "Stream":
            return grpc.unary_stream_rpc_method_handler(self.stream)
        handler = {"Echo": self.echo, "Fail": self.fail, "Wait": self.wait}.get(method)
        return handler and grpc.unary_unary_rpc_method_handler(handler)

    def echo(self, request, context):
        sent = dict(context.invocation_metadata())
        context.send_initial_metadata((("x-initial", "i"),))
        context.set_trailing_metadata((("x-bin", b"\x00\xff" + sent.get("x-in-bin", b"")),))
        return self.name + request

    def fail(self, request, context):
        context.set_trailing_metadata((("grpc-status-details-bin", b"\x08\x05"),))
        context.abort(grpc.StatusCode.NOT_FOUND, "no € such image")

    def wait(self, request, context):
        gone = threading.Event()
        context.add_callback(gone.set)
        gone.wait(DEADLINE_S)
        self.cancelled += 1
        return b""

    def stream(self, request, context):
        yield from (self.name, b"", request)


@contextmanager
def serving(path: Path, name: bytes) -> Iterator[Handlers]:
    handlers = Handlers(name)
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers((handlers,))
    server.add_insecure_port(f"unix:{path}")
    server.start()
    try:
        yield handlers
    finally:
        server.stop(None).wait()


@asynccontextmanager
async def relayed(tmp_path: Path, images: str) -> AsyncIterator[grpc.aio.Channel]:
    client = Client(str(tmp_path / images))
    hook: Hook = served_by(client) if images else served_by_nobody
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "relay"))
        listener.listen()
        relay = Relay(str(tmp_path / "runtime"), opener({}, services={"images": hook}), counters=Counters())
        relay.start(listener)
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
        async with grpc.aio.insecure_channel(f"unix:{tmp_path}/relay", options=options) as channel:
            yield channel
        await relay.drain(1)
        client.close()
        await asyncio.sleep(0)  # transports close in the next turn of the loop


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[Handlers, Handlers]]:
    with serving(tmp_path / "runtime", b"runtime:") as runtime, serving(tmp_path / "images", b"images:") as images:
        yield runtime, images


async def test_each_service_is_asked_where_it_is_on_one_connection(tmp_path, servers):
    async with relayed(tmp_path, "images") as channel:
        for _ in range(3):
            assert await channel.unary_unary("/images/Echo")(b"a") == b"images:a"
            assert await channel.unary_unary("/pods/Echo")(b"b") == b"runtime:b"


async def test_metadata_status_details_and_streams_pass(tmp_path, servers):
    async with relayed(tmp_path, "images") as channel:
        call = channel.unary_unary("/images/Echo")(
            b"x" * 200_000, metadata=(("x-in-bin", b"\x01"),), timeout=DEADLINE_S
        )
        assert await call == b"images:" + b"x" * 200_000
        assert dict(await call.initial_metadata())["x-initial"] == "i"
        assert dict(await call.trailing_metadata())["x-bin"] == b"\x00\xff\x01"
        assert [part async for part in channel.unary_stream("/images/Stream")(b"end")] == [b"images:", b"", b"end"]
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await channel.unary_unary("/images/Fail")(b"")
        assert (failed.value.code(), failed.value.details()) == (grpc.StatusCode.NOT_FOUND, "no € such image")
        assert dict(failed.value.trailing_metadata())["grpc-status-details-bin"] == b"\x08\x05"
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await channel.unary_unary("/images/Nothing")(b"")
        assert unknown.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_client_that_gives_up_is_heard_there_and_a_deadline_holds(tmp_path, servers):
    async with relayed(tmp_path, "images") as channel:
        call = channel.unary_unary("/images/Wait")(b"")
        await asyncio.sleep(0.2)
        call.cancel()
        with pytest.raises(grpc.aio.AioRpcError) as late:
            await channel.unary_unary("/images/Wait")(b"", timeout=0.2)
        assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        async with asyncio.timeout(DEADLINE_S):
            while servers[1].cancelled < 2:
                await asyncio.sleep(0.01)
        assert await channel.unary_unary("/images/Echo")(b"a") == b"images:a"


async def test_without_its_server_the_service_is_unavailable_and_the_runtime_is_not(tmp_path, servers):
    async with relayed(tmp_path, "nowhere") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as absent:
            await channel.unary_unary("/images/Echo")(b"a")
        assert absent.value.code() is grpc.StatusCode.UNAVAILABLE
        assert str(tmp_path / "nowhere") in absent.value.details()
        assert await channel.unary_unary("/pods/Echo")(b"b") == b"runtime:b"


async def test_a_service_that_is_switched_off_is_unknown(tmp_path, servers):
    async with relayed(tmp_path, "") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as off:
            await channel.unary_unary("/images/Echo")(b"a")
        assert off.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert off.value.details() == "unknown service images for method Echo"
