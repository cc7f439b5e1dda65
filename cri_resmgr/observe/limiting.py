"""No log in a loop without a rate: one event a key and interval, with a count of those that were left out."""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

LIMIT_KEYS = 256


@dataclass(slots=True)
class Limiter:
    """Gives turns to events that repeat.

    if (missed := limiter.turn("runtime")) is not None: log.warning("runtime.away", missed=missed)
    """

    interval_s: float
    clock: Callable[[], float] = time.monotonic
    _last: dict[Hashable, tuple[float, int]] = field(default_factory=dict)

    def turn(self, key: Hashable) -> int | None:
        """None when it is too early for `key`, else how many of its events were left out since the last turn."""
        now = self.clock()
        last, missed = self._last.get(key, (None, 0))
        if last is not None and now - last < self.interval_s:
            self._last[key] = last, missed + 1
            return None
        self._last.pop(key, None)  # so that the first key is the one whose turn is longest ago
        if len(self._last) >= LIMIT_KEYS:
            del self._last[next(iter(self._last))]
        self._last[key] = now, 0
        return missed
