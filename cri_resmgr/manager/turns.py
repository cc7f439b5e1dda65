"""Order among the calls on one container, without ever waiting for one on another.

A call keeps its turn while it is looked into, up to the moment when it is forwarded: the runtime then gets the calls
on a container in the order in which the kubelet made them.  It is not kept while the runtime works, since a kubelet
that asks twice (a second, harder StopContainer) means both.
"""

import asyncio
from typing import Any


async def within(event: "asyncio.Future[Any]", deadline_s: float) -> bool:
    """Wait for a future, but no longer; True if it is done.  Needs no task, and never cancels the future."""
    if event.done():
        return True
    loop = asyncio.get_running_loop()
    woken: asyncio.Future[None] = loop.create_future()

    def wake(*_: object) -> None:
        if not woken.done():
            woken.set_result(None)

    timer = loop.call_later(deadline_s, wake)
    event.add_done_callback(wake)
    try:
        await woken
    finally:
        timer.cancel()
        event.remove_done_callback(wake)
    return event.done()


class Turns:
    """Whose turn it is, by key; a key costs nothing while nobody uses it."""

    def __init__(self) -> None:
        self._last: dict[str, asyncio.Future[None]] = {}

    def __len__(self) -> int:
        return len(self._last)

    def taken(self, key: str) -> bool:
        """Whether somebody has a turn on `key` now."""
        return key in self._last

    def take(self, key: str) -> "Turn":
        """Queue up behind all earlier turns on `key`."""
        return Turn(self._last, key)


class Turn:
    """One turn; `await come()` first, then `end()` it, which is safe at any time and more than once."""

    __slots__ = ("_before", "_key", "_last", "_mine")

    def __init__(self, last: "dict[str, asyncio.Future[None]]", key: str) -> None:
        self._last, self._key = last, key
        self._before = last.get(key)
        self._mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        last[key] = self._mine

    async def come(self, deadline_s: float) -> bool:
        """Wait for the turn; False if it has not come in time."""
        return self._before is None or await within(self._before, deadline_s)

    def end(self) -> None:
        """Let the next one go on, once those before have ended."""
        if self._before is None or self._before.done():
            self._pass_on()
        else:
            self._before.add_done_callback(self._pass_on)

    def _pass_on(self, *_: object) -> None:
        if self._last.get(self._key) is self._mine:  # not before: whoever comes must find those that still wait
            del self._last[self._key]
        if not self._mine.done():
            self._mine.set_result(None)
