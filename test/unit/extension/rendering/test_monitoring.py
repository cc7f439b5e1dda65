"""What operators get goes together with what the node's parts say, and with its runbooks.

Whether an alert fires when it should is in test/garden/test_monitoring.py.
"""

import json
import re
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from cri_resmgr.agent import metrics as agent_metrics
from cri_resmgr.errors import BadInput
from extension.rendering import managed
from extension.rendering.monitoring import PARTS, RUNBOOKS, monitoring

RUNBOOK = Path("docs/alerts.md")
NAME = re.compile(r"\bcri_resmgr_[a-z_]+\b")
SUFFIXES = ("_bucket", "_sum", "_count")
SOURCES = [*Path("cri_resmgr").rglob("*.py"), *Path("installer").rglob("*.py")]


def said() -> dict[str, Any]:
    return {each["kind"]: each for each in monitoring("shoot--a--b", PARTS)}


def alerts() -> list[dict[str, Any]]:
    return [rule for group in said()["PrometheusRule"]["spec"]["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return json.loads(said()["ConfigMap"]["data"]["cri-resmgr.json"])["panels"]


def known() -> set[str]:
    """Every metric that is in the sources of daemon, agent and installer."""
    names = set(chain.from_iterable(NAME.findall(path.read_text()) for path in SOURCES))
    own = re.findall(r'"([a-z_]+)",', Path(agent_metrics.__file__).read_text())
    process = re.findall(r'"(process_[a-z_]+)"', Path("cri_resmgr/observe/gauges.py").read_text())
    return names | {f"cri_resmgr_agent_{name}" for name in (*own, *process, "build_info")}


def used(text: str) -> set[str]:
    found = set(NAME.findall(text))
    return {next((name.removesuffix(end) for end in SUFFIXES if name.endswith(end)), name) for name in found}


def test_every_metric_of_alerts_and_dashboard_is_one_that_is_exposed():
    expressions = [alert["expr"] for alert in alerts()]
    expressions += [target["expr"] for panel in panels() for target in panel["targets"]]
    wanted = used("\n".join(expressions))
    assert len(wanted) > 10
    assert wanted - known() == set()


def test_every_alert_has_a_runbook_and_every_runbook_an_alert():
    sections = re.findall(r"^## (.+)$", RUNBOOK.read_text(), re.MULTILINE)
    assert sections == [alert["alert"] for alert in alerts()]
    for alert in alerts():
        assert alert["annotations"]["runbook_url"] == f"{RUNBOOKS}#{alert['alert'].lower()}"


def test_every_alert_says_which_node_it_is_about_and_how_bad_it_is():
    for alert in alerts():
        assert "{{ $labels.node }}" in alert["annotations"]["summary"]
        assert alert["labels"]["severity"] in {"critical", "warning"}
        assert alert["labels"]["type"] == "shoot"


def test_what_the_issue_names_has_an_alert():
    names = {alert["alert"].removeprefix("CriResmgr") for alert in alerts()}
    assert {"Bypassed", "Degraded", "Rejected", "Drifted", "RolledBack", "ConfigRefused"} <= names


def test_the_agents_are_scraped_through_the_shoots_api_server_and_only_ours_is_kept():
    spec = said()["ScrapeConfig"]["spec"]
    assert spec["kubernetesSDConfigs"][0]["apiServer"] == "https://kube-apiserver"
    paths = [each["replacement"] for each in spec["relabelings"] if each.get("targetLabel") == "__metrics_path__"]
    assert paths == ["/api/v1/namespaces/kube-system/pods/${1}:${2}/proxy/metrics"]
    assert spec["metricRelabelings"][0] == {"action": "keep", "sourceLabels": ["__name__"], "regex": "cri_resmgr_.+"}


def test_everything_is_found_by_the_shoots_prometheus_and_dashboards():
    for kind, thing in said().items():
        labels = (
            {"dashboard.monitoring.gardener.cloud/shoot": "true"} if kind == "ConfigMap" else {"prometheus": "shoot"}
        )
        assert thing["metadata"]["labels"] == labels
        assert thing["metadata"]["namespace"] == "shoot--a--b"


@pytest.mark.parametrize("part", PARTS)
def test_each_part_can_be_had_alone(part):
    (thing,) = monitoring("n", [part])
    assert thing["kind"].lower() in {part.lower(), "configmap"}


def test_nothing_is_made_where_nothing_is_wanted():
    assert monitoring("n", []) == ()


def test_a_part_that_there_is_not_is_refused():
    with pytest.raises(BadInput, match="there is no 'alerts'; there are scrapeConfig, prometheusRule, dashboard"):
        monitoring("n", ["alerts"])


def test_the_seed_applies_it_and_it_counts_for_observability():
    secret, resource = managed.monitoring_resource(namespace="shoot--a--b", objects=monitoring("shoot--a--b", PARTS))
    assert resource["metadata"]["name"] == "extension-monitoring-cri-resmgr"
    assert resource["spec"]["class"] == "seed"
    assert "injectLabels" not in resource["spec"]
    assert "origin" not in resource["metadata"]["labels"]
    assert resource["metadata"]["labels"] == {"care.gardener.cloud/condition-type": "ObservabilityComponentsHealthy"}
    assert list(secret["data"]) == ["data"]
    assert resource["spec"]["secretRefs"] == [{"name": secret["metadata"]["name"]}]
