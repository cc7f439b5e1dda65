"""Writes what has become of Adjustments into their status: this node's own entry, and only when it says something else.

    status: {nodes: {NODE: {errors: {}}}}

Each entry is a small merge patch, so nodes do not get in each other's way, but they all write into the same object.  A
new Adjustment for a thousand nodes must not be a thousand writes at once: each agent waits a while that grows with the
number of nodes that have entries, and longer where the API server says that others are writing.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

import structlog

from cri_resmgr.agent.adjustment_records import Record, Said, patch
from cri_resmgr.kube.backoff import Backoff
from cri_resmgr.kube.clients import Client
from cri_resmgr.kube.errors import ApiError, Conflict, NotFound, Unavailable
from cri_resmgr.kube.resources import Resource

ADJUSTMENTS = Resource("criresmgr.intel.com/v1alpha1", "adjustments")
BACKOFF = Backoff(first_s=1.0, last_s=60.0)

log = structlog.get_logger("resource-manager-agent")


@dataclass(frozen=True, slots=True)
class Pace:
    """Before a round of writes an agent waits up to `least_s`, and `each_s` more for each node that has an entry."""

    least_s: float = 0.5
    each_s: float = 0.01
    most_s: float = 30.0
    between_s: float = 0.02

    def wait_s(self, entries: int) -> float:
        """How long this time."""
        return random.uniform(0.0, min(self.least_s + entries * self.each_s, self.most_s))  # noqa: S311 - no secret


PACE = Pace()


@dataclass(slots=True)
class Counters:
    """Writes since the start, by what became of them."""

    written: int = 0
    refused: int = 0


def due(record: Record, verdict: Mapping[str, Said]) -> Said | None:
    """What our entry must say: what is amiss, nothing if all is well, None for no entry."""
    return verdict.get(record.name, {}) if record.is_ours else None


class Writer:
    """`records` are those there are, by name; `verdict()` is what is amiss with each, None if that is not known."""

    def __init__(
        self,
        client: Client,
        resource: Resource,
        node: str,
        *,
        records: Callable[[], Mapping[str, Record]],
        verdict: Callable[[], Mapping[str, Said] | None],
    ) -> None:
        self._client, self._resource, self._node = client, resource, node
        self._records, self._verdict = records, verdict
        self._news = asyncio.Event()
        self._written: dict[str, tuple[Record, Said | None]] = {}  # what was there, and what has been written since
        self.counters = Counters()

    def changed(self) -> None:
        """There may be something to write."""
        self._news.set()

    def pending(self) -> list[tuple[Record, Said | None]]:
        """Those whose entries must change, and to what."""
        verdict, records = self._verdict(), self._records()
        self._written = {name: last for name, last in self._written.items() if records.get(name) is last[0]}
        if verdict is None:
            return []
        wanted = [(one, due(one, verdict)) for one in records.values()]
        return [(one, errors) for one, errors in wanted if self._differs(one, errors)]

    async def run(self, pace: Pace = PACE) -> NoReturn:
        """Write until cancelled."""
        failures = 0
        while True:
            await self._news.wait()
            entries = max((one.entries for one in self._records().values()), default=0)
            await asyncio.sleep(pace.wait_s(entries) if self.pending() else 0)
            self._news.clear()
            error = await self._round(pace)
            failures = failures + 1 if error else 0
            if error is not None:
                self._news.set()
                at_least_s = error.retry_after_s if isinstance(error, Unavailable) else 0.0
                await asyncio.sleep(max(BACKOFF.delay_s(failures), at_least_s))

    async def _round(self, pace: Pace) -> ApiError | None:
        """Write what there is to write; the last thing that went wrong, after which all that is left is tried again."""
        failed: ApiError | None = None
        for record, errors in self.pending():
            try:
                await self._write(record, errors)
            except Unavailable as error:
                return error
            except ApiError as error:
                failed = error
            await asyncio.sleep(pace.between_s)
        return failed

    async def _write(self, record: Record, errors: Said | None) -> None:
        what = f"status of {self._resource}"
        said = patch(self._node, dict(record.said or ()), errors)
        try:
            with suppress(NotFound):  # it is gone, and its status with it
                await self._client.merge_patch(self._resource, record.name, said, subresource="status")
        except ApiError as error:
            self.counters.refused += 1
            if not isinstance(error, Conflict):  # too many at once: later
                self._client.outages.failed(what, error)
            raise
        self._client.outages.over(what)
        self.counters.written += 1
        self._written[record.name] = record, errors
        log.debug("adjustment.status_written", adjustment=record.name, errors=errors)

    def _differs(self, record: Record, errors: Said | None) -> bool:
        """Whether the entry, as it is or as we have made it meanwhile, says something else."""
        if record.name in self._written:
            return self._written[record.name][1] != errors
        return (None if record.said is None else dict(record.said)) != errors
