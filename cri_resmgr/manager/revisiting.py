"""Asking the policy again some time after a container's start, where its decision wants that.

A daemon that starts waits the whole time once more: it does not know how much of it has passed.
"""

import asyncio
from collections.abc import Callable

from cri_resmgr.values.workloads import Container, State


class Revisits:
    """One timer a container; `due(key)` is called when its time has come."""

    def __init__(self, due: Callable[[str], None]) -> None:
        self._due = due
        self._timers: dict[str, tuple[float, asyncio.TimerHandle]] = {}

    def __len__(self) -> int:
        return len(self._timers)

    def follow(self, container: Container) -> None:
        """The container has started, or something else has been decided about it."""
        wanted_s = container.revisit_after_start_s if container.state is State.RUNNING else 0.0
        waits_s, _ = self._timers.get(container.key, (0.0, None))
        if wanted_s != waits_s:
            self.drop(container.key)
            if wanted_s:
                timer = asyncio.get_running_loop().call_later(wanted_s, self._ring, container.key)
                self._timers[container.key] = wanted_s, timer

    def drop(self, key: str) -> None:
        """Nobody needs to be asked about it any more."""
        if key in self._timers:
            self._timers.pop(key)[1].cancel()

    def close(self) -> None:
        """No timer rings any more."""
        for key in tuple(self._timers):
            self.drop(key)

    def _ring(self, key: str) -> None:
        del self._timers[key]
        self._due(key)
