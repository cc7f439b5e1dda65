"""How long to wait after failures: longer each time, never the same for everybody.

A thousand agents lose the API server in the same second; the jitter keeps them from coming back in the same one.
"""

import random
from dataclasses import dataclass

EXPONENT_LIMIT = 30


@dataclass(frozen=True, slots=True)
class Backoff:
    """Doubles from `first_s` to `last_s`."""

    first_s: float
    last_s: float

    def delay_s(self, failures: int) -> float:
        """A wait after that many failures in a row, between a half and the whole of the step; 0 after none."""
        if not failures:
            return 0.0
        step_s = min(self.first_s * 2.0 ** min(failures - 1, EXPONENT_LIMIT), self.last_s)
        return spread(step_s)


def spread(length_s: float) -> float:
    """A length between a half and the whole of `length_s`."""
    return length_s * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
