"""What operators get in a shoot's namespace of the seed: scrape configuration, alerts, dashboard."""

from collections.abc import Iterable

from cri_resmgr.errors import BadInput
from cri_resmgr.kube.resources import Object
from extension.rendering import templates

FOLDER = "internal/cri-resmgr-installation/monitoring"
PARTS = ("scrapeConfig", "prometheusRule", "dashboard")
RUNBOOKS = "https://github.com/gardener/gardener-extension-cri-resmgr/blob/main/docs/alerts.md"


def monitoring(namespace: str, parts: Iterable[str]) -> tuple[Object, ...]:
    """The objects of some of PARTS.  Raises BadInput for another one."""
    wanted = set(parts)
    if unknown := sorted(wanted - set(PARTS)):
        raise BadInput(f"monitoring: there is no {unknown[0]!r}; there are {', '.join(PARTS)}")
    dashboard = (templates.CHARTS / FOLDER / "dashboard.json").read_text("utf-8")
    values = {"namespace": namespace, "parts": wanted, "runbooks": RUNBOOKS, "dashboard": dashboard}
    return tuple(templates.rendered(FOLDER, values))
