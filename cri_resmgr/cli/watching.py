"""Where the daemon may be watched: metrics and health, on a unix socket or a localhost port."""

from collections.abc import Callable, Sequence

from cri_resmgr import __version__
from cri_resmgr.cli.flags import Flags
from cri_resmgr.cli.node import Node
from cri_resmgr.config import endpoints
from cri_resmgr.config.settings import Settings
from cri_resmgr.observe import gauges
from cri_resmgr.observe.gauges import Gauge
from cri_resmgr.observe.http import Route, Server, health
from cri_resmgr.observe.metrics import Metrics


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
    return reasons


def _gauges(node: Node) -> tuple[Gauge, ...]:
    decisions, ledger = node.decider.counters, node.book.ledger
    return (
        *gauges.of_state(ledger, node.store, node.writer),
        Gauge("cri_resmgr_decisions_total", "Decisions that the policy has made.", lambda: decisions.decided),
        Gauge("cri_resmgr_decisions_refused_total", "Containers that did not fit.", lambda: decisions.refused),
        Gauge("cri_resmgr_decisions_failed_total", "Questions that broke the policy.", lambda: decisions.failed),
        Gauge("cri_resmgr_reconcile_rounds_total", "Comparisons with the runtime.", lambda: node.reconciler.rounds),
        Gauge("cri_resmgr_dump_dropped_total", "Messages too fast for their dump.", lambda: node.dumper.dropped),
        *gauges.of_process(),
    )
