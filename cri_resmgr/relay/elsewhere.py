"""Calls of a service that another server serves: asked there with the client's own headers, answered as it answers.

This is how a separate image service shares the relay's socket with the runtime.  The runtime sees such a call begin and
be reset at once; its request and its answer pass through here whole, which suits calls with one request message.
"""

import asyncio

from cri_resmgr.relay.hooks import Answered, Call, Hook, Refused
from cri_resmgr.wire.client import Client
from cri_resmgr.wire.connection import Reply
from cri_resmgr.wire.grpc import UNIMPLEMENTED


def served_by(client: Client) -> Hook:
    """A hook that lets another server answer."""

    async def hook(call: Call) -> bytes:
        asking = asyncio.get_running_loop().create_task(
            client.ask(call.fields, call.request, deadline_s=call.remaining_s)
        )
        try:
            reply: Reply = await asking
        finally:
            asking.cancel()  # for a client that has given up
        if not reply.trailers:  # no answer at all
            raise Refused(reply.code, reply.text)
        raise Answered(reply.head, reply.body, reply.trailers)

    return hook


async def served_by_nobody(call: Call) -> bytes:
    """A hook for a service that is switched off: what a server says that does not know it."""
    service, _, method = call.method[1:].partition("/")
    raise Refused(UNIMPLEMENTED, f"unknown service {service} for method {method}")
