"""The store keeps what it acknowledged, refuses what it must not touch and destroys nothing."""

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog

from cri_resmgr.errors import BadInput, Degraded
from cri_resmgr.state import schema
from cri_resmgr.state.failures import CorruptError
from cri_resmgr.state.ledger import Changes, Ledger
from cri_resmgr.state.store import Store
from cri_resmgr.values.adjustments import Adjusted, Effect
from cri_resmgr.values.decisions import Candidate, Holding
from cri_resmgr.values.hints import Hint
from cri_resmgr.values.resources import Assignment, Resources
from cri_resmgr.values.workloads import Container, Pod, State

POD = Pod(
    "pod-1", "web", "shop", "uid-1", "/kubepods.slice/x", "runc", {"app": "web"}, {"prices": '{"€": "1\\n2\x00"}'}
)
CONTAINER = Container(
    "pod-1",
    "c",
    3,
    id="id-1",
    state=State.RUNNING,
    labels={"io.kubernetes.container.name": "c", 'quote"\\': "\u2028\x01"},
    annotations={"a": "ü" * 100},
    asked=Resources(100_000, -1, 1024, 1 << 40, -997, "0-3", "0", 1 << 41),
    given=Assignment(cpuset_cpus="", cpu_shares=0, cpu_quota_us=-1),
    reasons=("shared pool", 'because "so"\n'),
    adopted=True,
    told=Assignment(cpuset_cpus="0", cpu_period_us=100_000, memory_limit_bytes=1 << 30),
    holding=Holding("topology-aware", "NUMA node #0", "4-5", "6", "0-3", 'memo "€"\n'),
    hints=(Hint("/sys/devices/pci0000:00/…", cpus=0b1111, packages=1),),
    candidates=(
        Candidate("NUMA node #0", {"cpus": 2, "score": 0.5, "kind": "dram"}, "chosen"),
        Candidate("root", {}, "larger"),
    ),
    revisit_after_start_s=62.5,
    adjustment=Adjusted("external", Effect(cpu_limit_millicpu=500, rdt_class='"gold"')),
)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(name="directory")
def _directory(tmp_path: Path) -> Path:
    return tmp_path / "relay"


def opened(directory: Path) -> Store:
    return Store.open(directory, now=lambda: NOON)


def filled(directory: Path, count: int = 50) -> tuple[tuple[Pod, ...], tuple[Container, ...]]:
    with closing(opened(directory)) as store:
        store.write(all_of((POD,), many(count)))
        return store.load()


def many(count: int) -> tuple[Container, ...]:
    return tuple(Container("pod-1", "filler", n, annotations={"filler": "x" * 900}) for n in range(count))


def all_of(pods: tuple[Pod, ...], containers: tuple[Container, ...]) -> Changes:
    ledger = Ledger()
    for pod in pods:
        ledger.put_pod(pod)
    for container in containers:
        ledger.put(container)
    return ledger.take_changes()


def contents(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def test_what_was_written_is_loaded_after_a_reopen(directory):
    with closing(opened(directory)) as store:
        store.write(all_of((POD,), (CONTAINER,)))
    with closing(opened(directory)) as store:
        assert store.load() == ((POD,), (CONTAINER,))
        assert not store.rebuilt


def test_defaults_and_unset_fields_come_back_as_they_were(directory):
    plain = Container("pod-1", "c", 0)
    with closing(opened(directory)) as store:
        store.write(all_of((Pod("p", "n", "ns", "u"),), (plain,)))
        assert store.load() == ((Pod("p", "n", "ns", "u"),), (plain,))


def test_rows_are_replaced_and_deleted(directory):
    ledger = Ledger([POD], [CONTAINER])
    with closing(opened(directory)) as store:
        store.write(all_of((POD,), (CONTAINER,)))
        exited = ledger.moved(CONTAINER.key, State.EXITED)
        store.write(ledger.take_changes())
        assert store.load() == ((POD,), (exited,))
        ledger.drop_pod(POD.id)
        store.write(ledger.take_changes())
        assert store.load() == ((), ())


def test_every_field_of_a_value_has_a_column(directory):
    with closing(opened(directory)) as store, closing(sqlite3.connect(store.path)) as connection:

        def columns(table: str) -> set[str]:
            return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}

        assert columns("pods") == set(Pod.__dataclass_fields__)
        assert columns("containers") == (
            (set(Container.__dataclass_fields__) - {"asked", "given", "told", "holding"})
            | {"key"}
            | {f"asked_{name}" for name in Resources.__dataclass_fields__}
            | {f"{what}_{name}" for what in ("given", "told") for name in Assignment.__dataclass_fields__}
            | {f"holding_{name}" for name in Holding.__dataclass_fields__}
        )


