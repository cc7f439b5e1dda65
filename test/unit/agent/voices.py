"""A voice that keeps what it says, and waiting for what becomes so."""

import asyncio
from collections.abc import Callable
from typing import Any

from cri_resmgr.agent.standing import Standing
from cri_resmgr.agent.voice import Voice


class Kept:
    """In place of a reporter: the reports as they come."""

    def __init__(self) -> None:
        self.reports: list[Any] = []
        self.idle = True

    def report(self, report: Any) -> None:
        """Keep it."""
        self.reports.append(report)

    def told(self) -> list[tuple[str, str]]:
        """Reasons and notes."""
        return [(str(report.reason), report.note) for report in self.reports]


def voice() -> tuple[Voice, Kept]:
    """A voice of node-1, and what it tells."""
    kept = Kept()
    return Voice("node-1", Standing(), kept), kept  # type: ignore[arg-type]


async def until(condition: Callable[[], object]) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.002)


async def turns(count: int = 20) -> None:
    """Let everybody who can do something do it."""
    for _ in range(count):
        await asyncio.sleep(0)
