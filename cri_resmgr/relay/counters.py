"""Plain counters that the relay increments and others read: no locks, no library, no clock of their own."""

from bisect import bisect_left
from collections.abc import Container
from dataclasses import dataclass, field

BOUNDS_S = (
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    60.0,
)
MAX_METHODS = 256  # a client that invents names must not grow our memory,
MAX_PATH_SIZE = 256  # nor with long ones
OTHER = "other"


class Histogram:
    """Observations in seconds; `counts[i]` are those up to `BOUNDS_S[i]`, the last one is beyond all bounds."""

    __slots__ = ("counts", "total_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.total_s = 0.0

    def observe(self, seconds: float) -> None:
        """Add one observation."""
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.total_s += seconds


@dataclass(slots=True)
class MethodCounters:
    """One method's calls. `added_s` is known for intercepted calls only; `endless` ones nobody waits for at the end."""

    endless: bool = False
    calls: int = 0
    failed: int = 0  # ended with a status other than OK, or reset
    refused: int = 0  # answered by us instead of the runtime
    runtime_s: Histogram = field(default_factory=Histogram)
    added_s: Histogram = field(default_factory=Histogram)


@dataclass(slots=True)
class Counters:
    """Everything the relay counts, from the start of the process."""

    links_open: int = 0
    links_total: int = 0
    links_broken: int = 0  # ended by malformed input
    links_refused: int = 0  # the runtime could not be reached
    calls_held: int = 0  # intercepted calls in flight now
    methods: dict[str, MethodCounters] = field(default_factory=dict)
    endless: Container[str] = ()  # paths of calls that never end

    def method(self, path: str) -> MethodCounters:
        """The counters of one method, by its full path `/package.Service/Method`."""
        found = self.methods.get(path)
        if found is None:
            if len(self.methods) >= MAX_METHODS or len(path) > MAX_PATH_SIZE:
                path = OTHER
            found = self.methods.setdefault(path, MethodCounters(endless=path in self.endless))
        return found
