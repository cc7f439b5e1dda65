"""Looking into calls without ever standing in their way: what cannot be read passes as it is."""

from collections.abc import Callable
from typing import TypeVar

import structlog

from cri_resmgr.cri import messages
from cri_resmgr.relay.hooks import Call, Failed
from cri_resmgr.wire.grpc import NOT_FOUND

T = TypeVar("T")

log = structlog.get_logger("resource-manager")


def decoded(call: Call, decode: Callable[[], T]) -> T | None:
    """The decoded thing; None if it is no such message, which is then the runtime's business."""
    try:
        return decode()
    except messages.Undecodable as error:
        log.warning("call.undecodable", method=call.method, error=str(error))
        return None


def id_in(call: Call) -> str:
    """The pod or container that the request names; "" if that cannot be read."""
    return decoded(call, lambda: messages.id_of(call.method, call.request)) or ""


async def forwarded_or_gone(call: Call, gone: Callable[[], None]) -> bytes:
    """Forward a removal, and call `gone` if it succeeds or if the runtime knows no such thing."""
    try:
        reply = await call.forward(call.request)
    except Failed as failed:
        if failed.code == NOT_FOUND:
            gone()
        raise
    gone()
    return reply
