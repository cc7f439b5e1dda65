"""Long work says that it goes on: what, how long it should take, how long it has taken.

On a terminal one line counts seconds.  Elsewhere (CI, a file) there is a line at the start, one each half minute and
one at the end, so that a log shows where the time went and a watchdog sees life.
"""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from typing import TextIO

QUIET_INTERVAL_S = 30


def clock(seconds: float) -> str:
    """As minutes and seconds, for example `0:45`."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


@contextlib.contextmanager
def progress(what: str, stream: TextIO | None = None, *, interval_s: float | None = None) -> Iterator[None]:
    """Show on `stream` (standard error) that `what` goes on, until the block ends."""
    stream = stream or sys.stderr
    start_s = time.monotonic()
    live = stream.isatty()
    done = threading.Event()

    def say(ending: str, end: str) -> None:
        print(f"{what} … {clock(time.monotonic() - start_s)}{ending}", end=end, file=stream, flush=True)

    def watch() -> None:
        while not done.wait(interval_s or (1 if live else QUIET_INTERVAL_S)):
            say("", "\r" if live else "\n")

    say("", "\r" if live else "\n")
    watcher = threading.Thread(target=watch, name=f"progress of {what}", daemon=True)
    watcher.start()
    outcome = " failed"
    try:
        yield
        outcome = " done"
    finally:
        done.set()
        watcher.join()
        say(outcome, "\n")
