"""What kube-proxy is in a real cluster, for one service: its cluster IP on this machine, and a way to its end points.

Each new connection goes to the next end point that accepts it, unless that is being removed.  Bytes are passed on both
ways until one side closes.
"""

import asyncio
import contextlib
import subprocess
import threading
from collections.abc import Iterable
from itertools import cycle, islice

CHUNK_BYTES = 65_536


class ServicePath:
    """A context manager; `backends` are ports of this machine."""

    def __init__(self, address: str, port: int, backends: Iterable[int]) -> None:
        """Nothing happens yet."""
        self._address, self._port = address, port
        self._backends = tuple(backends)
        self._turns = cycle(self._backends)
        self.removed: set[int] = set()
        """Those that get no new connections, while old ones live on."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"service {address}")

    def __enter__(self) -> "ServicePath":
        subprocess.run(["ip", "address", "replace", f"{self._address}/32", "dev", "lo"], check=True)
        self._thread.start()
        serving = asyncio.start_server(self._connected, self._address, self._port)
        self._server = asyncio.run_coroutine_threadsafe(serving, self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        command = ["ip", "address", "delete", f"{self._address}/32", "dev", "lo"]
        subprocess.run(command, capture_output=True, check=False)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(asyncio.CancelledError):
            turns = list(islice(self._turns, len(self._backends)))
            for port in (port for port in turns if port not in self.removed):
                with contextlib.suppress(OSError):
                    there, back = await asyncio.open_connection("127.0.0.1", port)
                    with contextlib.closing(back):
                        ways = (_pass(reader, back), _pass(there, writer))
                        await asyncio.wait(map(asyncio.ensure_future, ways), return_when=asyncio.FIRST_COMPLETED)
                    return

    async def _close(self) -> None:
        self._server.close()
        passing = asyncio.all_tasks() - {asyncio.current_task()}
        for task in passing:
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
