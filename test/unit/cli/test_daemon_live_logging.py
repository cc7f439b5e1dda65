"""Debug logs and dumps are switched by the agent while the daemon runs, and show no secret."""

import pytest

from equipment.agent import Agent
from unit.cli.daemons import run_pod

DEBUG = "logger: {Debug: '*'}\n"
SECRET = "hunter2"  # noqa: S105 - so that one can look for it


@pytest.fixture(name="agent")
def _agent(daemon):
    with Agent(daemon.config_socket) as made:
        yield made


def said_by(daemon, client, name: str) -> str:
    """What the daemon says while a pod comes."""
    before = len(daemon.log())
    run_pod(client, name)
    return daemon.log()[before:]


def test_debug_lines_come_and_go_with_the_configuration(daemon, runtime, agent):
    daemon.start()
    with daemon.client() as client:
        assert "pod.met" not in said_by(daemon, client, "a")
        assert agent.push(DEBUG).error == ""
        said = said_by(daemon, client, "c")
        for event in ("pod.met", "decision.made", "container.created", "container.started"):
            assert event in said
        assert agent.push("logger: {Debug: policy}\n").error == ""
        said = said_by(daemon, client, "d")
        assert "decision.made" in said
        assert "pod.met" not in said
        assert agent.push("logger: {Level: info}\n").error == ""
        assert "decision.made" not in said_by(daemon, client, "e")


def test_the_flag_turns_on_full_debug_logs_until_a_configuration_says_otherwise(daemon, runtime, agent):
    daemon.start("--logger-debug", "*")
    with daemon.client() as client:
        assert "pod.met" in said_by(daemon, client, "a")
        assert agent.push("logger: {Debug: 'off:*'}\n").error == ""
        assert "pod.met" not in said_by(daemon, client, "b")


def test_a_dump_is_turned_on_into_a_file_and_off_and_is_redacted(daemon, runtime, agent):
    daemon.start()
    dump = daemon.root / "dump"
    with daemon.client() as client:
        run_pod(client, "a")
        assert "REQUEST" not in daemon.log()
        assert agent.push(f"dump: {{Config: 'full:.*', File: {dump}}}\n").error == ""
        labels = {"api-token": SECRET}
        config = {"metadata": {"name": "b", "uid": "b"}, "labels": labels, "annotations": {"x-password": SECRET}}
        pod_id = client("RunPodSandbox", config=config).pod_sandbox_id
        env = {"key": "PASSWORD", "value": SECRET.encode()}
        client("CreateContainer", pod_sandbox_id=pod_id, config={"metadata": {"name": "c"}, "envs": [env]})
        daemon.wait(lambda: dump.exists() and "CreateContainer <=" in dump.read_text(), "the dump")
        assert "PASSWORD" in dump.read_text()
        daemon.wait_log("CreateContainer <= (intercepted) REPLY")
        assert agent.push("dump: {Disabled: true}\n").error == ""
        size = dump.stat().st_size
        run_pod(client, "last")
        assert daemon.stop() == 0
    assert dump.stat().st_size == size
    assert SECRET not in dump.read_text() + daemon.log()
