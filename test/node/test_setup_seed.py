"""The predecessor's setup guide on a real runtime, step by step, with its own words on the command line.

What it says of the agent, of Adjustments and of the webhook needs an API server: `test_agent`, `test_adjustments` and
`test_webhook` have that.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from equipment.agent import Agent
from equipment.cri import CriClient, run_pod
from equipment.relay import Relay
from equipment.runtimes import Runtime
from equipment.stand_ins import BUSYBOX

pytestmark = pytest.mark.needs_root

EXAMPLES = Path(__file__).parents[2] / "examples"
PINNED = "policy: {Active: topology-aware, ReservedResources: {CPU: 750m}}\n"


def command(*words: str | Path, code: int = 0) -> str:
    """What a command of ours says; it has to end with that code."""
    program = Path(sys.executable).with_name("cri-resmgr")
    done = subprocess.run([program, *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def policy(root: Path) -> str:
    """The active one, as `cri-resmgr status` has it."""
    return str(json.loads(command("status", "--relay-dir", root / "relay", "--output", "json"))["policy"]["active"])


@pytest.fixture
def pods(containerd16: Runtime) -> Iterator[Runtime]:
    yield containerd16
    containerd16.remove_pods()


def test_a_forced_configuration_is_used_and_nobody_else_can_configure(containerd16: Runtime, tmp_path: Path):
    socket = tmp_path / "config.sock"
    flags = ("--config-socket", str(socket), "-force-config", str(EXAMPLES / "memtier-policy.cfg"))
    with Relay(containerd16.socket, tmp_path, *flags):
        assert policy(tmp_path) == "memtier"
        assert not socket.exists()


def test_the_fallback_holds_until_the_agent_speaks_and_what_it_said_holds_after_a_restart(
    containerd16: Runtime, tmp_path: Path
):
    socket = tmp_path / "config.sock"
    flags = ("--config-socket", str(socket), "--fallback-config", str(EXAMPLES / "fallback.cfg"))
    with Relay(containerd16.socket, tmp_path, *flags) as relay:
        assert policy(tmp_path) == "none"
        with Agent(socket) as agent:
            assert agent.push(PINNED).error == ""
        relay.restart()
        assert policy(tmp_path) == "topology-aware"
        relay.stop()
        command("--reset-config", *where(containerd16, relay, tmp_path))
        relay.start()
        assert policy(tmp_path) == "none"


def test_with_switching_disabled_the_policy_changes_by_stop_reset_edit_start(containerd16: Runtime, tmp_path: Path):
    config = tmp_path / "fallback.cfg"
    config.write_text("policy: {Active: none}\n")
    flags = ("--disable-policy-switch", "--fallback-config", str(config))
    with Relay(containerd16.socket, tmp_path, *flags) as relay:
        assert policy(tmp_path) == "none"
        relay.stop()
        config.write_text(PINNED)
        files = where(containerd16, relay, tmp_path)
        assert "--reset-policy" in command(*files, *flags, code=2)
        command("--reset-policy", *files)
        relay.start()
        assert policy(tmp_path) == "topology-aware"


def test_nothing_is_reset_under_a_running_daemon(containerd16: Runtime, tmp_path: Path):
    with Relay(containerd16.socket, tmp_path) as relay:
        said = command("--reset-config", "--reset-policy", *where(containerd16, relay, tmp_path), code=2)
        assert "stop the daemon first" in said


def test_the_full_dump_of_the_sample_shows_the_messages_of_a_pods_life(pods: Runtime, tmp_path: Path):
    with Relay(pods.socket, tmp_path, "--force-config", str(EXAMPLES / "cri-full-message-dump.cfg")) as relay:
        with CriClient(relay.socket) as cri:
            _, container = run_pod(cri, "dumped", image=BUSYBOX, command=("sleep", "2147483647"))
        lines = [line for line in relay.log().splitlines() if "[message]" in line]
    for method in ("RunPodSandbox", "CreateContainer", "StartContainer"):
        assert any(method in line for line in lines), method
    assert any(container in line for line in lines)


def where(runtime: Runtime, relay: Relay, root: Path) -> tuple[str, ...]:
    """The flags that say which daemon is meant."""
    flags = {
        "runtime-socket": runtime.socket,
        "relay-socket": relay.socket,
        "relay-dir": root / "relay",
        "agent-socket": "disabled",
        "config-socket": "disabled",
        "pid-file": root / "pid",
    }
    return tuple(word for name, value in flags.items() for word in (f"--{name}", str(value)))
