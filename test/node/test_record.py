"""A node's history on a real runtime, recorded while pods come and go, and decided again without the node."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import pytest

from equipment import cgroups
from equipment.processes import wait_for
from equipment.runtimes import Runtime
from node.test_placement import PARENT, UNPINNED, Node, cpus

pytestmark = pytest.mark.needs_root

COMMAND = Path(sys.executable).with_name("cri-resmgr")


@pytest.fixture(name="node")
def _node(containerd16: Runtime, tmp_path: Path) -> Iterator[Node]:
    made = Node(containerd16, tmp_path)
    with made.relay:
        yield made

    def removed() -> bool:
        with suppress(grpc.RpcError):
            containerd16.remove_pods()
            return True
        return False

    wait_for(removed, "the pods to go", 120)
    cgroups.remove_root(PARENT)


@contextmanager
def recorded(node: Node, path: Path) -> Iterator[None]:
    """What happens meanwhile is in the file afterwards."""
    command = [COMMAND, "record", "--relay-dir", node.root / "relay", path]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: path.exists() and path.stat().st_size, "the recording", 60)
        yield
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def replay(*words: str | Path) -> tuple[int, dict]:
    done = subprocess.run(
        [COMMAND, "replay", *words, "--output", "json"], capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, json.loads(done.stdout)


def test_what_has_happened_on_a_node_is_decided_again_alike_and_otherwise(node: Node, tmp_path: Path):
    system = node.shared("system", namespace="kube-system")
    recording = tmp_path / "node.record"
    with recorded(node, recording):
        mine = node.exclusive()
        assert (cpus(system), cpus(mine)) == ("0", "1")
        with pytest.raises(grpc.RpcError, match="short of 1000m of CPU"):
            node.exclusive("refused")
        node.stop(mine)
        assert cpus(node.shared("late")) == "1"
    assert recording.stat().st_mode & 0o777 == 0o600
    code, again = replay(recording)
    assert code == 0, again
    unpinned = tmp_path / "unpinned.cfg"
    unpinned.write_text(UNPINNED)
    code, otherwise = replay(recording, "--config", unpinned)
    assert code == 1
    assert otherwise != again


def test_no_command_image_or_path_of_a_container_is_in_a_recording(node: Node, tmp_path: Path):
    recording = tmp_path / "node.record"
    with recorded(node, recording):
        node.shared("seen")
    text = recording.read_text()
    assert "seen" in text
    assert [word for word in ("trap", "busybox", "sleep") if word in text] == []