def test_values_beside_the_ledger_are_remembered(directory):
    with closing(opened(directory)) as store:
        assert store.get("policy") is None
        store.set("policy", "balloons")
        store.set("policy", "none")
    with closing(opened(directory)) as store:
        assert store.get("policy") == "none"
        with pytest.raises(ValueError, match="choose another key"):
            store.set(schema.VERSION_KEY, "7")


def test_a_reader_elsewhere_sees_what_is_committed_and_disturbs_nobody(directory):
    with closing(opened(directory)) as store, closing(sqlite3.connect(store.path)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM containers").fetchone() == (0,)
        store.write(all_of((), (CONTAINER,)))
        reader.execute("COMMIT")
        row = reader.execute("SELECT state, asked_cpu_shares, given_cpuset_mems FROM containers").fetchone()
        assert row == ("running", 1024, None)


# -- the place


def test_directory_and_files_are_made_for_their_owner_alone(directory):
    old = os.umask(0)
    try:
        with closing(opened(directory / "deep")) as store:
            store.write(all_of((), (CONTAINER,)))
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in store.path.parent.iterdir()}
            assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o710
            assert modes == dict.fromkeys(("state.db", "state.db-wal", "state.db-shm", "state.db.lock"), 0o600)
    finally:
        os.umask(old)


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_a_directory_that_others_may_write_is_refused(directory, mode):
    directory.mkdir()
    directory.chmod(mode)
    with pytest.raises(BadInput, match=f"chmod go-w {directory}"):
        opened(directory)
    assert not list(directory.iterdir())


@pytest.mark.parametrize("name", ["state.db", "state.db-wal"])
def test_a_file_that_others_may_write_is_refused(directory, name):
    directory.mkdir(mode=0o710)
    (directory / name).touch()
    (directory / name).chmod(0o622)
    with pytest.raises(BadInput, match=f"{name} has mode 0622"):
        opened(directory)


def test_a_wide_but_safe_mode_is_a_warning(directory):
    directory.mkdir()
    directory.chmod(0o755)
    with structlog.testing.capture_logs() as events, closing(opened(directory)):
        pass
    assert [(event["event"], event["mode"]) for event in events] == [("store.mode_is_wide", "0755")]


def test_a_stricter_directory_is_fine(directory):
    directory.mkdir(mode=0o700)
    with structlog.testing.capture_logs() as events, closing(opened(directory)):
        pass
    assert not events


def test_a_directory_in_the_place_of_the_file_is_refused(directory):
    (directory / "state.db").mkdir(parents=True)
    directory.chmod(0o710)
    with pytest.raises(BadInput, match="not a regular file"):
        opened(directory)


def test_a_symbolic_link_in_the_place_of_the_file_is_refused(directory, tmp_path):
    directory.mkdir(mode=0o710)
    (directory / "state.db").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match="not a regular file"):
        opened(directory)
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_in_the_place_of_the_directory_is_refused(directory):
    directory.touch()
    with pytest.raises(BadInput, match="not a directory"):
        opened(directory)


def test_a_path_through_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="choose another --relay-dir"):
        opened(tmp_path / "file" / "relay")


def test_a_store_in_use_is_refused_with_the_pid_of_its_user(directory):
    with closing(opened(directory)), pytest.raises(BadInput, match=f"in use by pid {os.getpid()}"):
        opened(directory)
    opened(directory).close()


