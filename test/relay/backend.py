"""A gRPC server in a process of its own: `python backend.py SOCKET`.  TERM stops it gracefully."""

import asyncio
import json
import signal
import sys

import grpc

UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
GRACE_S = 10.0
seen = {"cancelled": 0, "started": 0, "calls": 0, "streams_ended": 0}


async def echo(request, context):
    seen["calls"] += 1
    await context.send_initial_metadata((("x-initial", "i"), ("initial-bin", b"\0\1")))
    context.set_trailing_metadata((("x-trailing", "t"), ("trailing-bin", b"\x00\xff")))
    return b"echo:" + request


async def meta(_request, context):
    """The metadata as it has arrived."""
    return json.dumps(
        [[key, value.hex() if isinstance(value, bytes) else value] for key, value in context.invocation_metadata()]
    ).encode()


async def fail(request, context):
    trailing = (("grpc-status-details-bin", b"\x08\x05det\xff"), ("x-trailing", "t"))
    await context.abort(grpc.StatusCode.NOT_FOUND, "no \u20ac such " + request.decode(), trailing)


async def slow(request, _context):
    seen["started"] += 1
    try:
        await asyncio.sleep(float(request))
    except asyncio.CancelledError:
        seen["cancelled"] += 1
        raise
    return b"slept"


async def large(request, _context):
    return bytes(int(request))


async def stats(_request, _context):
    return json.dumps(seen).encode()


async def events(_request, _context):
    number = 0
    try:
        while True:
            yield b"e%d" % number
            number += 1
            await asyncio.sleep(0.001)
    finally:
        seen["streams_ended"] += 1


async def chat(requests, _context):
    """Each message comes back at once."""
    async for request in requests:
        yield b"echo:" + request


class Methods(grpc.GenericRpcHandler):
    """The same methods under any service."""

    def __init__(self) -> None:
        unary = {"Echo": echo, "Meta": meta, "Fail": fail, "Slow": slow, "Large": large, "Stats": stats}
        self._methods = {name: grpc.unary_unary_rpc_method_handler(method) for name, method in unary.items()}
        self._methods["Events"] = grpc.unary_stream_rpc_method_handler(events)
        self._methods["Chat"] = grpc.stream_stream_rpc_method_handler(chat)

    def service(self, details):
        return self._methods.get(details.method.rsplit("/", 1)[1])


async def main(path: str) -> None:
    server = grpc.aio.server(options=UNLIMITED)
    server.add_generic_rpc_handlers((Methods(),))
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print("ready", flush=True)
    await stop.wait()
    await server.stop(GRACE_S)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
