"""What Prometheus gets from this node: the agent's own metrics, the daemon's, and the installer's.

Daemon and installer can only be reached on the node itself; the agent has a port in the cluster.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cri_resmgr import __version__
from cri_resmgr.agent.capacity import Capacity
from cri_resmgr.agent.families import merged
from cri_resmgr.agent.following import Following
from cri_resmgr.agent.pushing import Pusher
from cri_resmgr.agent.reporting import Reporter
from cri_resmgr.agent.standing import Standing
from cri_resmgr.errors import Degraded
from cri_resmgr.observe.exposition import CONTENT_TYPE, head, labels, sample
from cri_resmgr.observe.gauges import of_process
from cri_resmgr.observe.http import Answer

FILE_LIMIT_BYTES = 256 << 10
_PREFIX = "cri_resmgr_agent"


@dataclass(frozen=True, slots=True)
class Parts:
    """Whose numbers the agent's own are."""

    standing: Standing
    following: Following
    pusher: Pusher
    reporter: Reporter
    capacity: Capacity


class Scrape:
    """`answer` is a route; `daemon` asks for the daemon's text, `others` make those of further parts of the agent."""

    def __init__(
        self,
        parts: Parts,
        *,
        daemon: Callable[[], Awaitable[str]],
        installer: Path,
        others: Sequence[Callable[[], str]] = (),
    ) -> None:
        self._parts, self._daemon, self._installer, self._others = parts, daemon, installer, tuple(others)

    async def answer(self) -> Answer:
        """Everything as it is now; what cannot be had is left out."""
        ours = (text() for text in self._others)
        texts = [own(self._parts), *ours, await self._of_daemon(), self._of_installer()]
        return 200, CONTENT_TYPE, merged(texts).encode(errors="replace")

    async def _of_daemon(self) -> str:
        try:
            return await self._daemon() if self._parts.following.connected else ""
        except Degraded:  # `following` tells of a daemon that is away
            return ""

    def _of_installer(self) -> str:
        try:
            with self._installer.open("rb") as file:
                return file.read(FILE_LIMIT_BYTES).decode(errors="replace")
        except OSError:  # there need not be an installer
            return ""


def own(parts: Parts) -> str:
    """The agent's own metrics."""
    numbers = (*_of_configuration(parts), *_of_events(parts), *_of_capacity(parts), *_of_process())
    lines = (_metric(name, text, value) for name, text, value in numbers)
    build = f"{_PREFIX}_build_info"
    about = (
        f"{head(build, 'gauge', 'Always 1; the version is a label.')}{sample(build, 1, labels(version=__version__))}"
    )
    return "".join((*lines, about))


def _metric(name: str, text: str, value: float) -> str:
    full = f"{_PREFIX}_{name}"
    return f"{head(full, 'counter' if name.endswith('_total') else 'gauge', text)}{sample(full, value)}"


def _of_configuration(parts: Parts) -> Iterator[tuple[str, str, float]]:
    pushes, following = parts.pusher.counters, parts.following
    yield "ready", "1 if the readiness probe is content, 0 if not.", parts.standing.ready
    yield "daemon_connected", "1 if the daemon has answered the last question, 0 if not.", following.connected
    yield "daemon_complaints", "Reasons why the daemon is not healthy.", len(following.health)
    yield "config_rejected", "1 if the node's ConfigMap cannot be used, 0 if it can.", parts.pusher.rejected
    yield "config_pushes_total", "Configurations that were given to the daemon.", pushes.pushed
    yield "config_refused_total", "Configurations that the daemon has refused.", pushes.refused
    yield "config_invalid_total", "Configurations that were wrong before anybody was given them.", pushes.invalid


def _of_events(parts: Parts) -> Iterator[tuple[str, str, float]]:
    events = parts.reporter.counters
    yield "events_written_total", "Events made.", events.written
    yield "events_repeated_total", "Events told again.", events.repeated
    yield "events_refused_total", "Events that the API server did not take.", events.refused
    yield "events_dropped_total", "Events that were too many while the API server was away.", events.dropped


def _of_capacity(parts: Parts) -> Iterator[tuple[str, str, float]]:
    capacity = parts.capacity
    yield (
        "allocatable_cpus",
        "CPUs that the Node promises to pods, 0 if not known.",
        capacity.allocatable_millicpu / 1000,
    )
    yield "policy_cpus", "CPUs that the policy has, 0 if it does not say.", capacity.policy_millicpu / 1000
    yield "policy_reserved_cpus", "Of these, those that are reserved.", capacity.reserved_millicpu / 1000
    yield "capacity_short", "1 if the Node promises more CPUs than the policy has, 0 if not.", capacity.short


def _of_process() -> Iterator[tuple[str, str, float]]:
    """Under names of our own: the daemon's have the usual ones."""
    for gauge in of_process():
        value = gauge.read()
        if isinstance(value, int | float):
            yield gauge.name, f"{gauge.help.removesuffix('.')}, of the agent.", value
