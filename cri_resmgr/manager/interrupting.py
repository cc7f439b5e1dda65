"""A time limit for code that never waits.

A policy runs in the event loop, so a budget that only waits would not help against one that computes for ever: an
interval timer interrupts it.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class OverBudget(BaseException):
    """The policy was interrupted; no `Exception`, which a policy might catch inside the very loop that never ends."""


@contextlib.contextmanager
def interrupted_after(budget_s: float) -> Iterator[None]:
    """Raise `OverBudget` inside the block when its time is up; signals reach the main thread only.

    The timer and its handler are as before afterwards.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    armed = True

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if armed:
            raise OverBudget(f"no decision within {budget_s:g} s")

    previous = signal.signal(signal.SIGALRM, interrupt)
    before = signal.setitimer(signal.ITIMER_REAL, budget_s)
    try:
        yield
    finally:
        armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        signal.setitimer(signal.ITIMER_REAL, *before)