def test_a_store_that_another_program_keeps_locked_is_refused(directory):
    filled(directory)
    with closing(sqlite3.connect(directory / "state.db")) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(BadInput, match="in use by another program"):
            opened(directory)
    with closing(opened(directory)) as store:
        assert len(store.load()[1]) == 50


# -- versions


def test_a_store_of_a_newer_version_is_refused_and_left_alone(directory):
    filled(directory)
    with closing(sqlite3.connect(directory / "state.db")) as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
        connection.commit()
    before = contents(directory / "state.db")
    known = len(schema.MIGRATIONS)
    with pytest.raises(BadInput, match=rf"{directory}/state.db has schema version 99, .* up to {known}: install"):
        opened(directory)
    assert contents(directory / "state.db") == before
    assert not list(directory.glob("*corrupt*"))


def test_a_store_of_an_older_version_is_migrated_and_keeps_its_rows(directory, monkeypatch):
    before = filled(directory)
    newer = (*schema.MIGRATIONS, ("CREATE TABLE extra (a TEXT) STRICT",))
    monkeypatch.setattr(schema, "MIGRATIONS", newer)
    with closing(opened(directory)) as store:
        assert store.load() == before
        assert store.get(schema.VERSION_KEY) == str(len(newer))


def test_a_store_of_version_1_comes_back_with_nothing_held_and_nothing_owed(directory, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
        opened(directory).close()
    with closing(sqlite3.connect(directory / "state.db", isolation_level=None)) as connection:
        values = "'pod-1/c/3', 'pod-1', 'c', 3, 'id', 'running', '{}', '{}', '[]', 0, 0, 0, 512, 0, 0, '', ''"
        connection.execute(f"INSERT INTO containers VALUES ({values}, '0-3', NULL, 2, NULL, NULL)")  # noqa: S608
    with closing(opened(directory)) as store:
        ((container,), given) = store.load()[1], Assignment("0-3", None, 2)
        assert container == Container(
            "pod-1",
            "c",
            3,
            id="id",
            state=State.RUNNING,
            asked=Resources(cpu_shares=512),
            given=given,
            told=given,
        )


def test_a_migration_that_fails_in_the_middle_leaves_the_old_version(directory):
    filled(directory)
    before = contents(directory / "state.db")
    broken = (*schema.MIGRATIONS, ("CREATE TABLE extra (a TEXT) STRICT",), ("CREATE TABLE extra (a TEXT) STRICT",))
    with closing(sqlite3.connect(directory / "state.db", isolation_level=None)) as connection:
        with pytest.raises(sqlite3.OperationalError, match="already exists"):
            schema.migrate(connection, found=len(schema.MIGRATIONS), migrations=broken)
        connection.execute("ROLLBACK")
    assert contents(directory / "state.db") == before


# -- damage


def damage_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"not a database at all")


