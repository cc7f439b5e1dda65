"""`cri-resmgr release --all`: the node goes on without us, and each container has what its pod says."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cri_resmgr.cli.goflags import FlagError
from cri_resmgr.cli.main import main
from cri_resmgr.cli.verbs import release
from cri_resmgr.cri import api_pb2 as api
from cri_resmgr.cri import methods
from cri_resmgr.errors import BadInput, Degraded
from cri_resmgr.manager.exporting import Exporter
from cri_resmgr.state.ledger import Ledger
from cri_resmgr.state.store import Store
from cri_resmgr.values.decisions import HOLDING_NOTHING, Holding
from cri_resmgr.values.resources import NOTHING, Assignment, Resources
from cri_resmgr.values.workloads import Container, Pod, State
from doubles.runtime import FakeRuntime, StatusError, resources, served

GIVEN = Assignment(cpuset_cpus="1", cpu_shares=1024)
HOLDING = Holding(policy="p", exclusive="1")


class Machine:
    """A node whose daemon has ended: its store, and a runtime behind a socket."""

    def __init__(self, root: Path) -> None:
        self.relay_dir, self.socket, self.host_root = root / "relay", root / "runtime.sock", root / "host"
        self.runtime = FakeRuntime()
        cpu, node = self.host_root / "sys/devices/system/cpu", self.host_root / "sys/devices/system/node"
        write(cpu / "online", "0-3")
        for number in range(4):
            for name, value in (("core_id", number), ("physical_package_id", 0), ("thread_siblings_list", number)):
                write(cpu / f"cpu{number}" / "topology" / name, str(value))
        write(node / "online", "0-1")
        for number, cpus, kib in ((0, "0-3", 1 << 20), (1, "", 1 << 20)):
            write(node / f"node{number}" / "cpulist", cpus)
            write(node / f"node{number}" / "meminfo", f"Node {number} MemTotal: {kib} kB\n")
            write(node / f"node{number}" / "distance", "10 20" if number == 0 else "20 10")

    def fill(self, *names: str) -> None:
        """Running containers on which something was set."""
        pod_id = api.RunPodSandboxResponse.FromString(self.runtime.answer(methods.RUN_POD_SANDBOX, b"")).pod_sandbox_id
        with closing(Store.open(self.relay_dir)) as store:
            ledger = Ledger(*store.load())
            ledger.put_pod(Pod(pod_id, "web", "shop", "u"))
            for name in names:
                ledger.put(self._run(pod_id, name))
            store.write(ledger.take_changes())

    def _run(self, pod_id: str, name: str) -> Container:
        metadata = api.ContainerMetadata(name=name)
        request = api.CreateContainerRequest(pod_sandbox_id=pod_id, config=api.ContainerConfig(metadata=metadata))
        request.config.linux.resources.CopyFrom(resources(cpu_shares=1024, cpuset_cpus="1"))
        reply = self.runtime.answer(methods.CREATE_CONTAINER, request.SerializeToString())
        id_ = api.CreateContainerResponse.FromString(reply).container_id
        self.runtime.answer(methods.START_CONTAINER, api.StartContainerRequest(container_id=id_).SerializeToString())
        asked = Resources(cpu_shares=512)
        return Container(
            pod_id, name, 0, id=id_, state=State.RUNNING, asked=asked, given=GIVEN, told=GIVEN, holding=HOLDING
        )

    def release(self, *arguments: str) -> int:
        """Run the verb."""
        own = ("--relay-dir", self.relay_dir, "--runtime-socket", self.socket, "--host-root", self.host_root)
        return release.run([*arguments, *map(str, own)])

    def stored(self) -> dict[str, Container]:
        with closing(Store.open(self.relay_dir)) as store:
            return {container.name: container for container in store.load()[1]}


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


@pytest.fixture
def machine(tmp_path) -> Machine:
    return Machine(tmp_path)


def test_all_is_given_back_forgotten_and_told(machine, capsys):
    machine.fill("a", "b")
    with served(machine.runtime, machine.socket):
        assert machine.release("--all") == 0
    assert [c.has for c in machine.runtime.containers.values()] == [resources(cpu_shares=512, cpuset_cpus="0-3")] * 2
    stored = machine.stored()
    assert {(c.given, c.told, c.holding) for c in stored.values()} == {(NOTHING, NOTHING, HOLDING_NOTHING)}
    assert {c.asked for c in stored.values()} == {Resources(cpu_shares=512)}
    told = capsys.readouterr()
    assert told.out == "2 released, 0 gone, 0 failed\n"
    assert sorted(line.rpartition(" (")[0] for line in told.err.splitlines()) == [
        "shop/web:a: released",
        "shop/web:b: released",
    ]
    assert told.err.splitlines()[-1].endswith("(0 left)")


def test_programs_get_json(machine, capsys):
    machine.fill("a", "gone", "bad")
    del machine.runtime.containers[machine.runtime.key_of("gone").id]
    bad, update = machine.runtime.key_of("bad").id, machine.runtime._UpdateContainerResources

    def refuse(asked):
        if asked.container_id == bad:
            raise StatusError(2, "busy")
        return update(asked)

    machine.runtime._UpdateContainerResources = refuse
    with served(machine.runtime, machine.socket):
        assert machine.release("--all", "--output", "json") == 1
    assert json.loads(capsys.readouterr().out) == {
        "released": ["shop/web:a"],
        "gone": ["shop/web:gone"],
        "failed": [{"container": "shop/web:bad", "error": "busy"}],
    }
    stored = machine.stored()
    assert {name: c.given for name, c in stored.items()} == {"a": NOTHING, "bad": GIVEN}


def test_what_failed_is_named_for_people_and_done_by_the_next_try(machine, capsys):
    machine.fill("a")
    machine.runtime.refused[methods.UPDATE_CONTAINER_RESOURCES] = StatusError(2, "busy")
    with served(machine.runtime, machine.socket):
        assert machine.release("--all") == 1
        assert capsys.readouterr().out == "0 released, 0 gone, 1 failed\nshop/web:a: busy\n"
        machine.runtime.refused.clear()
        assert machine.release("--all") == 0
        assert machine.release("--all") == 0
    assert capsys.readouterr().out == "1 released, 0 gone, 0 failed\n0 released, 0 gone, 0 failed\n"


def test_a_container_that_reads_its_cpus_reads_nothing_false_afterwards(machine):
    machine.fill("a", "gone")
    exporter = Exporter(machine.relay_dir)
    kept, gone = (
        Path(exporter.mount_for(container, {"EXCLUSIVE_CPUS": "1"}).host_path, "resources.sh")
        for container in machine.stored().values()
    )
    del machine.runtime.containers[machine.runtime.key_of("gone").id]
    with served(machine.runtime, machine.socket):
        assert machine.release("--all") == 0
    assert kept.read_text() == ""
    assert not gone.parent.exists()


def test_while_a_daemon_runs_it_is_refused_by_its_process_id(machine):
    machine.fill("a")
    with closing(Store.open(machine.relay_dir)), pytest.raises(BadInput, match=r"in use by pid \d+: stop that process"):
        machine.release("--all")
    assert machine.runtime.calls[methods.UPDATE_CONTAINER_RESOURCES] == 0


def test_without_a_runtime_nothing_is_forgotten(machine):
    machine.fill("a")
    with pytest.raises(Degraded, match=r"--runtime-socket .*runtime\.sock: cannot connect .*; start the runtime"):
        machine.release("--all")
    assert machine.stored()["a"].given == GIVEN


def test_a_damaged_store_is_told_since_nobody_knows_what_was_given(machine):
    machine.fill("a")
    (machine.relay_dir / "state.db").write_bytes(b"rubbish" * 1000)
    with pytest.raises(Degraded, match="was damaged and is moved aside: what was given is not known; restart the pods"):
        machine.release("--all")


def test_a_disk_that_does_not_take_it_is_told_though_the_containers_have_theirs(machine, monkeypatch):
    machine.fill("a")
    with closing(sqlite3.connect(machine.relay_dir / "state.db")) as other, served(machine.runtime, machine.socket):
        other.execute("PRAGMA journal_mode = WAL")
        store_open = Store.open

        def opened(directory: Path) -> Store:
            store = store_open(directory)
            other.execute("BEGIN IMMEDIATE")
            return store

        monkeypatch.setattr(release.Store, "open", opened)
        with pytest.raises(Degraded, match="fuser"):
            machine.release("--all")
        monkeypatch.undo()
        other.execute("ROLLBACK")
    assert machine.runtime.key_of("a").has.cpu_shares == 512
    assert machine.stored()["a"].given == GIVEN


@pytest.mark.parametrize("arguments", [[], ["shop/web"], ["--all", "shop/web"], ["--all", "--output", "xml"]])
def test_a_wrong_use_is_refused_with_the_usage(machine, arguments):
    with pytest.raises(BadInput, match="write cri-resmgr release --all"):
        release.run(arguments)


def test_a_wrong_flag_shows_the_flags_of_this_verb():
    with pytest.raises(FlagError) as caught:
        release.run(["--everything"])
    assert caught.value.usage.startswith("Usage of cri-resmgr release:")


def test_a_place_without_a_store_is_refused_and_stays_as_it_is(machine):
    with pytest.raises(BadInput, match=r"--relay-dir .*relay: there is no state\.db; name the directory"):
        machine.release("--all")
    assert not machine.relay_dir.exists()


def test_the_places_are_the_daemons_own_unless_said_otherwise():
    flags = release.ReleaseFlags()
    assert (flags.relay_dir, flags.runtime_socket) == (
        "/var/lib/cri-resmgr",
        "/var/run/containerd/containerd.sock",
    )


def test_it_is_a_verb_whose_errors_end_with_2(machine, capsys):
    assert main(["release", "--all", "--relay-dir", str(machine.relay_dir)]) == 2
    assert capsys.readouterr().err.startswith("cri-resmgr: --relay-dir ")
