"""The events of a watch, out of bytes that arrive as they like.

An object may be larger than any buffer (a ConfigMap of 1 MiB is up to six as JSON), so lines are put together here.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from cri_resmgr.kube.errors import refusal
from cri_resmgr.kube.requests import Request, explained
from cri_resmgr.kube.resources import Object


@dataclass(frozen=True, slots=True)
class Event:
    """`kind` is ADDED, MODIFIED, DELETED or BOOKMARK; of a bookmark only the resourceVersion counts."""

    kind: str
    object: Object


class Content(Protocol):
    """Where bytes come from."""

    async def readany(self) -> bytes:
        """What there is, once there is something; empty at the end."""


async def events(content: Content, request: Request, *, silence_s: float) -> AsyncGenerator[Event, None]:
    """Events until the server ends them, or nothing has come for `silence_s`: most often nothing has happened.

    Raises Unavailable when the connection is lost, Expired when the server does not remember enough to go on.
    """
    parts: list[bytes] = []
    with explained(request, silence_s):
        while chunk := await _read(content, silence_s):
            *ends, rest = chunk.split(b"\n")
            for end in ends:
                event = json.loads(b"".join((*parts, end)))
                parts.clear()
                if event["type"] == "ERROR":  # of what it could not say as a status any more
                    status = event["object"]
                    raise refusal(str(request), status.get("code", 500), json.dumps(status).encode())
                yield Event(event["type"], event["object"])
            parts.append(rest)


async def _read(content: Content, silence_s: float) -> bytes:
    try:
        async with asyncio.timeout(silence_s):
            return await content.readany()
    except TimeoutError:
        return b""
