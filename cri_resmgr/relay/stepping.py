"""Runs a hook's coroutine in the very callback in which its next input arrives, without a task.

A task, its first step and each wake-up are trips through the event loop, which cost more than all else that happens
to a held call, and make every call's output a write of its own.  Stepped here, the calls of one read share one write.

The price: inside a hook there is no current task, so `asyncio.timeout` and `TaskGroup` do not work there.  A hook may
await `Call.forward`, futures, and tasks that it makes for anything more.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

Outcome = Callable[[bytes | None, BaseException | None], None]
"""Told once how the coroutine ended: (result, None) or (None, error)."""


class Stepper:
    """Drives one coroutine.  `woken` is called after steps that no reader of a socket has caused."""

    __slots__ = ("_awaited", "_coroutine", "_ended", "_outcome", "_woken")

    def __init__(self, coroutine: Coroutine[Any, Any, bytes], *, outcome: Outcome, woken: Callable[[], None]) -> None:
        self._coroutine, self._outcome, self._woken = coroutine, outcome, woken
        self._awaited: asyncio.Future[Any] | None = None
        self._ended = False

    def start(self) -> None:
        """Run up to the first thing that has to be waited for."""
        self._step(None)

    def resume(self) -> None:
        """The thing that is waited for, and is no future, has come: run on."""
        self._step(None)

    def cancel(self) -> None:
        """Raise `CancelledError` where the coroutine waits.

        Unlike with a task what it waits for goes on: others may wait for it, too.
        """
        if self._ended:
            return
        if self._awaited is not None:
            self._awaited.remove_done_callback(self._wake)
            self._awaited = None
        self._step(asyncio.CancelledError())

    def _step(self, error: BaseException | None) -> None:
        try:
            awaited = self._coroutine.throw(error) if error else self._coroutine.send(None)
        except StopIteration as stop:
            self._end(stop.value, None)
        except (Exception, asyncio.CancelledError) as raised:  # noqa: BLE001 - its owner answers for it
            self._end(None, raised)
        else:
            if asyncio.isfuture(awaited):
                self._awaited = awaited
                awaited.add_done_callback(self._wake)
            elif not isinstance(awaited, Answer):  # asyncio.sleep(0) is one: nobody would ever resume it
                self._step(TypeError(f"a hook awaits Call.forward, futures and tasks, not {awaited!r}"))

    def _wake(self, _future: "asyncio.Future[Any]") -> None:
        self._awaited = None
        self._step(None)
        self._woken()

    def _end(self, result: bytes | None, error: BaseException | None) -> None:
        self._ended = True
        outcome, self._outcome = self._outcome, _told  # no cycle stays, so a call's memory is free when it is over
        outcome(result, error)


def _told(_result: bytes | None, _error: BaseException | None) -> None:
    """Once is enough."""


class Answer:
    """Something to wait for that a stepped coroutine is resumed for directly: `await answer` ends with `come()`."""

    __slots__ = ("_come",)

    def __init__(self) -> None:
        self._come = False

    def come(self) -> None:
        """What is waited for is there; resume the stepper next."""
        self._come = True

    def __await__(self) -> Any:
        while not self._come:
            yield self
