"""What can be scraped: calls, links, what runs, the store, this process.

Nothing is registered, aggregated or locked between scrapes: the relay increments integers, and a scrape walks them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain

import structlog

from cri_resmgr.observe.exposition import CONTENT_TYPE, head, histogram, labels, sample
from cri_resmgr.observe.gauges import Gauge
from cri_resmgr.relay.counters import BOUNDS_S, Counters, Histogram, MethodCounters

BOUNDS = (*map(str, BOUNDS_S), "+Inf")

COUNTS: tuple[tuple[str, str, Callable[[MethodCounters], int]], ...] = (
    ("cri_resmgr_calls_total", "Calls that clients made.", lambda method: method.calls),
    (
        "cri_resmgr_calls_failed_total",
        "Calls that ended with a status other than OK, or were reset.",
        lambda method: method.failed,
    ),
    (
        "cri_resmgr_calls_refused_total",
        "Calls that were answered here instead of by the runtime.",
        lambda method: method.refused,
    ),
)
TIMES: tuple[tuple[str, str, Callable[[MethodCounters], Histogram]], ...] = (
    ("cri_resmgr_runtime_seconds", "Seconds that the runtime took to answer.", lambda method: method.runtime_s),
    ("cri_resmgr_added_seconds", "Seconds that an intercepted call spent here.", lambda method: method.added_s),
)
LINKS: tuple[tuple[str, str, str, Callable[[Counters], int]], ...] = (
    ("cri_resmgr_links_open", "gauge", "Connections of clients that are open now.", lambda c: c.links_open),
    ("cri_resmgr_links_total", "counter", "Connections that clients have made.", lambda c: c.links_total),
    ("cri_resmgr_links_broken_total", "counter", "Connections ended by malformed input.", lambda c: c.links_broken),
    (
        "cri_resmgr_links_refused_total",
        "counter",
        "Connections ended because the runtime could not be reached.",
        lambda c: c.links_refused,
    ),
    ("cri_resmgr_calls_held", "gauge", "Intercepted calls in flight now.", lambda c: c.calls_held),
)

log = structlog.get_logger("metrics")


class Metrics:
    """Everything that can be scraped; `answer` is a route for `http`."""

    __slots__ = ("_counters", "_gauges", "_version")

    def __init__(self, counters: Counters, *, gauges: Sequence[Gauge] = (), version: str = "unknown") -> None:
        self._counters = counters
        self._gauges = tuple(gauges)
        self._version = version

    def answer(self) -> tuple[int, str, bytes]:
        """The answer to a scrape: status, content type, body."""
        return 200, CONTENT_TYPE, self.text().encode()

    def text(self) -> str:
        """All metrics as they are now."""
        lines = chain(
            _of_calls(self._counters.methods),
            _of_links(self._counters),
            chain.from_iterable(map(_of_gauge, self._gauges)),
            (head("cri_resmgr_build_info", "gauge", "Always 1; the version is a label."),),
            (sample("cri_resmgr_build_info", 1, labels(version=self._version)),),
        )
        return "".join(lines)


def _of_calls(methods: Mapping[str, MethodCounters]) -> Iterator[str]:
    named = [(_names(path), method) for path, method in methods.items()]
    for name, text, count in COUNTS:
        yield head(name, "counter", text)
        yield from (sample(name, count(method), pairs) for pairs, method in named)
    for name, text, times in TIMES:
        yield head(name, "histogram", text)
        for pairs, method in named:
            observed = times(method)
            if any(observed.counts):  # most methods are not intercepted: two thousand zeros say nothing
                yield from histogram(name, pairs, bounds=BOUNDS, counts=observed.counts, total=observed.total_s)


def _of_links(counters: Counters) -> Iterator[str]:
    for name, kind, text, read in LINKS:
        yield head(name, kind, text)
        yield sample(name, read(counters))


def _of_gauge(gauge: Gauge) -> Iterator[str]:
    try:
        reading = gauge.read()
    except Exception:  # one reading that fails, of a file or of a policy, costs one metric and not the scrape
        log.exception("metrics.unreadable", name=gauge.name)
        return
    yield head(gauge.name, "counter" if gauge.name.endswith("_total") else "gauge", gauge.help)
    if isinstance(reading, Mapping):
        yield from (sample(gauge.name, value, labels(**{gauge.label: key})) for key, value in reading.items())
    else:
        yield sample(gauge.name, reading)


def _names(path: str) -> str:
    # Two paths must never get the same labels, or the whole scrape is invalid: what is no /service/method is a method.
    before, _, rest = path.partition("/")
    service, _, method = rest.rpartition("/")
    if before or not service or not method:
        service, method = "", path
    return labels(service=service, method=method)
