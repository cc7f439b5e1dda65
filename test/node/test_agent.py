"""The agent between a real API server and a real daemon: what is said in the cluster comes true on the node."""

import json
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from equipment.cri import CriClient
from node.agents import BATCH, DEFAULT, NAMESPACE, NODE, NONE, OWN, PINNED, WRONG, Scene, metrics, scene, settle_cpu_s
from node.kube_fixtures import *  # noqa: F403 - a fixture, as if it stood here
from unit.cli.daemons import run_pod

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_go, pytest.mark.timeout(300)]

MEMORY_LIMIT_MIB = 80
IDLE_S = 5.0


@pytest.fixture(name="here")
def _here(api_server, tmp_path):
    with scene(api_server, tmp_path) as made:
        yield made


def test_a_change_is_applied_within_a_moment_and_an_agent_costs_little(here: Scene):
    here.configmap(DEFAULT, NONE)
    here.agent.start()
    here.wait_used(DEFAULT, "none")
    changes = [(PINNED, "topology-aware"), (NONE, "none"), (PINNED, "topology-aware")]
    took_s = [here.applied_s(DEFAULT, data, policy) for data, policy in changes]
    print("ConfigMap change to applied, seconds:", [round(s, 2) for s in took_s])
    here.agent.wait_ready("is in use")
    idle_s = settle_cpu_s(here.agent.process, IDLE_S)
    resident_mib = here.agent.process.memory_info().rss / (1 << 20)
    print(f"agent: {resident_mib:.1f} MiB resident, {100 * idle_s / IDLE_S:.1f} % of a CPU while idle")
    assert resident_mib <= MEMORY_LIMIT_MIB


def test_its_own_comes_first_then_that_of_its_group_or_the_default(here: Scene):
    here.configmap(DEFAULT, NONE)
    here.configmap(BATCH, PINNED)
    here.agent.start()
    here.wait_used(DEFAULT)
    here.node("batch")
    here.wait_used(BATCH, "topology-aware")
    here.configmap(OWN, NONE)
    here.wait_used(OWN, "none")
    here.drop(OWN)
    here.wait_used(BATCH)
    here.node(None)
    here.wait_used(DEFAULT)


def test_without_any_the_daemon_keeps_what_it_has(here: Scene):
    here.configmap(DEFAULT, PINNED)
    here.agent.start()
    here.wait_used(DEFAULT)
    here.drop(DEFAULT)
    here.agent.wait_ready(f"neither {OWN} nor {DEFAULT}: the daemon keeps what it has")
    assert here.uses(DEFAULT)
    assert here.status()["policy"] == "topology-aware"


def test_what_is_wrong_changes_nothing_and_is_seen_with_kubectl(here: Scene):
    here.configmap(DEFAULT, PINNED)
    here.agent.start()
    here.agent.wait_ready()
    here.configmap(DEFAULT, WRONG)
    text = here.agent.wait_unready("ballons")
    assert text.startswith(f"configuration: rejected: {NAMESPACE}/{DEFAULT}: line 1 of policy: policy.Active")
    assert here.agent.probe("-query", "config-status") == (1, f"health check negative: {text}")
    assert here.agent.probe() == (0, "Health check OK\nok\n")
    assert here.status()["config"] | {"digest": ""} == {"source": f"{NAMESPACE}/{DEFAULT}", "digest": "", "error": ""}
    assert here.status()["policy"] == "topology-aware"
    event = here.wait_event("ConfigRejected", "ballons")
    assert event["regarding"] == {"kind": "Node", "name": NODE, "uid": NODE, "apiVersion": "v1"}
    here.configmap(DEFAULT, PINNED)
    here.agent.wait_ready("is in use")
    assert here.agent.probe("-query", "config-status")[1].startswith("Health check OK\nconfiguration: ")


