"""The agent gives configuration while the daemon runs: it is used, kept for the next start, or refused as a whole."""

import os
import signal
import stat

import grpc
import pytest

from cri_resmgr.config import protocol
from cri_resmgr.cri import methods
from cri_resmgr.wire.grpc import UNAVAILABLE
from doubles.runtime import StatusError
from equipment.agent import Agent
from unit.cli.daemons import run_pod

NONE = "policy: {Active: none}\n"
PINNED = "policy: {Active: topology-aware, ReservedResources: {CPU: 750m}}\n"
SOURCE = "kube-system/cri-resmgr-config.node.one"


@pytest.fixture(name="agent")
def _agent(daemon):
    with Agent(daemon.config_socket) as made:
        yield made


def cpus(runtime) -> list[str]:
    return [container.has.cpuset_cpus for container in runtime.containers.values()]


def test_the_socket_is_its_owners_and_groups_alone_and_goes_with_the_daemon(daemon, runtime):
    daemon.start()
    mode = daemon.config_socket.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o660
    assert daemon.stop() == 0
    assert not daemon.config_socket.exists()


@pytest.mark.parametrize("flags", [("--config-socket", "disabled"), ("--config-socket", "")])
def test_there_is_none_where_none_is_wanted(daemon, runtime, flags):
    daemon.start(*flags)
    assert not daemon.config_socket.exists()


def test_there_is_none_with_a_forced_configuration(daemon, runtime):
    daemon.config.write_text(NONE)
    daemon.start("--force-config", str(daemon.config))
    assert not daemon.config_socket.exists()


def test_a_policy_is_switched_while_containers_run_and_back(daemon, runtime, agent):
    daemon.start()
    with daemon.client() as client:
        run_pod(client)
        verdict = agent.push(PINNED, SOURCE)
        assert verdict.error == ""
        assert all(cpus(runtime))
        assert agent.status()["policy"] == "topology-aware"
        assert agent.status()["config"] == {"source": SOURCE, "digest": verdict.digest, "error": ""}
        run_pod(client, "later")
        assert all(cpus(runtime))
        assert agent.push(NONE).error == ""
        run_pod(client, "last")
    assert runtime.key_of("c").has.cpuset_cpus
    assert agent.status()["policy"] == "none"
    assert daemon.stop() == 0


def test_what_was_accepted_is_used_at_the_next_start_whatever_the_fallback_says(daemon, runtime, agent):
    daemon.config.write_text(NONE)
    fallback = ("--fallback-config", str(daemon.config))
    daemon.start(*fallback)
    assert agent.push(PINNED).error == ""
    daemon.kill()
    daemon.start(*fallback)
    assert agent.status()["policy"] == "topology-aware"
    assert daemon.stop() == 0
    daemon.start("--force-config", str(daemon.config))
    assert "policy=none" in daemon.log().rpartition("daemon.ready")[2]
    assert daemon.stop() == 0
    daemon.start(*fallback)  # a forced configuration has not made it forgotten
    assert agent.status()["policy"] == "topology-aware"


def test_when_the_agent_has_nothing_any_more_the_fallback_holds_now_and_later(daemon, runtime, agent):
    daemon.config.write_text(PINNED)
    fallback = ("--fallback-config", str(daemon.config))
    daemon.start(*fallback)
    assert agent.push(NONE).error == ""
    assert agent.push("").error == ""
    assert agent.status()["config"]["source"] == str(daemon.config)
    assert agent.status()["policy"] == "topology-aware"
    assert daemon.stop() == 0
    daemon.start(*fallback)
    assert agent.status()["config"]["source"] == str(daemon.config)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ("{", "not understood"),
        ("[]", "not understood"),
        ('{"policy": 1}', "not understood"),
        (NONE, "not understood"),
    ],
)
def test_what_is_no_configuration_is_refused_and_said_to_whoever_asks(daemon, runtime, agent, settings, complaint):
    daemon.start()
    good = agent.push(PINNED, SOURCE)
    verdict = agent.push_raw(settings)
    assert complaint in verdict.error
    assert verdict.digest == good.digest
    said = agent.status()
    assert complaint in said["config"]["error"]
    assert said["config"]["source"] == SOURCE
    assert any(complaint in reason for reason in said["health"])
    assert [e["kind"] for e in said["events"] if complaint in e["text"]] == ["ConfigRejected"]
    assert agent.push(PINNED, SOURCE).error == ""
    assert agent.status()["config"]["error"] == ""


def test_what_does_not_go_with_the_machine_leaves_everything_as_it_was(daemon, runtime, agent):
    daemon.start()
    assert agent.push(PINNED).error == ""
    with daemon.client() as client:
        run_pod(client)
    before = cpus(runtime)
    verdict = agent.push("policy: {Active: topology-aware, ReservedResources: {CPU: 4000}}\n")
    assert verdict.error
    assert cpus(runtime) == before
    assert agent.status()["policy"] == "topology-aware"


