"""Equipment that lives as long as a fixture does."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

Shown = Callable[[], AbstractContextManager[None]]
"""Makes a context in which progress of long work reaches the terminal: the fixture `shown`."""


class Startable(Protocol):
    """What is started and stopped."""

    def start(self) -> object:
        """Return when it works."""

    def stop(self) -> object:
        """End all of it, whatever has become of it."""


S = TypeVar("S", bound=Startable)


@contextlib.contextmanager
def started(made: S, shown: Shown = contextlib.nullcontext) -> Iterator[S]:
    """Start it, and stop it at the end and when it does not start."""
    try:
        with shown():
            made.start()
        yield made
    finally:
        made.stop()