def damage_pages(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(3 * 1024)
        file.write(os.urandom(size - 3 * 1024))


def damage_length(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2 + 100)


def run_sql(*statements: str):
    def damage(path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)

    return damage


DAMAGES = {
    "header": damage_header,
    "pages": damage_pages,
    "length": damage_length,
    "no version": run_sql("DELETE FROM meta"),
    "wrong version": run_sql("UPDATE meta SET value = 'new' WHERE key = 'schema_version'"),
    "missing table": run_sql("DROP TABLE containers"),
    "missing column": run_sql("ALTER TABLE containers DROP COLUMN given_cpu_shares"),
    "somebody else's tables": run_sql("DROP TABLE meta", "CREATE TABLE theirs (a)"),
    "unknown state": run_sql("UPDATE containers SET state = 'dreaming' WHERE attempt = 3"),
    "labels no JSON": run_sql("UPDATE containers SET labels = '{' WHERE attempt = 3"),
    "labels no map": run_sql("UPDATE containers SET labels = '[]' WHERE attempt = 3"),
    "labels not of strings": run_sql("UPDATE pods SET annotations = '{\"a\": 1}'"),
    "reasons no list": run_sql("UPDATE containers SET reasons = '{}' WHERE attempt = 3"),
    "reasons not of strings": run_sql("UPDATE containers SET reasons = '[1]' WHERE attempt = 3"),
    "hints no list": run_sql("UPDATE containers SET hints = '{}' WHERE attempt = 3"),
    "hints without sets": run_sql('UPDATE containers SET hints = \'[["/sys"], "x"]\' WHERE attempt = 3'),
    "hints with a wrong set": run_sql('UPDATE containers SET hints = \'[["/sys", "3-1", "", ""]]\''),
    "candidates no list": run_sql("UPDATE containers SET candidates = '7' WHERE attempt = 3"),
    "candidates without scores": run_sql('UPDATE containers SET candidates = \'[["pool", [], "chosen"]]\''),
    "scores that are none": run_sql('UPDATE containers SET candidates = \'[["pool", {"a": []}, "chosen"]]\''),
    "labels no UTF-8": run_sql("UPDATE containers SET labels = CAST(x'80' AS TEXT) WHERE attempt = 3"),
    "key of another": run_sql("UPDATE containers SET key = 'pod-9/c/3' WHERE attempt = 3"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_store_is_moved_aside_and_begun_anew(directory, damage):
    filled(directory)
    damage(directory / "state.db")
    damaged = (directory / "state.db").read_bytes()

    with structlog.testing.capture_logs() as events, closing(opened(directory)) as store:
        assert store.load() == ((), ())
        assert store.rebuilt
        store.write(all_of((POD,), (CONTAINER,)))
        assert store.load() == ((POD,), (CONTAINER,))

    aside = directory / "state.db.corrupt-20261122T120000Z"
    assert aside.read_bytes() == damaged
    (event,) = events
    assert event["event"] == "store.corrupt"
    assert event["log_level"] == "error"
    assert event["moved_to"] == str(aside)
    with closing(opened(directory)) as store:
        assert store.load() == ((POD,), (CONTAINER,))
        assert not store.rebuilt


def test_the_log_of_a_damaged_store_goes_aside_with_it_untouched(directory, tmp_path):
    filled(directory)
    crashed = tmp_path / "crashed"
    with closing(opened(directory)) as store:
        store.write(all_of((POD,), (CONTAINER,)))
        shutil.copytree(directory, crashed, copy_function=shutil.copy2)
    (crashed / "state.db").write_bytes(b"garbage" * 1000)
    log = (crashed / "state.db-wal").read_bytes()
    assert log
    with closing(opened(crashed)) as store:
        assert store.load() == ((), ())
    aside = crashed / "state.db.corrupt-20261122T120000Z"
    assert aside.read_bytes() == b"garbage" * 1000
    assert aside.with_name(f"{aside.name}-wal").read_bytes() == log


def test_damaged_stores_of_the_same_second_do_not_replace_each_other(directory):
    for garbage in (b"first" * 500, b"second" * 500):
        filled(directory)
        (directory / "state.db").write_bytes(garbage)
        opened(directory).close()
    kept = {path.name: path.read_bytes()[:6] for path in directory.glob("*corrupt*")}
    assert kept == {"state.db.corrupt-20261122T120000Z": b"firstf", "state.db.corrupt-20261122T120000Z.1": b"second"}


def test_an_empty_file_is_a_new_store_and_no_damage(directory):
    directory.mkdir(mode=0o710)
    (directory / "state.db").touch(mode=0o600)
    with closing(opened(directory)) as store:
        assert store.load() == ((), ())
        assert not store.rebuilt


def test_damage_that_is_met_while_writing_is_told_apart_from_a_disk_that_fails(directory):
    with closing(opened(directory)) as store:
        run_sql("DROP TABLE containers")(store.path)
        with pytest.raises(CorruptError, match="rebuilt from the runtime") as caught:
            store.write(all_of((), (CONTAINER,)))
        store.start_anew(caught.value)
        store.write(all_of((), (CONTAINER,)))
        assert store.load() == ((), (CONTAINER,))
        assert store.rebuilt


# -- a disk that fails


def test_a_full_disk_keeps_the_last_commit_and_takes_the_next_write_when_there_is_space(directory):
    with closing(opened(directory)) as store:
        store.write(all_of((POD,), many(5)))
        before = store.load()
        store._connection.execute("PRAGMA max_page_count = 1")  # SQLite raises it to what is there: not a page more
        with pytest.raises(Degraded, match="free space") as caught:
            store.write(all_of((), many(200)))
        assert not isinstance(caught.value, CorruptError)
        assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
        assert store.load() == before
        store._connection.execute("PRAGMA max_page_count = 1000000")
        store.write(all_of((), many(200)))
        assert len(store.load()[1]) == 200
    assert not list(directory.glob("*corrupt*"))


def test_a_write_that_another_program_locks_out_fails_at_once_and_succeeds_later(directory):
    with closing(opened(directory)) as store, closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Degraded, match="end the transaction of the other program"):
            store.write(all_of((), (CONTAINER,)))
        with pytest.raises(Degraded, match="end the transaction of the other program"):
            store.set("key", "value")
        other.execute("ROLLBACK")
        store.write(all_of((), (CONTAINER,)))
        assert store.load() == ((), (CONTAINER,))


def test_a_row_that_the_schema_refuses_is_no_damage(directory):
    nameless = Container("pod-1", "c", 0, id=None)  # what the type checker would have refused
    with closing(opened(directory)) as store:
        with pytest.raises(Degraded) as caught:
            store.write(all_of((POD,), (nameless,)))
        assert not isinstance(caught.value, CorruptError)
        assert store.load() == ((), ())


LIMITED_WRITER = """
import resource, sys
from pathlib import Path
from cri_resmgr.errors import Degraded
from cri_resmgr.state.failures import CorruptError
from cri_resmgr.state.ledger import Ledger
from cri_resmgr.state.store import Store
from cri_resmgr.values.workloads import Container

store = Store.open(Path(sys.argv[1]))
ledger = Ledger()
written = 0
resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, resource.RLIM_INFINITY))
while written < 1000:
    ledger.put(Container("pod-1", "c", written, annotations={"filler": "x" * 900}))
    changes = ledger.take_changes()
    try:
        store.write(changes)
    except Degraded as error:
        assert not isinstance(error, CorruptError), error
        assert len(store.load()[1]) == written
        ledger.put_back(changes)
        break
    written += 1
assert 0 < written < 1000, written
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.write(ledger.take_changes())
assert len(store.load()[1]) == written + 1
store.close()
"""


def test_a_file_that_may_not_grow_loses_nothing(directory):
    subprocess.run([sys.executable, "-c", LIMITED_WRITER, directory], check=True, timeout=60)
    with closing(opened(directory)) as store:
        assert store.load()[1]
        assert not store.rebuilt


@pytest.fixture(name="small_disk")
def _small_disk(tmp_path: Path) -> Iterator[Path]:
    mount_point = tmp_path / "small"
    mount_point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k,mode=0710", "small", mount_point], check=True)
    try:
        yield mount_point
    finally:
        subprocess.run(["umount", "--lazy", mount_point], check=True)


def fill(directory: Path) -> Path:
    filler = directory / "filler"
    done = subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=4096"], check=False, capture_output=True)
    assert b"No space left" in done.stderr
    return filler


@pytest.mark.needs_root
def test_a_disk_that_is_really_full_loses_nothing_and_recovers(small_disk):
    ledger = Ledger()
    with closing(opened(small_disk)) as store:
        ledger.put(CONTAINER)
        store.write(ledger.take_changes())
        filler = fill(small_disk)
        for container in many(100):
            ledger.put(container)
        changes = ledger.take_changes()
        with pytest.raises(Degraded, match="free space") as caught:
            store.write(changes)
        assert not isinstance(caught.value, CorruptError)
        ledger.put_back(changes)
        assert store.load() == ((), (CONTAINER,))
        filler.unlink()
        store.write(ledger.take_changes())
        assert len(store.load()[1]) == 101
    with closing(opened(small_disk)) as store:
        assert len(store.load()[1]) == 101
        assert not store.rebuilt


@pytest.mark.needs_root
def test_a_full_disk_at_start_is_no_damage(small_disk):
    filled(small_disk)
    before = (small_disk / "state.db").read_bytes()
    filler = fill(small_disk)
    try:
        with closing(opened(small_disk)) as store:
            assert len(store.load()[1]) == 50
    except Degraded as error:
        assert not isinstance(error, CorruptError)  # noqa: PT017 - either is right, damage is not
    assert (small_disk / "state.db").read_bytes() == before
    filler.unlink()
    with closing(opened(small_disk)) as store:
        assert len(store.load()[1]) == 50
        assert not store.rebuilt
    assert not list(small_disk.glob("*corrupt*"))


@pytest.mark.needs_root
def test_a_new_store_on_a_full_disk_is_refused_and_works_when_there_is_space(small_disk):
    filler = fill(small_disk)
    with pytest.raises(Degraded, match="free space"):
        opened(small_disk)
    filler.unlink()
    with closing(opened(small_disk)) as store:
        assert store.load() == ((), ())
        assert not store.rebuilt


@pytest.mark.needs_root
def test_a_read_only_disk_is_an_outside_failure_and_no_bad_input(small_disk):
    filled(small_disk)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(Degraded, match=r"(?i)read-only"):
        opened(small_disk)
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    with closing(opened(small_disk)) as store:
        assert len(store.load()[1]) == 50


# -- kill -9


DYING_WRITER = """
import asyncio, sys
from pathlib import Path
from cri_resmgr.state.ledger import Ledger
from cri_resmgr.state.store import Store
from cri_resmgr.state.writer import Writer
from cri_resmgr.values.workloads import Container, Pod

async def main():
    store = Store.open(Path(sys.argv[1]))
    ledger = Ledger(*store.load())
    writer = Writer(ledger, store, log_limit_bytes=40_000)
    step = max((int(pod.name) for pod in ledger.pods.values()), default=-1) + 1
    while True:
        # One step is one transaction over several rows: the pod's name and each of its containers say the step.
        ledger.put_pod(Pod("pod", str(step), "ns", "uid"))
        for attempt in range(3):
            ledger.put(Container("pod", "c", attempt, id=f"{attempt}-{step}", annotations={"filler": "x" * 900}))
        ledger.put(Container("other", f"n{step}", 0))
        ledger.drop(f"other/n{step - 3}/0")
        assert await writer.now()
        print(step, flush=True)
        step += 1
        await asyncio.sleep(0)

asyncio.run(main())
"""


def test_kill_9_at_any_moment_leaves_everything_that_was_acknowledged(directory):
    acknowledged = -1
    for delay_ms in (0, 1, 2, 3, 5, 8, 13, 21, 34, 55) * 3:
        process = subprocess.Popen(
            [sys.executable, "-c", DYING_WRITER, directory], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        with process:
            assert process.stdout.readline(), process.stderr.read()
            try:
                process.wait(delay_ms / 1000)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
            rest = process.stdout.read().splitlines()
        assert process.returncode == -signal.SIGKILL, rest
        acknowledged = int(rest[-1]) if rest else acknowledged + 1
        with closing(opened(directory)) as store:
            (pod,), containers = store.load()
            assert not store.rebuilt
        step = int(pod.name)
        # The step that was being made when the process died may be there or not, but never a part of it.
        assert step in {acknowledged, acknowledged + 1}
        assert {c.id for c in containers if c.pod_id == "pod"} == {f"{attempt}-{step}" for attempt in range(3)}
        others = {f"n{n}" for n in range(max(0, step - 2), step + 1)}
        assert {c.name for c in containers if c.pod_id == "other"} == others
        acknowledged = step