def test_what_the_runtime_does_not_take_is_rolled_back_and_the_agent_told(daemon, runtime, agent):
    daemon.start()
    with daemon.client() as client:
        run_pod(client)
    runtime.refused[methods.UPDATE_CONTAINER_RESOURCES] = StatusError(UNAVAILABLE, "no thanks")
    verdict = agent.push(PINNED)
    assert "no thanks" in verdict.error
    assert "policy none goes on" in verdict.error
    runtime.refused.clear()
    assert agent.status()["policy"] == "none"
    daemon.kill()
    daemon.start()
    assert agent.status()["policy"] == "none"


def test_a_policy_switch_may_be_forbidden(daemon, runtime, agent):
    daemon.start("--disable-policy-switch")
    verdict = agent.push(PINNED)
    assert "--disable-policy-switch" in verdict.error
    assert agent.push("logger: {Debug: '*'}\n").error == ""
    assert "daemon.stopped" not in daemon.log()
    assert daemon.stop() == 0
    daemon.config.write_text(PINNED)
    said = daemon.refused("--disable-policy-switch", "--force-config", str(daemon.config))
    assert "--reset-policy" in said
    assert daemon.begin("--reset-policy").ended() == 0
    daemon.start("--disable-policy-switch", "--force-config", str(daemon.config))


def test_nothing_is_reset_while_a_daemon_runs(daemon, runtime, agent):
    daemon.start()
    assert agent.push(PINNED).error == ""
    running, daemon._process = daemon._process, None
    codes = [daemon.begin(*flags).ended() for flags in (("--reset-config",), ("--reset-config", "--reset-policy"))]
    daemon._process = running
    assert codes == [1, 2]
    assert "stop the daemon first" in daemon.log()
    daemon.kill()
    daemon.start()
    assert agent.status()["policy"] == "topology-aware"


def test_the_agents_configuration_is_forgotten_on_request(daemon, runtime, agent):
    assert daemon.begin("--reset-config").ended() == 0
    assert not daemon.relay_dir.exists()
    daemon.start()
    assert agent.push(PINNED).error == ""
    assert daemon.stop() == 0
    assert daemon.begin("--reset-config").ended() == 0
    daemon.start()
    assert agent.status()["policy"] == "none"


def test_a_forced_configuration_may_change_the_policy_by_signal(daemon, runtime):
    daemon.config.write_text(NONE)
    daemon.start("--force-config", str(daemon.config))
    with daemon.client() as client:
        run_pod(client)
    daemon.config.write_text(PINNED)
    daemon.signal(signal.SIGHUP)
    daemon.wait_log("config.applied")
    assert all(cpus(runtime))


def test_events_are_told_once_and_metrics_whole(daemon, runtime, agent):
    daemon.start()
    agent.push_raw("{")
    first = agent.status()
    assert [event["kind"] for event in first["events"]] == ["ConfigRejected"]
    assert agent.status(first["next"])["events"] == []
    agent.push_raw("{")
    again = agent.status(first["next"])
    assert [event["count"] for event in again["events"]] == [2]
    assert "cri_resmgr_build_info" in agent.metrics()


def test_a_malformed_message_is_an_error_of_its_call(daemon, runtime, agent):
    daemon.start()
    with pytest.raises(grpc.RpcError) as caught:
        agent.ask(protocol.SET_CONFIG, b"\xff")
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert agent.status()["policy"] == "none"


def test_two_agents_at_once_leave_one_whole_configuration(daemon, runtime, agent):
    daemon.start()
    with Agent(daemon.config_socket) as other:
        for _ in range(3):
            assert agent.push(PINNED, "a").error == ""
            assert other.push(NONE, "b").error == ""
    assert agent.status()["config"]["source"] == "b"
    assert agent.status()["policy"] == "none"


def test_a_path_at_which_another_program_listens_is_refused(daemon, runtime):
    from cri_resmgr.wire import sockets  # noqa: PLC0415

    taken = sockets.bind(daemon.config_socket, mode=0o600, backlog=1)
    try:
        assert "--config-socket" in daemon.refused()
    finally:
        taken.close()


def test_the_status_says_how_many_cpus_the_policy_has(daemon, runtime, agent):
    daemon.start()
    assert agent.status()["capacity"] is None
    assert agent.push(PINNED).error == ""
    capacity = agent.status()["capacity"]
    assert capacity == {"cpus": len(os.sched_getaffinity(0)), "reserved": 1}
    assert agent.push(NONE).error == ""
    assert agent.status()["capacity"] is None
