"""Where the daemon may be watched: metrics and health, on a unix socket or a localhost port."""

from collections.abc import Callable, Sequence
from functools import partial

from cri_resmgr import __version__
from cri_resmgr.cli.flags import Flags
from cri_resmgr.cli.node import Node
from cri_resmgr.config import endpoints
from cri_resmgr.config.settings import Settings
from cri_resmgr.observe import gauges
from cri_resmgr.observe.gauges import Gauge
from cri_resmgr.observe.http import Route, Server, health
from cri_resmgr.observe.metrics import Metrics
from cri_resmgr.policies.contract import Pool


class Watching:
    """One HTTP server, or none; `apply` moves it where new settings want it."""

    def __init__(self, flags: Flags, node: Node, *, reasons: Callable[[], Sequence[str]]) -> None:
        self._flags = flags
        self._metrics = Metrics(node.counters, gauges=_gauges(node), version=__version__)
        self._routes: dict[str, Route] = {"/healthz": health(reasons)}
        self._address = ""
        self._server: Server | None = None

    async def apply(self, settings: Settings) -> None:
        """Serve where flags or settings say; raises `BadInput` and goes on as before where that is not possible."""
        said = settings.instrumentation
        address = self._flags.metrics_address or said.http_endpoint
        if address != self._address:
            endpoint = endpoints.parse(address)
            server = Server(endpoint, self._routes) if endpoint else None
            if server is not None:
                await server.start()
            await self.close()
            self._server, self._address = server, address
        self._routes.pop("/metrics", None)
        if self._flags.metrics_address or said.prometheus_export:
            self._routes["/metrics"] = self._metrics.answer

    def text(self) -> str:
        """The metrics, in Prometheus' text format."""
        return self._metrics.text()

    async def close(self) -> None:
        """Listen no more."""
        server, self._server = self._server, None
        if server is not None:
            await server.close()


def unhealthy(node: Node) -> list[str]:
    """Why the node's daemon is not as it should be."""
    reasons = []
    if node.writer.last_error is not None:
        reasons.append(f"store: {node.writer.last_error}")
    if not node.reconciler.healthy:
        reasons.append("the ledger has not been compared with the runtime: it does not answer")
    if node.decider.stale:
        reasons.append(f"policy {node.decider.policy.name}: it could not begin with what runs; the log says why")
    if node.drift.unrepaired:
        reasons.append(
            f"{node.drift.unrepaired} containers are not on the CPUs that were decided, though the runtime was told"
        )
    return reasons + node.enforcer.complaints()


def _gauges(node: Node) -> tuple[Gauge, ...]:
    return (
        *gauges.of_state(node.book.ledger, node.store, node.writer),
        *_of_decisions(node),
        *_of_enforcement(node),
        *gauges.of_pools(partial(_pools, node), node.book.ledger),
        Gauge("cri_resmgr_adjustments", "Adjustments in force.", lambda: len(node.adjuster)),
        Gauge(
            "cri_resmgr_adjustments_amiss",
            "Adjustments not in force, or only in part.",
            lambda: len(node.adjuster.errors),
        ),
        Gauge("cri_resmgr_events_total", "What an operator must know, by kind.", lambda: node.events.counts, "kind"),
        Gauge("cri_resmgr_reconcile_rounds_total", "Comparisons with the runtime.", lambda: node.reconciler.rounds),
        Gauge("cri_resmgr_dump_dropped_total", "Messages too fast for their dump.", lambda: node.dumper.dropped),
        *gauges.of_process(),
    )


def _pools(node: Node) -> Sequence[Pool]:
    return node.decider.policy.pools(node.decider.state) if node.decider.begun else ()


def _of_decisions(node: Node) -> tuple[Gauge, ...]:
    said = node.decider.counters
    return (
        Gauge("cri_resmgr_decisions_total", "Decisions that the policy has made.", lambda: said.decided),
        Gauge("cri_resmgr_decisions_refused_total", "Containers that did not fit.", lambda: said.refused),
        Gauge("cri_resmgr_decisions_failed_total", "Questions that broke the policy.", lambda: said.failed),
        Gauge("cri_resmgr_decisions_passed_total", "Containers that passed without a decision.", lambda: said.passed),
        Gauge("cri_resmgr_containers_unplaced", "Containers that run without a decision.", lambda: len(node.unplaced)),
    )


def _of_enforcement(node: Node) -> tuple[Gauge, ...]:
    updates, drift = node.enforcer.counters, node.drift
    return (
        Gauge("cri_resmgr_updates_sent_total", "Updates of ours that the runtime has taken.", lambda: updates.sent),
        Gauge("cri_resmgr_updates_failed_total", "Updates of ours that failed.", lambda: updates.failed),
        Gauge("cri_resmgr_updates_waited_total", "Calls that waited for updates of others.", lambda: updates.waited),
        Gauge("cri_resmgr_updates_uncleared_total", "Calls that waited in vain.", lambda: updates.uncleared),
        Gauge(
            "cri_resmgr_updates_queued", "Containers that the runtime must be told about.", lambda: len(node.enforcer)
        ),
        Gauge("cri_resmgr_drift_rounds_total", "Looks at the CPUs of all containers.", lambda: drift.counters.rounds),
        Gauge(
            "cri_resmgr_drift_found_total",
            "Containers found on CPUs or nodes of another.",
            lambda: drift.counters.found,
        ),
        Gauge("cri_resmgr_drift_repaired_total", "Of these, those put right.", lambda: drift.counters.repaired),
        Gauge("cri_resmgr_drift_failed_total", "Of these, those that could not be.", lambda: drift.counters.failed),
        Gauge("cri_resmgr_drift_unrepaired", "Containers that are not where they should be.", lambda: drift.unrepaired),
    )
