"""`cri-resmgr record` beside a daemon that places, and `replay` of what it has recorded."""

import json
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from cri_resmgr.cli import main as main_
from cri_resmgr.cli.recording import talk
from cri_resmgr.cri import methods
from cri_resmgr.host.grids import grid
from doubles.runtime import StatusError
from equipment import sysfs_tree
from equipment.cri import CriClient
from equipment.processes import wait_for
from unit.cli.daemons import COMMAND, Daemon
from unit.cli.test_daemon_placement import create, run

PLACING = "policy: {Active: topology-aware, ReservedResources: {CPU: 1}}\n"
NONE = "policy: {Active: none}\n"
SECRET = "hunter2"  # noqa: S105 - so that one can look for it
DEADLINE_S = 60


@pytest.fixture(name="daemon")
def _daemon(tmp_path: Path) -> Iterator[Daemon]:
    """On a host with eight CPUs, the first of which is reserved."""
    sysfs_tree.write(grid(packages=2, cores=4), tmp_path / "host")
    with Daemon(
        tmp_path, "--force-config", str(tmp_path / "forced.cfg"), "--host-root", str(tmp_path / "host")
    ) as made:
        made.config.write_text(PLACING)
        yield made


class Recording:
    """One `record` that runs beside a daemon."""

    def __init__(self, daemon: Daemon, *flags: str) -> None:
        self.path = daemon.root / f"recording-{len(list(daemon.root.glob('recording-*')))}"
        self._said = daemon.root / f"{self.path.name.replace('recording', 'said')}"
        command = [COMMAND, "record", "--relay-dir", str(daemon.relay_dir), *flags, str(self.path)]
        with self._said.open("wb") as said:
            self.process = subprocess.Popen(command, stdout=said, stderr=said)

    def begun(self) -> "Recording":
        """Once it has everything that was there."""
        wait_for(self.path.exists, "the file", DEADLINE_S)
        wait_for(lambda: self.path.stat().st_size, "its first line", DEADLINE_S)
        return self

    def said(self) -> str:
        return self._said.read_text()

    def seen(self, event: str, name: str = "") -> None:
        """Wait for an event of a kind, about a container of that name."""

        def is_there() -> bool:
            lines = self.path.read_text().splitlines()
            return any(f'"event":"{event}"' in line and name in line for line in lines)

        wait_for(is_there, f"{event} {name}", DEADLINE_S)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_S)

    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def __enter__(self) -> "Recording":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


def replay(capsys, *words: str) -> tuple[int, dict]:
    code = main_.main(["replay", *words, "--output", "json"])
    return code, json.loads(capsys.readouterr().out)


def live(client: CriClient) -> None:
    """Pods come, are resized and go; one does not fit, another the runtime refuses."""
    shared = [run(client, f"s{number}", "shares") for number in range(2)]
    own = [run(client, f"x{number}", "own") for number in range(3)]
    more = {"cpu_shares": 2048, "cpu_quota": 200_000, "cpu_period": 100_000}
    client("UpdateContainerResources", container_id=own[0], linux=more)
    client("StopContainer", container_id=own[1])
    client("RemoveContainer", container_id=own[1])
    client("StopContainer", container_id=shared[0])
    assert fill(client) > 2


def fill(client: CriClient) -> int:
    """Containers that want a CPU of their own until there is none; how many have got one."""
    for number in range(10):
        try:
            run(client, f"y{number}", "own")
        except grpc.RpcError:
            return number
    raise AssertionError("nobody was refused")


def test_a_replay_of_a_recording_gives_the_daemons_own_decisions(daemon, runtime, capsys):
    daemon.start()
    with daemon.client() as client, Recording(daemon) as recording:
        recording.begun()
        live(client)
        runtime.refused[methods.CREATE_CONTAINER] = StatusError(2, "not in the mood")
        with pytest.raises(grpc.RpcError):
            create(client, "refused", "shares")
        runtime.refused.clear()
        run(client, "last", "shares")
        recording.seen("undo")
        recording.seen("start", "/last/0")
        assert recording.stop() == 0
    code, said = replay(capsys, str(recording.path))
    assert (code, said["different"], said["refused"]) == (0, [], [])
    assert {"create", "start", "update", "release", "undo"} <= {event["event"] for event in said["events"]}
    assert any("refused" in event for event in said["events"])
    assert said["own_cpus_most"]["happened"] == said["own_cpus_most"]["replayed"] > 0
    assert recording.lines()[-1] == {"event": "end", "at_s": recording.lines()[-1]["at_s"], "reason": "stopped"}


def test_it_begins_with_what_runs_and_follows_another_configuration_and_a_crashed_beginning(daemon, runtime, capsys):
    daemon.start()
    with daemon.client() as client:
        live(client)
        with Recording(daemon) as recording:
            recording.begun()
            run(client, "a", "shares")
            daemon.config.write_text(PLACING.replace("CPU: 1", "CPU: 2"))
            daemon.signal(signal.SIGHUP)
            daemon.wait_log("config.applied")
            run(client, "b", "shares")
            recording.seen("configure")
            recording.seen("start", "/b/0")
            assert recording.stop(signal.SIGTERM) == 0
    code, said = replay(capsys, str(recording.path))
    assert (code, said["different"], said["refused"]) == (0, [], [])
    assert len(said["events"][0]["changes"]) > 5


