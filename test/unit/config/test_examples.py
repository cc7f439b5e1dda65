"""What users copy from examples/ is right, and does what its comments say."""

import json
from pathlib import Path

import pytest
import yaml

from cri_resmgr.cli import main
from cri_resmgr.config import check, dumprules
from cri_resmgr.config.dumprules import Level
from cri_resmgr.config.settings import CpuConstraint

EXAMPLES = Path(__file__).parents[3] / "examples"
POLICIES = {
    "cri-full-message-dump.cfg": "none",
    "fallback.cfg": "none",
    "memtier-policy.cfg": "memtier",
    "topology-aware-policy.cfg": "topology-aware",
}
TIERED_MACHINE = """\
packages: 2
cores: 4
memory: 4Gi
memoryNodes:
- {memory: 16Gi, kind: pmem, near: 0}
- {memory: 16Gi, kind: pmem, near: 1}
"""
TIERED_POD = """\
- create:
    pod: cache
    annotations:
      memory-type.cri-resource-manager.intel.com/container.app: dram,pmem
      cold-start.cri-resource-manager.intel.com/container.app: "{duration: 60s}"
    containers: [{name: app, requests: {cpu: 2, memory: 6Gi}, limits: {cpu: 2, memory: 6Gi}}]
- start: {pod: cache}
- wait: 60s
"""
CONFIG_MAPS = list(yaml.safe_load_all((EXAMPLES / "cri-resmgr-configmap.example.yaml").read_text()))


def settings(name):
    return check.settings(check.read(str(EXAMPLES / name)), name)


def of_config_map(name):
    (found,) = (one for one in CONFIG_MAPS if one["metadata"]["name"] == name)
    return check.settings_of_sections(found["data"], name)


def test_every_example_is_looked_at_here():
    assert {path.name for path in EXAMPLES.glob("*.cfg")} == set(POLICIES)


@pytest.mark.parametrize(("name", "policy"), POLICIES.items())
def test_an_example_is_right_and_has_nothing_to_be_told_about(name, policy):
    given = settings(name)
    assert (given.policy.active, given.notes) == (policy, ())


def test_the_full_message_dump_dumps_every_message():
    rules = dumprules.parse(settings("cri-full-message-dump.cfg").dump.rules)
    assert {dumprules.level_of(rules, name) for name in ("Version", "ListImages", "CreateContainer")} == {Level.FULL}


def test_the_fallback_names_the_calls_that_change_pods():
    rules = dumprules.parse(settings("fallback.cfg").dump.rules)
    levels = {name: dumprules.level_of(rules, name) for name in ("CreateContainer", "ListContainers", "RemoveImage")}
    assert levels == {"CreateContainer": Level.SHORT, "ListContainers": Level.OFF, "RemoveImage": Level.OFF}


def test_topology_aware_reserves_a_cpu_and_takes_more_namespaces_for_it():
    policy = settings("topology-aware-policy.cfg").policy
    assert (policy.available, policy.reserved) == (None, CpuConstraint(millicpu=750))
    assert policy.options["reserved_pool_namespaces"] == ["kube-system", "monitoring-*"]


@pytest.mark.parametrize("name", ["memtier-policy.cfg", "topology-aware-policy.cfg"])
def test_a_pod_gets_memory_of_the_kinds_that_the_comments_say(name, tmp_path, capsys):
    (tmp_path / "machine.yaml").write_text(TIERED_MACHINE)
    (tmp_path / "scenario.yaml").write_text(TIERED_POD)
    files = ["-config", str(EXAMPLES / name), "-machine", str(tmp_path / "machine.yaml")]
    assert main.main(["simulate", *files, "-output", "json", str(tmp_path / "scenario.yaml")]) == 0
    cold, started, warm = (step["containers"]["cache:app"]["mems"] for step in json.loads(capsys.readouterr().out))
    assert (cold, started, warm) == ("3", "3", "1,3")


def test_there_is_a_config_map_of_each_kind_where_the_agent_looks():
    assert [(one["kind"], one["metadata"]["namespace"], one["metadata"]["name"]) for one in CONFIG_MAPS] == [
        ("ConfigMap", "kube-system", "cri-resmgr-config.default"),
        ("ConfigMap", "kube-system", "cri-resmgr-config.group.batch"),
        ("ConfigMap", "kube-system", "cri-resmgr-config.node.worker-1"),
    ]


def test_the_config_maps_say_what_their_comments_say():
    default = of_config_map("cri-resmgr-config.default").policy
    assert (default.active, default.reserved, default.options["pin_cpu"]) == (
        "topology-aware",
        CpuConstraint(millicpu=750),
        True,
    )
    batch = of_config_map("cri-resmgr-config.group.batch").policy.options
    assert (batch["pin_cpu"], batch["pin_memory"]) == (False, False)
    node = of_config_map("cri-resmgr-config.node.worker-1")
    assert (node.policy.active, node.dump.rules, node.instrumentation.prometheus_export) == ("none", "full:.*", True)
