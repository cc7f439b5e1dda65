"""Hooks of every temper, and what their calls come to when the runtime echoes."""

import asyncio
from collections.abc import Callable, Mapping

from cri_resmgr.relay.hooks import Call, Failed, Hook, Refused

OVERLOADED = b"/overloaded"  # the runtime answers these as soon as it sees their headers
HELD_OVERLOADED = b"/held-overloaded"
FAILING = b"/failing"  # the runtime answers NOT_FOUND
HELD_FAILING = b"/held-failing"
GROWTH_BEFORE, GROWTH_AFTER = b"+" * 70_000, b"-" * 50_000
DETAILS = b"\x08\x09\xff"
REFUSAL = "no: \u20ac 100%\n"
SLOW_TURNS = 5


async def same(call: Call) -> bytes:
    return await call.forward(call.request)


async def changed(call: Call) -> bytes:
    """Same size, other bytes."""
    return (await call.forward(call.request[::-1]))[::-1]


async def grow(call: Call) -> bytes:
    return await call.forward(call.request + GROWTH_BEFORE) + GROWTH_AFTER


async def shrink(call: Call) -> bytes:
    return (await call.forward(call.request[: len(call.request) // 3]))[:-3]


async def slow(call: Call) -> bytes:
    await turns(SLOW_TURNS)
    reply = await call.forward(call.request)
    await turns(SLOW_TURNS)
    return reply


async def turns(count: int) -> None:
    """Wait for the loop to go round, as for a neighbour's update."""
    loop = asyncio.get_running_loop()
    for _ in range(count):
        future = loop.create_future()
        loop.call_soon(set_unless_done, future)
        await future


def set_unless_done(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


async def refuse(call: Call) -> bytes:
    raise Refused(9, REFUSAL, DETAILS)


async def refuse_late(call: Call) -> bytes:
    await call.forward(call.request)
    raise Refused(10, "after")


async def own(call: Call) -> bytes:
    return b"own answer"


async def own_large(call: Call) -> bytes:
    return b"o" * 150_000


async def crash(call: Call) -> bytes:
    raise ValueError("boom")


async def crash_late(call: Call) -> bytes:
    await call.forward(call.request)
    raise ValueError("boom")


async def recover(call: Call) -> bytes:
    """Make good what the runtime refuses; an empty message is a message."""
    try:
        return await call.forward(call.request)
    except Failed:
        return b""


HOOKS: Mapping[str, Hook] = {
    "/same": same,
    "/changed": changed,
    "/grow": grow,
    "/shrink": shrink,
    "/slow": slow,
    "/refuse": refuse,
    "/refuse-late": refuse_late,
    "/own": own,
    "/own-large": own_large,
    "/crash": crash,
    "/crash-late": crash_late,
    "/recover": recover,
    HELD_FAILING.decode(): same,
    HELD_OVERLOADED.decode(): slow,
}
PASSING = (b"/pass", b"/pass-too", FAILING, OVERLOADED)
PATHS = (*PASSING, *(path.encode() for path in HOOKS))

Outcome = tuple[bytes, int]
_OUTCOMES: Mapping[bytes, Callable[[bytes], Outcome]] = {
    b"/changed": lambda body: ((b"echo:" + body[::-1])[::-1], 0),
    b"/grow": lambda body: (b"echo:" + body + GROWTH_BEFORE + GROWTH_AFTER, 0),
    b"/shrink": lambda body: ((b"echo:" + body[: len(body) // 3])[:-3], 0),
    b"/refuse": lambda _body: (b"", 9),
    b"/refuse-late": lambda _body: (b"", 10),
    b"/own": lambda _body: (b"own answer", 0),
    b"/own-large": lambda _body: (b"o" * 150_000, 0),
    b"/crash": lambda _body: (b"", 13),
    b"/crash-late": lambda _body: (b"", 13),
    b"/recover": lambda _body: (b"", 0),
    FAILING: lambda _body: (b"", 5),
    HELD_FAILING: lambda _body: (b"", 5),
    OVERLOADED: lambda _body: (b"", 8),
    HELD_OVERLOADED: lambda _body: (b"", 8),
}


def outcome(path: bytes, body: bytes) -> Outcome:
    """Message and status that the client gets."""
    expected = _OUTCOMES.get(path)
    return expected(body) if expected else (b"echo:" + body, 0)


def reply_of(path: bytes, body: bytes) -> Outcome:
    """What the runtime says: message or error text, and status."""
    return (b"no such thing", 5) if path in (FAILING, HELD_FAILING, b"/recover") else (b"echo:" + body, 0)
