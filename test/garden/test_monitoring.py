"""Alerts fire when they should and only then, as Prometheus itself sees it; the seed takes what operators get."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from equipment import gardener
from equipment.charts import dry_run
from equipment.garden import Garden, define
from equipment.promtool import PromtoolError, promtool
from extension.rendering.monitoring import PARTS, monitoring

pytestmark = pytest.mark.needs_root
KINDS = ("monitoring.coreos.com_scrapeconfigs.yaml", "monitoring.coreos.com_prometheusrules.yaml")
INSTALLER = 'cri_resmgr_installer_state{state="%s"}'
WELL = {
    INSTALLER % "installed": "1x60",
    INSTALLER % "bypassed": "0x60",
    INSTALLER % "refused": "0x60",
    INSTALLER % "rolled_back": "0x60",
    "cri_resmgr_installer_forced": "0x60",
    "cri_resmgr_agent_daemon_complaints": "0x60",
    "cri_resmgr_agent_daemon_connected": "1x60",
    "cri_resmgr_agent_config_rejected": "0x60",
    "cri_resmgr_agent_capacity_short": "0x60",
    "cri_resmgr_containers_unplaced": "0x60",
    "cri_resmgr_store_healthy": "1x60",
    "cri_resmgr_drift_unrepaired": "0x60",
    "cri_resmgr_decisions_failed_total": "3x60",
    "cri_resmgr_decisions_refused_total": "5x60",
    'up{job="cri-resmgr-agent"}': "1x60",
}
CASES = {
    "CriResmgrBypassed": [{INSTALLER % "bypassed": "1x60"}],
    "CriResmgrRolledBack": [{INSTALLER % "rolled_back": "1x60"}],
    "CriResmgrNodeRefused": [{INSTALLER % "refused": "1x60"}],
    "CriResmgrDegraded": [
        {"cri_resmgr_agent_daemon_complaints": "2x60"},
        {"cri_resmgr_containers_unplaced": "1x60"},
        {"cri_resmgr_store_healthy": "0x60"},
        {"cri_resmgr_decisions_failed_total": "3+1x60"},
    ],
    "CriResmgrRejected": [{"cri_resmgr_decisions_refused_total": "5x25 6x35"}],
    "CriResmgrDrifted": [{"cri_resmgr_drift_unrepaired": "1x60"}],
    "CriResmgrConfigRefused": [{"cri_resmgr_agent_config_rejected": "1x60"}],
    "CriResmgrCapacityShort": [{"cri_resmgr_agent_capacity_short": "1x60"}],
    "CriResmgrDaemonAway": [{"cri_resmgr_agent_daemon_connected": "0x60"}],
    "CriResmgrAgentDown": [{'up{job="cri-resmgr-agent"}': "0x60"}],
}
LOOK = {"CriResmgrRejected": "35m", "CriResmgrCapacityShort": "50m"}


def rules() -> dict[str, Any]:
    (rule,) = (each for each in monitoring("shoot--a--b", PARTS) if each["kind"] == "PrometheusRule")
    return {each["alert"]: each for group in rule["spec"]["groups"] for each in group["rules"]}


def tried(directory: Path, series: dict[str, str], expected: dict[str, list[Any]], at: str) -> str:
    """What promtool says of the alerts that fire on one node with these series."""
    (rule,) = (each for each in monitoring("shoot--a--b", ["prometheusRule"]))
    (directory / "rules.yaml").write_text(yaml.safe_dump(rule["spec"]))
    labelled = {
        name.replace("{", '{node="n",') if "{" in name else f'{name}{{node="n"}}': values
        for name, values in series.items()
    }
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in labelled.items()],
        "alert_rule_test": [
            {"eval_time": at, "alertname": name, "exp_alerts": alerts} for name, alerts in expected.items()
        ],
    }
    content = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [test]}
    (directory / "tests.yaml").write_text(yaml.safe_dump(content))
    return promtool("test", "rules", directory / "tests.yaml")


def firing(alert: dict[str, Any]) -> list[Any]:
    """The alert on the node, with every value put into its text."""
    texts = {key: text.replace("{{ $labels.node }}", "n") for key, text in alert["annotations"].items()}
    labels = alert["labels"] | {"node": "n"}
    return [
        {
            "exp_labels": labels | ({"job": "cri-resmgr-agent"} if "up{" in alert["expr"] else {}),
            "exp_annotations": texts,
        }
    ]


def test_prometheus_can_read_every_expression(tmp_path):
    (rule,) = monitoring("shoot--a--b", ["prometheusRule"])
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rule["spec"]))
    assert f"SUCCESS: {len(rules())} rules found" in promtool("check", "rules", tmp_path / "rules.yaml")
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rule["spec"]).replace("max by", "maxx by"))
    with pytest.raises(PromtoolError):
        promtool("check", "rules", tmp_path / "rules.yaml")


def test_prometheus_can_read_every_panel_of_the_dashboard(tmp_path):
    (thing,) = monitoring("shoot--a--b", ["dashboard"])
    panels = json.loads(thing["data"]["cri-resmgr.json"])["panels"]
    expressions = [target["expr"].replace("$node", ".*") for panel in panels for target in panel["targets"]]
    recorded = [{"record": f"panel:{at}", "expr": expression} for at, expression in enumerate(expressions)]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))
    assert f"SUCCESS: {len(expressions)} rules found" in promtool("check", "rules", tmp_path / "rules.yaml")


def test_every_alert_is_tried():
    assert set(CASES) == set(rules())


def test_nothing_fires_on_a_node_that_is_well(tmp_path):
    for at in ("5m", "30m", "55m"):
        assert "SUCCESS" in tried(tmp_path, WELL, {name: [] for name in CASES}, at)


@pytest.mark.parametrize(("name", "change"), [(name, change) for name, changes in CASES.items() for change in changes])
def test_an_alert_fires_alone_when_it_should(tmp_path, name, change):
    expected = {other: firing(alert) if other == name else [] for other, alert in rules().items()}
    assert "SUCCESS" in tried(tmp_path, WELL | change, expected, LOOK.get(name, "29m"))


def test_a_daemon_that_listens_to_nobody_because_its_configuration_is_forced_is_not_away(tmp_path):
    series = WELL | {"cri_resmgr_installer_forced": "1x60", "cri_resmgr_agent_daemon_connected": "0x60"}
    assert "SUCCESS" in tried(tmp_path, series, {name: [] for name in CASES}, "29m")


def test_a_node_that_goes_without_a_daemon_on_purpose_is_not_told_twice(tmp_path):
    series = WELL | {INSTALLER % "refused": "1x60", "cri_resmgr_agent_daemon_connected": "0x60"}
    expected = {other: firing(alert) if other == "CriResmgrNodeRefused" else [] for other, alert in rules().items()}
    assert "SUCCESS" in tried(tmp_path, series, expected, "29m")


@pytest.mark.needs_go
def test_the_seed_takes_what_operators_get(garden: Garden):
    for name in KINDS:
        define(garden.seed.api, yaml.safe_load(gardener.original(name).read_text()))
    for each in monitoring("default", PARTS):
        taken = dry_run(garden.seed.api, each)
        assert taken["metadata"]["name"] == each["metadata"]["name"]
        if each["kind"] == "ConfigMap":
            assert json.loads(taken["data"]["cri-resmgr.json"])["title"] == "CRI Resource Manager"
