"""Changes reach the store in batches or at once, and wait for it when it fails."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import structlog

from cri_resmgr.state import checkpoint
from cri_resmgr.state import writer as writing
from cri_resmgr.state.ledger import Ledger
from cri_resmgr.state.store import Store
from cri_resmgr.state.writer import Writer
from cri_resmgr.values.workloads import Container, Pod, State

POD = Pod("pod-1", "web", "shop", "uid-1")
CONTAINER = Container("pod-1", "c", 0, annotations={"filler": "x" * 900})


@pytest.fixture(name="store")
def _store(tmp_path: Path):
    with closing(Store.open(tmp_path / "relay")) as store:
        yield store


@pytest.fixture(name="quick_retries")
def _quick_retries(monkeypatch):
    monkeypatch.setattr(writing, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(writing, "LAST_RETRY_S", 0.02)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


def stored(store: Store) -> dict[str, Container]:
    return {container.key: container for container in store.load()[1]}


def lock_out(store: Store) -> sqlite3.Connection:
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return other


async def test_what_must_not_be_forgotten_is_stored_when_now_returns(store):
    ledger = Ledger()
    writer = Writer(ledger, store)
    ledger.put_pod(POD)
    ledger.put(CONTAINER)
    assert await writer.now()
    assert store.load() == ((POD,), (CONTAINER,))


async def test_soon_gathers_many_changes_into_one_write(store, monkeypatch):
    writes = []
    original = Store.write
    monkeypatch.setattr(Store, "write", lambda self, changes, _: (writes.append(len(changes)), original(self, changes)))
    ledger = Ledger()
    writer = Writer(ledger, store)
    for attempt in range(20):
        ledger.put(Container("pod-1", "c", attempt))
        writer.soon()
    assert not writes
    await until(lambda: len(stored(store)) == 20)
    assert writes == [20]


async def test_nothing_is_written_and_nothing_runs_when_nothing_changed(store, monkeypatch):
    monkeypatch.setattr(Store, "write", lambda *_: pytest.fail("there is nothing to write"))
    writer = Writer(Ledger(), store)
    assert await writer.now()
    writer.soon()
    await until(lambda: writer._timer is None)
    assert len(asyncio.all_tasks()) == 1


async def test_now_takes_along_what_was_for_soon(store):
    ledger = Ledger()
    writer = Writer(ledger, store, interval_s=3600)
    ledger.put_pod(POD)
    writer.soon()
    ledger.put(CONTAINER)
    await writer.now()
    assert store.load() == ((POD,), (CONTAINER,))
    await writer.close()


async def test_closing_writes_what_is_pending_and_leaves_no_timer(store):
    ledger = Ledger()
    writer = Writer(ledger, store, interval_s=3600)
    ledger.put(CONTAINER)
    writer.soon()
    assert await writer.close()
    assert stored(store) == {CONTAINER.key: CONTAINER}
    assert writer._timer is None


async def test_a_failed_write_is_told_once_kept_and_made_up_for(store, quick_retries):
    ledger = Ledger()
    writer = Writer(ledger, store)
    with structlog.testing.capture_logs() as events:
        with closing(lock_out(store)):
            ledger.put(CONTAINER)
            assert not await writer.now()
            assert not writer.healthy
            assert "other program" in str(writer.last_error)
            running = ledger.moved(CONTAINER.key, State.RUNNING)
            assert not await writer.now()
            ledger.put_pod(POD)
            writer.soon()
            await asyncio.sleep(0.1)  # several retries fail as well
        await until(lambda: writer.healthy)
    assert store.load() == ((POD,), (running,))
    assert [event["event"] for event in events] == ["store.degraded", "store.recovered"]
    assert writer.last_error is None


async def test_the_first_write_after_a_failure_succeeds_without_waiting_for_the_retry(store, monkeypatch):
    monkeypatch.setattr(writing, "FIRST_RETRY_S", 3600)
    ledger = Ledger()
    writer = Writer(ledger, store)
    with closing(lock_out(store)):
        ledger.put(CONTAINER)
        assert not await writer.now()
    assert await writer.now()
    assert writer.healthy
    assert stored(store) == {CONTAINER.key: CONTAINER}
    await writer.close()


async def test_retries_become_rarer_and_begin_anew_after_a_success(store, monkeypatch):
    delays = []
    writer = Writer(ledger := Ledger(), store)
    monkeypatch.setattr(Writer, "_arm", lambda _self, delay_s: delays.append(delay_s))
    for _ in range(2):
        with closing(lock_out(store)):
            for attempt in range(8):
                ledger.put(Container("pod-1", "c", attempt, id=str(len(delays))))
                await writer.now()
        await writer.now()
    assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0] * 2


async def test_a_store_damaged_while_in_use_is_replaced_and_told_everything(store, quick_retries):
    ledger = Ledger()
    writer = Writer(ledger, store)
    ledger.put_pod(POD)
    ledger.put(CONTAINER)
    await writer.now()
    with closing(sqlite3.connect(store.path)) as vandal:
        vandal.execute("DROP TABLE containers")
    with structlog.testing.capture_logs() as events:
        other = Container("pod-1", "c", 1)
        ledger.put(other)
        assert not await writer.now()
        await until(lambda: writer.healthy)
    assert store.load()[0] == (POD,)
    assert stored(store) == {CONTAINER.key: CONTAINER, other.key: other}
    assert store.rebuilt
    assert [event["event"] for event in events] == ["store.corrupt", "store.degraded", "store.recovered"]


async def test_a_disk_that_fails_while_the_damaged_store_is_replaced_loses_nothing(store, quick_retries, monkeypatch):
    ledger = Ledger()
    writer = Writer(ledger, store)
    ledger.put_pod(POD)
    ledger.put(CONTAINER)
    await writer.now()
    with closing(sqlite3.connect(store.path)) as vandal:
        vandal.execute("DROP TABLE containers")
    with monkeypatch.context() as patched:
        patched.setattr("cri_resmgr.state.store.prepare", _no_space)
        ledger.moved(CONTAINER.key, State.RUNNING)
        for _ in range(3):
            assert not await writer.now()
    await until(lambda: writer.healthy)
    assert store.load() == ((POD,), tuple(ledger.containers.values()))
    assert len(list(store.path.parent.glob("*corrupt-*Z"))) == 1


def _no_space(*_):
    raise writing.Degraded("no space")


async def test_an_error_of_our_own_is_raised_and_loses_nothing(store):
    ledger = Ledger()
    writer = Writer(ledger, store)
    ledger.put(Container("pod-1", "c", 0, id="\udc80"))  # no UTF-8
    with pytest.raises(UnicodeEncodeError):
        await writer.now()
    ledger.put(CONTAINER)
    assert await writer.now()
    assert stored(store) == {CONTAINER.key: CONTAINER}


# -- checkpoints


async def test_the_log_stays_short_under_writes_without_end(store):
    ledger = Ledger()
    limit = 256 << 10
    writer = Writer(ledger, store, log_limit_bytes=limit)
    written = longest = 0
    while written < 20 * limit:
        for attempt in range(20):
            ledger.put(Container("pod-1", "c", attempt, id=str(written), annotations={"filler": "x" * 900}))
            assert await writer.now()
            written += 1000
            await asyncio.sleep(0)
        longest = max(longest, store.wal_bytes)
        await asyncio.sleep(0.001)
    await writer.close()
    assert longest < written / 2  # without checkpoints it would hold more than was written
    assert stored(store) == dict(ledger.containers)


async def test_a_checkpoint_begins_the_log_anew_so_that_the_loop_need_not_sync_it(store):
    ledger = Ledger()
    writer = Writer(ledger, store, log_limit_bytes=1)
    ledger.put(CONTAINER)
    await writer.now()
    await until(lambda: not writer._checkpointer.running)
    assert 0 < store.wal_bytes < 4096  # the commit that began it
    assert stored(store) == {CONTAINER.key: CONTAINER}


async def test_commits_wait_for_the_end_of_a_checkpoint_and_then_succeed(store, monkeypatch):
    reached, go_on = threading.Event(), threading.Event()
    restart = checkpoint.restart

    def slow_restart(path: Path) -> int:
        reached.set()
        assert go_on.wait(20)
        return restart(path)

    monkeypatch.setattr(checkpoint, "restart", slow_restart)
    ledger = Ledger()
    writer = Writer(ledger, store, log_limit_bytes=1)
    ledger.put(CONTAINER)
    await writer.now()
    await until(reached.is_set)

    ledger.put_pod(POD)
    writer.soon()
    await asyncio.sleep(0.05)
    waiting = asyncio.create_task(writer.now())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    assert store.load()[0] == ()

    go_on.set()
    assert await waiting
    assert store.load()[0] == (POD,)
    await writer.close()


async def test_a_checkpoint_on_a_disk_that_hangs_makes_commits_late_and_not_lost(store, monkeypatch):
    go_on = threading.Event()
    monkeypatch.setattr(checkpoint, "PAUSE_DEADLINE_S", 0.01)
    monkeypatch.setattr(checkpoint, "restart", lambda _path: go_on.wait(20) and 0)
    ledger = Ledger()
    writer = Writer(ledger, store, log_limit_bytes=1)
    ledger.put(CONTAINER)
    await writer.now()
    await until(lambda: writer._checkpointer.paused)
    ledger.put_pod(POD)
    assert not await writer.now()
    go_on.set()
    await until(lambda: store.load()[0] == (POD,))
    await writer.close()


async def test_a_checkpoint_that_fails_is_told_and_tried_again_when_the_log_grows(store, monkeypatch):
    def failing(_path: Path) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    ledger = Ledger()
    writer = Writer(ledger, store, log_limit_bytes=1)
    with structlog.testing.capture_logs() as events, monkeypatch.context() as patched:
        patched.setattr(checkpoint, "copy_back", failing)
        ledger.put(CONTAINER)
        assert await writer.now()
        await until(lambda: not writer._checkpointer.running)
    assert [event["event"] for event in events] == ["store.checkpoint_failed"]
    assert writer.healthy
    ledger.put_pod(POD)
    assert await writer.now()
    await writer.close()
    assert store.wal_bytes < 4096


async def test_a_reader_that_keeps_the_log_busy_does_not_make_checkpoints_spin(store, monkeypatch):
    runs = []
    copy_back = checkpoint.copy_back
    monkeypatch.setattr(checkpoint, "copy_back", lambda path: (runs.append(path), copy_back(path)))
    ledger = Ledger()
    writer = Writer(ledger, store, log_limit_bytes=20_000)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM pods").fetchall()
        for attempt in range(40):
            ledger.put(Container("pod-1", "c", attempt, annotations={"filler": "x" * 900}))
            assert await writer.now()
            await until(lambda: not writer._checkpointer.running)
        assert 1 <= len(runs) < 20
    await writer.close()


async def test_values_to_keep_and_what_they_belong_to_are_one_write(store, monkeypatch):
    ledger = Ledger()
    writer = Writer(ledger, store)
    written = []
    write = store.write
    monkeypatch.setattr(Store, "write", lambda _self, *args: (written.append(args), write(*args)))
    ledger.put(CONTAINER)
    writer.keep({"settings": "new"})
    assert await writer.now()
    assert len(written) == 1
    assert (store.get("settings"), stored(store)) == ("new", {CONTAINER.key: CONTAINER})
    await writer.close()


async def test_values_that_could_not_be_written_are_made_up_for_and_the_latest_counts(store, quick_retries):
    writer = Writer(Ledger(), store)
    with structlog.testing.capture_logs():
        with closing(lock_out(store)):
            writer.keep({"a": "1", "b": "1"})
            assert not await writer.now()
            writer.keep({"b": "2"})
        await until(lambda: writer.healthy and store.get("b") == "2")
    assert store.get("a") == "1"


async def test_a_store_that_starts_anew_is_told_all_values_that_were_kept(store, quick_retries):
    ledger = Ledger()
    writer = Writer(ledger, store)
    writer.keep({"settings": "kept"})
    await writer.now()
    with closing(sqlite3.connect(store.path)) as vandal:
        vandal.execute("DROP TABLE containers")
    with structlog.testing.capture_logs():
        ledger.put(CONTAINER)
        assert not await writer.now()
        await until(lambda: writer.healthy)
    assert store.rebuilt
    assert store.get("settings") == "kept"


async def test_the_schemas_own_key_is_nobodys_value(store):
    writer = Writer(Ledger(), store)
    writer.keep({"schema_version": "99"})
    with pytest.raises(ValueError, match="schema_version"):
        await writer.now()
    writer._timer.cancel()