def test_what_would_have_happened_with_another_configuration_is_told_with_places(daemon, runtime, capsys, tmp_path):
    daemon.start()
    with daemon.client() as client, Recording(daemon) as recording:
        recording.begun()
        live(client)
        recording.seen("create", "y2")
        assert recording.stop() == 0
    other = tmp_path / "other.yaml"
    other.write_text(NONE)
    code, said = replay(capsys, str(recording.path), "--config", str(other))
    assert code == 1
    places = {one["container"]: one for one in said["different"]}
    assert places["shop/x0:x0"]["happened"]["exclusive"]
    assert places["shop/x0:x0"]["replayed"]["cpus"] == ""
    assert said["refused"][0]["happened"]
    assert not said["refused"][0]["replayed"]
    assert said["own_cpus_most"]["replayed"] == 0
    assert main_.main(["replay", "--config", str(other), str(recording.path)]) == 1
    text = capsys.readouterr().out
    assert "replayed  policy none" in text
    assert "refused in what happened only" in text


def test_a_recording_under_no_policy_can_be_replayed_with_one(daemon, runtime, capsys, tmp_path):
    daemon.config.write_text(NONE)
    daemon.start()
    with daemon.client() as client, Recording(daemon) as recording:
        run(client, "before", "own")
        recording.begun()
        first = run(client, "x", "own")
        run(client, "s", "shares")
        client("StopContainer", container_id=first)
        recording.seen("release")
        assert recording.stop() == 0
    assert replay(capsys, str(recording.path))[0] == 0
    other = tmp_path / "other.yaml"
    other.write_text(PLACING)
    code, said = replay(capsys, str(recording.path), "--config", str(other))
    assert code == 1
    assert said["own_cpus_most"] == {"happened": 0, "replayed": 2}


def test_nothing_secret_is_in_it_and_nobody_else_can_read_it(daemon, runtime):
    daemon.start()
    with daemon.client() as client, Recording(daemon) as recording:
        recording.begun()
        config = {
            "metadata": {"name": "web", "uid": "u", "namespace": "shop"},
            "labels": {"app": "web", "deploy-token": SECRET},
            "annotations": {"example.org/note": SECRET, "cold-start.cri-resource-manager.intel.com": "duration: 1s"},
        }
        pod_id = client("RunPodSandbox", config=config).pod_sandbox_id
        container = {
            "metadata": {"name": "app"},
            "image": {"image": f"example.org/{SECRET}"},
            "command": ["sh", SECRET],
            "envs": [{"key": "PASSWORD", "value": SECRET.encode()}],
            "annotations": {"example.org/other": SECRET},
            "mounts": [{"container_path": "/x", "host_path": f"/{SECRET}"}],
        }
        client("CreateContainer", pod_sandbox_id=pod_id, config=container, sandbox_config=config)
        recording.seen("create")
        assert recording.stop() == 0
    text = recording.path.read_text()
    assert SECRET not in text
    assert '"app":"web"' in text
    assert "duration: 1s" in text
    assert stat.S_IMODE(recording.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(talk.socket_in(daemon.relay_dir).stat().st_mode) == 0o600


def test_a_recorder_that_is_killed_leaves_what_can_be_replayed_and_a_daemon_that_forgets_it(daemon, runtime, capsys):
    daemon.start()
    with daemon.client() as client, Recording(daemon) as recording:
        recording.begun()
        run(client, "a", "own")
        recording.seen("start")
        recording.stop(signal.SIGKILL)
        with Recording(daemon) as second:
            assert second.process.wait(DEADLINE_S) == 2
            assert "somebody records already" in second.said()
            assert not second.path.exists()
        daemon.wait_log("record.abandoned")
        with Recording(daemon, "--for", "10ms") as third:
            assert third.process.wait(DEADLINE_S) == 0
    with recording.path.open("ab") as torn:
        torn.write(b'{"event":"sta')
    code, said = replay(capsys, str(recording.path))
    assert (code, said["torn"]) == (0, True)


def test_it_ends_when_its_time_is_up_or_the_file_is_long_enough_and_says_so(daemon, runtime, capsys):
    daemon.start()
    with daemon.client() as client:
        config = {"metadata": {"name": "big", "uid": "u", "namespace": "shop"}, "labels": {"x": "y" * (1 << 20)}}
        with Recording(daemon, "--limit-mib", "1") as recording:
            recording.begun()
            client("RunPodSandbox", config=config)
            assert recording.process.wait(DEADLINE_S) == 0
    assert "1048576 bytes" in recording.lines()[-1]["reason"]
    assert recording.path.stat().st_size < 1 << 20
    assert replay(capsys, str(recording.path))[0] == 0


def test_a_daemon_that_goes_is_said_so_and_what_happened_until_then_is_there(daemon, runtime, capsys):
    daemon.start()
    with daemon.client() as client, Recording(daemon) as recording:
        recording.begun()
        run(client, "a", "own")
        recording.seen("start")
        daemon.kill()
        assert recording.process.wait(DEADLINE_S) == 1
    assert "has what happened until then" in recording.said()
    assert replay(capsys, str(recording.path))[0] == 0


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "record takes one file"),
        (("--for", "0s", "f"), "--for"),
        (("--limit-mib", "0", "f"), "--limit-mib"),
        (("--relay-dir", "/no/such", "/no/such/file"), "/no/such/file"),
    ],
)
def test_bad_input_to_record_is_refused_with_a_remedy(words, complaint, capsys):
    assert main_.main(["record", *words]) == 2
    assert complaint in capsys.readouterr().err


def test_without_a_daemon_nothing_is_made(tmp_path, capsys):
    assert main_.main(["record", "--relay-dir", str(tmp_path), str(tmp_path / "file")]) == 2
    assert "start it" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_stays_as_it_is(daemon, runtime, capsys):
    daemon.start()
    (daemon.root / "mine").write_text("mine")
    assert main_.main(["record", "--relay-dir", str(daemon.relay_dir), str(daemon.root / "mine")]) == 2
    assert "is there already" in capsys.readouterr().err
    assert (daemon.root / "mine").read_text() == "mine"
