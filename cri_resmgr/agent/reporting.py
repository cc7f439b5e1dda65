"""Writes Events: each once, with a count for what is told again, and never more than an API server likes.

    reporter.report(Report(node(name), "ConfigRejected", text))     # blocks nobody
    await reporter.run()                                            # writes, in a task of its own

While the API server is away, what is to be told waits; of what is told again meanwhile the last word is written.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import structlog

from cri_resmgr.agent import reports
from cri_resmgr.agent.reports import Report
from cri_resmgr.kube.backoff import Backoff
from cri_resmgr.kube.clients import Client
from cri_resmgr.kube.errors import ApiError, Conflict, NotFound, Unavailable
from cri_resmgr.observe.limiting import Limiter

WAITING_LIMIT = 256
KNOWN_LIMIT = 1024
BACKOFF = Backoff(first_s=1.0, last_s=60.0)
COMPLAIN_S = 600.0
_WHAT = "events"

log = structlog.get_logger("resource-manager-agent")


@dataclass(slots=True)
class Allowance:
    """`burst` at once, and one more every `every_s`."""

    burst: int = 20
    every_s: float = 5.0
    full_s: float = 0.0
    """When all of the burst is there again, on the clock of whoever asks."""

    def wait_s(self, now_s: float) -> float:
        """How long to wait for the next."""
        return max(0.0, self.full_s - now_s - (self.burst - 1) * self.every_s)

    def take(self, now_s: float) -> None:
        """One is used."""
        self.full_s = max(self.full_s, now_s) + self.every_s


@dataclass(slots=True)
class Counters:
    """Events since the start, by what became of them."""

    written: int = 0
    repeated: int = 0
    refused: int = 0
    dropped: int = 0


class Reporter:
    """Belongs to the event loop; `instance` is the node's name."""

    def __init__(
        self,
        client: Client,
        *,
        instance: str,
        allowance: Allowance | None = None,
        backoff: Backoff = BACKOFF,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client, self._instance, self._backoff, self._clock = client, instance, backoff, clock
        self._allowance = allowance or Allowance()
        self._waiting: OrderedDict[str, Report] = OrderedDict()
        self._counts: OrderedDict[str, int] = OrderedDict()
        """Of Events that are there as far as we know: how often they have been told."""
        self._writing = ""
        self._news = asyncio.Event()
        self._limiter = Limiter(COMPLAIN_S)
        self.counters = Counters()

    @property
    def idle(self) -> bool:
        """Everything that was to be told has been."""
        return not self._waiting and not self._writing

    def report(self, report: Report) -> None:
        """Tell it soon."""
        if report.name not in self._waiting and len(self._waiting) >= WAITING_LIMIT:
            self._waiting.popitem(last=False)
            self.counters.dropped += 1
        self._waiting[report.name] = report
        self._news.set()

    async def run(self) -> NoReturn:
        """Write until cancelled."""
        failures = 0
        while True:
            while not self._waiting:
                self._news.clear()
                await self._news.wait()
            await asyncio.sleep(self._allowance.wait_s(_now_s()))
            error = await self._write_next()
            failures = failures + 1 if error else 0
            await asyncio.sleep(max(self._backoff.delay_s(failures), error.retry_after_s if error else 0.0))

    async def _write_next(self) -> Unavailable | None:
        """Write the one that waits for longest; it waits on if nobody can take it now."""
        name, report = self._waiting.popitem(last=False)
        self._writing = name
        try:
            await self._write(name, report)
        except Unavailable as error:
            self._client.outages.failed(_WHAT, error)
            self._waiting.setdefault(name, report)  # unless there is a later word already
            self._waiting.move_to_end(name, last=False)
            return error
        except ApiError as error:
            self._refused(report, error)
        else:
            self._client.outages.over(_WHAT)
        finally:
            self._writing = ""
        return None

    async def _write(self, name: str, report: Report) -> None:
        known = self._counts.get(name, 0)
        if report.count and report.count == known:
            return
        self._allowance.take(_now_s())
        count = report.count or known + 1
        if known:
            try:
                await self._repeat(report, count)
            except NotFound:  # Events live for an hour
                await self._create(report, count)
        elif not await self._create(report, count):
            await self._repeat(report, report.count or 2)
        self._counts[name] = count
        self._counts.move_to_end(name)
        if len(self._counts) > KNOWN_LIMIT:
            self._counts.popitem(last=False)

    async def _create(self, report: Report, count: int) -> bool:
        """Make it; False if it is there."""
        body = reports.event(report, instance=self._instance, count=count, now_s=self._clock())
        try:
            await self._client.create(report.resource, body)
        except Conflict:
            return False
        self.counters.written += 1
        return True

    async def _repeat(self, report: Report, count: int) -> None:
        """Say how often it has happened; once is what an Event without a number means."""
        if count > 1:
            await self._client.merge_patch(report.resource, report.name, reports.series(count, self._clock()))
            self.counters.repeated += 1

    def _refused(self, report: Report, error: ApiError) -> None:
        self.counters.refused += 1
        if (missed := self._limiter.turn(type(error).__name__)) is not None:
            level = log.info if isinstance(error, NotFound) else log.warning  # a namespace that is gone
            level("event.refused", reason=report.reason, about=report.about.name, error=str(error), missed=missed)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
