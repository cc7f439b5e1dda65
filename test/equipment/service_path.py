"""What kube-proxy is in a real cluster, for one service: its cluster IP on this machine, and a way to its end points.

Each new connection goes to the next end point that accepts it.  Bytes are passed on both ways until one side closes;
connections that are open outlive their end point's removal, as they do in a cluster.
"""

import asyncio
import contextlib
import subprocess
import threading
from collections.abc import Callable, Sequence

CHUNK_BYTES = 65_536
CONNECT_DEADLINE_S = 1.0

EndPoints = Callable[[], Sequence[tuple[str, int]]]


class ServicePath:
    """A context manager; `end_points` tells the addresses and ports of now, and is asked for each connection."""

    def __init__(self, address: str, port: int, end_points: EndPoints) -> None:
        """Nothing happens yet."""
        self._address, self._port, self._end_points = address, port, end_points
        self._turn = 0
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
            for host, port in await asyncio.to_thread(self._in_turn):
                with contextlib.suppress(OSError):  # a deadline that has passed is one, too
                    opening = asyncio.open_connection(host, port)
                    there, back = await asyncio.wait_for(opening, CONNECT_DEADLINE_S)
                    with contextlib.closing(back):
                        ways = (_pass(reader, back), _pass(there, writer))
                        await asyncio.wait(map(asyncio.ensure_future, ways), return_when=asyncio.FIRST_COMPLETED)
                    return

    def _in_turn(self) -> Sequence[tuple[str, int]]:
        found = self._end_points()
        self._turn += 1
        first = self._turn % len(found) if found else 0
        return [*found[first:], *found[:first]]

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
