"""The daemon's own word about itself, from the socket that the agent uses."""

import json
from collections.abc import Mapping
from typing import Any

from cri_resmgr.cli.doctoring.findings import Finding, unknown, warning, well
from cri_resmgr.config import protocol
from cri_resmgr.wire import grpc
from cri_resmgr.wire.client import CallError, Client

ABOUT = "the daemon"


async def status(socket: str, *, deadline_s: float) -> Mapping[str, Any] | None:
    """What it says; None if nobody serves the socket: with a forced configuration nobody does. Raises CallError."""
    client = Client(socket)
    try:
        answer = await client.call(protocol.STATUS, protocol.write_status_question(0), deadline_s=deadline_s)
        said: Mapping[str, Any] = json.loads(protocol.read_status(answer))
    except ValueError as error:
        raise protocol.Unreadable(f"{socket}: the status is no JSON: {error}") from error
    except CallError as error:
        if error.code == grpc.UNAVAILABLE:
            return None
        raise
    finally:
        client.close()
    return said


async def finding(socket: str, *, deadline_s: float) -> Finding:
    """How it is."""
    try:
        said = await status(socket, deadline_s=deadline_s)
    except (CallError, protocol.Unreadable) as error:
        return warning(ABOUT, f"{socket}: {error}", "look at `journalctl -u cri-resource-manager`")
    if said is None:
        return unknown(
            ABOUT,
            f"nobody serves {socket}: a configuration is forced, or the bypass is in its place and passes bytes only; "
            "see `systemctl status 'cri-resource-manager*'`",
        )
    if said["health"]:
        return warning(ABOUT, "; ".join(said["health"]), "look at `cri-resmgr status`, which names what is amiss")
    return well(ABOUT, f"is well, with policy {said['policy']}")