def test_what_the_daemon_refuses_is_told_in_its_words(here: Scene):
    here.configmap(DEFAULT, NONE)
    here.agent.start()
    here.agent.wait_ready()
    here.configmap(DEFAULT, {"policy": "Active: topology-aware\nReservedResources: {CPU: 'cpuset:4000'}\n"})
    text = here.agent.wait_unready("4000")
    assert f"rejected: {NAMESPACE}/{DEFAULT}: " in text
    here.wait_event("ConfigRejected", "4000")
    here.configmap(DEFAULT, PINNED)
    here.agent.wait_ready()
    assert here.wait_event("ConfigApplied", "policy topology-aware")["type"] == "Normal"


def test_what_happens_to_a_container_is_an_event_of_its_pod_and_told_once(here: Scene):
    here.configmap(DEFAULT, PINNED)
    here.agent.start()
    here.agent.wait_ready()
    here.configmap(DEFAULT, {"policy": "Active: topology-aware\nReservedResources: {CPU: 'cpuset:4000'}\n"})
    name = here.wait_event("ConfigRejected", "4000")["metadata"]["name"]
    here.agent.wait((here.root / "cri-resmgr-agent.events").exists, "the events to be remembered")
    here.agent.kill()
    here.agent.start()
    here.agent.wait_unready("4000")
    here.agent.kill()
    (here.root / "cri-resmgr-agent.events").unlink()
    here.agent.start()
    here.agent.wait_unready("4000")
    here.agent.wait((here.root / "cri-resmgr-agent.events").exists, "the events to be remembered")
    (event,) = here.events("ConfigRejected")
    assert event["metadata"]["name"] == name
    assert event["series"]["count"] == 3, "each agent has asked once"


def test_logs_and_dump_are_switched_while_it_runs(here: Scene):
    here.configmap(DEFAULT, NONE)
    here.agent.start()
    here.wait_used(DEFAULT)
    with CriClient(here.daemon.socket) as client:
        here.configmap(DEFAULT, {**NONE, "logger": "Debug: '*'\n", "dump": "Config: 'full:.*'\n"})
        here.wait_told("config.in_use", 2)
        run_pod(client)
        here.daemon.wait_log("RunPodSandbox")
        here.daemon.wait_log(" D [")
        here.configmap(DEFAULT, {**NONE, "dump": "Config: 'off:.*'\n"})
        here.wait_told("config.in_use", 3)
        said = len(here.daemon.log())
        run_pod(client, "later")
        here.status()
    after = here.daemon.log()[said:]
    assert " D [" not in after
    assert "RunPodSandbox" not in after


def test_a_node_that_promises_more_than_the_policy_has_is_warned_of(here: Scene):
    here.node(cpu="64")
    here.configmap(DEFAULT, PINNED)
    here.agent.start()
    here.wait_event("CapacityBelowAllocatable", "promises 64000m")
    assert "capacity: the Node promises 64000m CPU" in here.agent.wait_ready("capacity")
    here.node(cpu="1")
    here.agent.wait(lambda: "capacity" not in here.agent.ready()[1], "no warning")


def test_prometheus_gets_agent_daemon_and_installer_in_one_text_without_doubles(here: Scene):
    installer = here.root / "metrics.prom"
    installer.write_text("# HELP cri_resmgr_installer_state S.\n# TYPE cri_resmgr_installer_state gauge\n"
                         'cri_resmgr_installer_state{state="installed"} 1\n'
                         "# TYPE cri_resmgr_build_info gauge\ncri_resmgr_build_info 2\nnonsense\n")  # fmt: skip
    here.configmap(DEFAULT, PINNED)
    agent = here.another("-installer-metrics", str(installer))
    agent.start()
    agent.wait_ready("is in use")
    text = metrics(agent.port)
    families = [family.name for family in text_string_to_metric_families(text)]
    assert len(families) == len(set(families))
    assert {"cri_resmgr_agent_ready", "cri_resmgr_pool_shared_cpus", "cri_resmgr_installer_state"} <= set(families)
    assert re.search(r"^cri_resmgr_agent_ready 1$", text, re.MULTILINE)
    assert re.search(r"^cri_resmgr_build_info\{version=.* 1$", text, re.MULTILINE)
    assert "nonsense" not in text
    assert json.dumps(families).count("process_resident_memory_bytes") == 2  # the daemon's, and the agent's own
