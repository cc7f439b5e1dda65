"""The short form for probes: does the relay take a call to the runtime, and is the daemon well?

It asks the daemon nothing that a busy node makes slow, and does not read the runtime's answer.
"""

import asyncio

from cri_resmgr.cli.doctoring import serving
from cri_resmgr.config import protocol
from cri_resmgr.errors import Degraded
from cri_resmgr.wire.client import CallError, Client

VERSION = "/runtime.v1.RuntimeService/Version"


async def probe(relay_socket: str, config_socket: str, *, deadline_s: float) -> str:
    """One line that says how the daemon is; raises Degraded if the kubelet would wait in vain.

    A daemon with reasons for not being well still relays, so it passes, and the line names them.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            relayed = tasks.create_task(_version(relay_socket, deadline_s=deadline_s))
            asked = tasks.create_task(_health(config_socket, deadline_s=deadline_s))
    except* (CallError, protocol.Unreadable) as errors:
        said = "; ".join(str(error) for error in errors.exceptions)
        raise Degraded(f"{said}; look at `systemctl status cri-resource-manager`") from errors
    return f"{relayed.result()}; {asked.result()}"


async def _version(socket: str, *, deadline_s: float) -> str:
    client = Client(socket)
    try:
        await client.call(VERSION, b"", deadline_s=deadline_s)
    finally:
        client.close()
    return "the relay passes calls"


async def _health(socket: str, *, deadline_s: float) -> str:
    said = await serving.status(socket, deadline_s=deadline_s)
    if said is None:
        return "the daemon takes no configuration from an agent"
    return "; ".join(said["health"]) or f"the daemon is well, with policy {said['policy']}"
