"""Adjustments from the agent's socket to the runtime's, and what `explain` and `status` say of them."""

import json

import grpc
import pytest

from cri_resmgr.cli import main as main_
from cri_resmgr.config import protocol
from cri_resmgr.values.adjustments import Adjusted, Adjustment, Effect, Scope, Statement
from cri_resmgr.values.resources import Assignment, Resources
from cri_resmgr.values.workloads import Container, Pod, State
from equipment.agent import Agent
from equipment.processes import wait_for
from unit.cli.daemons import run_pod
from unit.cli.stores import kept

MI = 1 << 20
EFFECT = Effect(cpu_limit_millicpu=1500, memory_limit_bytes=64 * MI, rdt_class="gold")
NOT_APPLIED = "not applied on this node: RDT class 'gold': there is no rdt controller"


def in_web(name: str, **effect: int | str) -> Adjustment:
    return Adjustment(name, (Scope((), (Statement("pod/name", "Equals", ("web",)),)),), Effect(**effect))


@pytest.fixture(name="agent")
def _agent(daemon):
    with Agent(daemon.config_socket) as made:
        yield made


def told(capsys, *words: str) -> str:
    assert main_.main(words) == 0
    return capsys.readouterr().out


def test_they_reach_the_runtime_and_the_status_and_outlive_the_daemon(daemon, runtime, agent, capsys):
    daemon.start()
    with daemon.client() as client:
        _, container = run_pod(client)
        assert agent.adjust([in_web("more", cpu_request_millicpu=2000, rdt_class="gold")], "d1") == {
            "more": {"more": NOT_APPLIED}
        }
    has = runtime.containers[container].has
    wait_for(lambda: has.cpu_shares == 2048, "the runtime to be told", 30)
    said = {"digest": "d1", "in_force": 1, "errors": {"more": {"more": NOT_APPLIED}}}
    assert agent.status()["adjustments"] == said
    assert "\ncri_resmgr_adjustments 1\n" in agent.metrics()
    assert "\ncri_resmgr_adjustments_amiss 1\n" in agent.metrics()
    daemon.kill()
    daemon.start()
    assert agent.status()["adjustments"] == {**said, "digest": ""}
    directory = f"--relay-dir={daemon.relay_dir}"
    (explained,) = json.loads(told(capsys, "explain", directory, "--output=json", "web:c"))
    assert explained["adjustment"] == {
        "by": "more",
        "cpu_request_millicpu": 2000,
        "rdt_class": "gold",
        "not_applied": NOT_APPLIED,
    }
    assert (explained["asked"]["cpu_shares"], explained["effective"]["cpu_shares"]) == (512, 2048)
    found = json.loads(told(capsys, "status", directory, "--output=json"))["adjustments"]
    assert found == {"in_force": {"more": ["/web:c"]}, "errors": {"more": {"more": NOT_APPLIED}}}
    assert agent.adjust([], "d2") == {}
    wait_for(lambda: has.cpu_shares == 512, "the runtime to be told", 30)


def test_two_for_one_container_are_refused_with_its_id(daemon, runtime, agent):
    daemon.start()
    with daemon.client() as client:
        _, container = run_pod(client)
        conflict = {container: "cache: conflicting adjustments for web:c: one,two"}
        assert agent.adjust([in_web("two"), in_web("one")]) == {"one": conflict, "two": conflict}
        assert agent.status()["adjustments"]["in_force"] == 0
    assert "adjustments.rejected" in daemon.log()


def test_what_is_no_message_is_refused_as_such(daemon, runtime, agent):
    daemon.start()
    with pytest.raises(grpc.RpcError) as refused:
        agent.ask(protocol.SET_ADJUSTMENTS, b"\xff")
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_people_read_who_adjusts_a_container_and_how(tmp_path, capsys):
    container = Container(
        "p1",
        "app",
        0,
        id="0123456789abcdef",
        state=State.RUNNING,
        asked=Resources(cpu_shares=512, memory_limit_bytes=128 * MI),
        told=Assignment(cpu_quota_us=150_000, cpu_period_us=100_000, memory_limit_bytes=64 * MI),
        adjustment=Adjusted("external", EFFECT),
    )
    with kept(tmp_path, [Pod("p1", "web", "shop", "u1")], [container]) as store:
        store.set("adjustments", json.dumps([["external", '{"effect":{},"scopes":[]}']]))
        store.set("adjustment-errors", json.dumps({"external": {"external": NOT_APPLIED}}))
        text = told(capsys, "explain", f"--relay-dir={tmp_path}", "web:app")
        status = told(capsys, "status", f"--relay-dir={tmp_path}")
    assert "  adjusted    by external: CPU limit 1500m, memory limit 64Mi, RDT class gold\n" in text
    assert f"              {NOT_APPLIED[:40]}" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["limit", "128Mi", "64Mi"] in rows
    assert ["quota", "-", "150000/100000"] in rows
    assert "pending" not in status
    assert "adjusted    external (1 container)\n" in status
    assert "[external]" in status
