"""A relay in a process of its own: `python served.py SOCKET RUNTIME`.

The service in a method's path says what happens to it: /hook/* is held and passes as it is, /grow/*, /shrink/*,
/refuse/* and /wait/* do what their names say, anything else is not held.  TERM drains.  `USR1` prints what is kept.
"""

import asyncio
import gc
import json
import signal
import socket
import sys
from pathlib import Path

from cri_resmgr.relay.counters import Counters
from cri_resmgr.relay.hooks import Call, Hook, Refused
from cri_resmgr.relay.link import Link
from cri_resmgr.relay.opening import opener
from cri_resmgr.relay.server import Relay

GROWTH = 100_000
WAIT_S = 1.0
METHODS = ("Echo", "Fail", "Slow", "Large", "Meta", "Nope")
DRAIN_S = 5.0


async def same(call: Call) -> bytes:
    return await call.forward(call.request)


async def grow(call: Call) -> bytes:
    return await call.forward(call.request + b"+" * GROWTH) + b"-" * GROWTH


async def shrink(call: Call) -> bytes:
    return await call.forward(call.request[: len(call.request) // 10])


async def refuse(call: Call) -> bytes:
    raise Refused(9, "no: \u20ac " + call.request.decode(), b"\x08\x09")


async def wait(call: Call) -> bytes:
    """As for a neighbour's update: in a task, since hooks have none."""
    task = asyncio.create_task(asyncio.sleep(WAIT_S))
    try:
        await task
    finally:
        task.cancel()
    return await call.forward(call.request)


SERVICES = {"hook": same, "grow": grow, "shrink": shrink, "refuse": refuse, "wait": wait}
HOOKS: dict[str, Hook] = {f"/{name}/{method}": hook for name, hook in SERVICES.items() for method in METHODS}


def kept(counters: Counters) -> str:
    """What is held and open right now, and what the garbage collector knows of."""
    gc.collect()
    links = [found for found in gc.get_objects() if isinstance(found, Link)]
    return json.dumps(
        {
            "links_open": counters.links_open,
            "links_broken": counters.links_broken,
            "links_refused": counters.links_refused,
            "calls_held": counters.calls_held,
            "links": len(links),
            "tasks": len(asyncio.all_tasks()),
            "live": sum(len(link.live) for link in links),
        }
    )


async def main(path: str, runtime: str) -> None:
    counters = Counters(endless={"/t/Events"})
    relay = Relay(runtime, opener(HOOKS), counters=counters)
    aside = Path(f"{path}.new")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.setblocking(False)
        listener.bind(str(aside))
        listener.listen(1024)
        aside.rename(path)
        relay.start(listener)
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        loop.add_signal_handler(signal.SIGUSR1, lambda: print(kept(counters), flush=True))
        print("ready", flush=True)
        await stop.wait()
        await relay.drain(DRAIN_S)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
