"""Records what real gRPC peers say to each other: `python record.py FILE` writes pieces as [from_client, base64].

The recording is what `test/property/test_fuzz_link.py` mutates.
"""

import asyncio
import base64
import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path

import grpc

from relay.backend import UNLIMITED

HERE = Path(__file__).parent
READ_BYTES = 1 << 16


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, note) -> None:
    while data := await reader.read(READ_BYTES):
        note(data)
        writer.write(data)
        await writer.drain()
    writer.close()


async def converse(path: str) -> None:
    """A bit of everything."""
    options = [*UNLIMITED, ("grpc.default_authority", "localhost"), ("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(f"unix:{path}", options=options) as channel:
        for number in range(6):
            service = ("t", "same", "grow", "refuse", "slow", "own")[number]
            metadata = ((f"x-{number % 3}", "v" * number), ("x-bin", b"\0\xff"))
            await channel.unary_unary(f"/{service}/Echo")(b"q" * 50 * number, timeout=5 + number, metadata=metadata)
            with contextlib.suppress(grpc.RpcError):
                await channel.unary_unary(f"/{service}/Fail")(b"x", timeout=5)
        await asyncio.gather(*[channel.unary_unary("/same/Echo")(b"z" * 400, timeout=5) for _ in range(4)])
        await channel.unary_unary("/same/Large")(b"20000", timeout=5)
        call = channel.unary_unary("/same/Slow")(b"100", timeout=5)
        await asyncio.sleep(0.1)
        call.cancel()
        stream = channel.unary_stream("/t/Events")(b"")
        for _ in range(5):
            await stream.read()
        stream.cancel()
        await asyncio.sleep(0.1)


async def main(file: str) -> None:
    pieces: list[tuple[bool, str]] = []
    with tempfile.TemporaryDirectory() as directory:
        path, runtime = f"{directory}/p", f"{directory}/r"
        environment = os.environ | {"PYTHONPATH": str(HERE.parent)}
        backend = await asyncio.create_subprocess_exec(
            sys.executable, str(HERE / "backend.py"), runtime, stdout=asyncio.subprocess.PIPE, env=environment
        )
        assert backend.stdout
        await backend.stdout.readline()

        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            def note(from_client: bool):  # noqa: FBT001
                return lambda data: pieces.append((from_client, base64.b64encode(data).decode()))

            to_runtime = await asyncio.open_unix_connection(runtime)
            await asyncio.gather(copy(reader, to_runtime[1], note(True)), copy(to_runtime[0], writer, note(False)))

        async with await asyncio.start_unix_server(accepted, path):
            await converse(path)
        backend.kill()
        await backend.wait()
    Path(file).write_text(json.dumps(pieces, indent=0))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
