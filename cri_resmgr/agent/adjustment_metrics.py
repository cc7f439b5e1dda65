"""What Prometheus gets about Adjustments: how many are for this node, how many are amiss, and what that has cost."""

from collections.abc import Iterator

from cri_resmgr.agent.adjusting import Adjusting
from cri_resmgr.observe.exposition import head, sample

_PREFIX = "cri_resmgr_agent_adjustments"


def text(adjusting: Adjusting) -> str:
    """The metrics, in Prometheus' text format."""
    return "".join(
        f"{head(f'{_PREFIX}{name}', kind, about)}{sample(f'{_PREFIX}{name}', value)}"
        for name, kind, about, value in _numbers(adjusting)
    )


def _numbers(adjusting: Adjusting) -> Iterator[tuple[str, str, str, float]]:
    writes = adjusting.writer.counters
    yield "", "gauge", "Adjustments whose scope names this node.", adjusting.ours
    yield "_amiss", "gauge", "Of these, those with an error in their status.", adjusting.amiss
    yield "_pushes_total", "counter", "Sets of them that were given to the daemon.", adjusting.pushed
    yield "_status_writes_total", "counter", "Entries written into their status.", writes.written
    yield "_status_refused_total", "counter", "Entries that the API server did not take.", writes.refused
