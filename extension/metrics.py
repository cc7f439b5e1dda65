"""What can be scraped of the extension: reconciliations, how long they took, errors by class, the queues.

Nothing is aggregated between scrapes: work increments integers, and a scrape walks them.  All lines are there from the
start, with zeros, so that rates and alerts work from the first scrape on.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any

from cri_resmgr.kube.queueing import Queue
from cri_resmgr.observe.exposition import CONTENT_TYPE, head, histogram, labels, sample
from extension.observing import CLASSES, Finished

BOUNDS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0)
BOUNDS = (*map(str, BOUNDS_S), "+Inf")
OPERATIONS = ("Create", "Reconcile", "Delete", "Migrate", "Restore", "Look")
OUTCOMES = ("succeeded", "waiting")
PREFIX = "gardener_extension_cri_resmgr"


class Metrics:
    """`finished` is the controller's observer, `answer` a route for `observe.http`."""

    def __init__(self, *, version: str) -> None:
        self._version = version
        self._done = {(operation, outcome): 0 for operation in OPERATIONS for outcome in (*OUTCOMES, *CLASSES)}
        self._durations = {operation: [0] * len(BOUNDS) for operation in OPERATIONS}
        self._total_s = dict.fromkeys(OPERATIONS, 0.0)
        self._queues: Mapping[str, Queue[Any]] = {}
        self._leading = False

    def finished(self, what: Finished) -> None:
        """One piece of work on one Extension has ended."""
        key = (what.operation, what.outcome)
        self._done[key] = self._done.get(key, 0) + 1
        counts = self._durations.setdefault(what.operation, [0] * len(BOUNDS))
        counts[bisect_left(BOUNDS_S, what.duration_s)] += 1
        self._total_s[what.operation] = self._total_s.get(what.operation, 0.0) + what.duration_s

    @contextmanager
    def leading(self, **queues: Queue[Any]) -> Iterator[None]:
        """We act, and these are the queues."""
        self._leading, self._queues = True, queues
        try:
            yield
        finally:
            self._leading, self._queues = False, {}

    def answer(self) -> tuple[int, str, bytes]:
        """The answer to a scrape: status, content type, body."""
        return 200, CONTENT_TYPE, self.text().encode()

    def text(self) -> str:
        """All metrics as they are now."""
        return "".join(chain(self._of_work(), self._of_durations(), self._of_process()))

    def _of_work(self) -> Iterator[str]:
        name = f"{PREFIX}_reconciles_total"
        yield head(name, "counter", "Pieces of work on one Extension that have ended, by how.")
        for (operation, outcome), count in self._done.items():
            yield sample(name, count, labels(operation=operation, outcome=outcome))
        name = f"{PREFIX}_errors_total"
        yield head(name, "counter", "Pieces of work that have failed, by the class of the error.")
        for kind in CLASSES:
            yield sample(name, sum(n for (_, how), n in self._done.items() if how == kind), labels(**{"class": kind}))

    def _of_durations(self) -> Iterator[str]:
        name = f"{PREFIX}_reconcile_seconds"
        yield head(name, "histogram", "Seconds that a piece of work on one Extension took.")
        for operation, counts in self._durations.items():
            pairs = labels(operation=operation)
            yield from histogram(name, pairs, bounds=BOUNDS, counts=counts, total=self._total_s[operation])

    def _of_process(self) -> Iterator[str]:
        name = f"{PREFIX}_queue_depth"
        yield head(name, "gauge", "Extensions that are due to be worked on and have not been begun.")
        for queue, waiting in self._queues.items():
            yield sample(name, waiting.depth, labels(queue=queue))
        yield head(f"{PREFIX}_leading", "gauge", "Whether this replica acts: 1 or 0.")
        yield sample(f"{PREFIX}_leading", self._leading)
        yield head(f"{PREFIX}_build_info", "gauge", "Always 1; the version is a label.")
        yield sample(f"{PREFIX}_build_info", 1, labels(version=self._version))
