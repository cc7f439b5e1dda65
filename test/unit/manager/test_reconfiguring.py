"""Another policy while containers run: all of it or nothing, whatever policy, store and runtime do."""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import pytest
import structlog

from cri_resmgr.cri import api_pb2 as api
from cri_resmgr.cri import methods
from cri_resmgr.errors import Degraded
from cri_resmgr.manager import owing, reconfiguring
from cri_resmgr.manager.reconfiguring import Reconfigurer, Regime
from cri_resmgr.policies.contract import Restored
from cri_resmgr.policies.none import NonePolicy
from cri_resmgr.state.store import Store
from cri_resmgr.values.decisions import HOLDING_NOTHING
from cri_resmgr.values.resources import NOTHING
from cri_resmgr.values.workloads import Container, Pod
from cri_resmgr.wire.grpc import UNAVAILABLE
from doubles.calls import DEADLINE_S, accepting
from doubles.policies import PrivatePolicy
from doubles.runtime import FakeRuntime, StatusError
from unit.manager.managers import SHAREABLE, Manager, create_request

NEW, OLD = {"settings": "new"}, {"settings": "old"}


@dataclass(frozen=True)
class Broken(PrivatePolicy):
    """A policy that cannot begin."""

    def restore(self, running: Sequence[tuple[Container, Pod]]) -> Restored:
        raise ZeroDivisionError("by design")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(owing, "FIRST_RETRY_S", 0.001)
    monkeypatch.setattr(owing, "LAST_RETRY_S", 0.002)
    with structlog.testing.capture_logs():
        yield


@pytest.fixture(name="store")
def _store(tmp_path):
    with closing(Store.open(tmp_path / "relay")) as store:
        yield store


class Node:
    """A manager, and what switches its policy."""

    def __init__(self, store: Store, policy, cpus: int = SHAREABLE) -> None:
        self.runtime = FakeRuntime()
        self.manager = Manager(store, self.runtime, budget_s=DEADLINE_S, policy=policy).reconciled()
        self.store, self.ledger = store, self.manager.ledger
        self.reconfigurer = Reconfigurer(
            self.manager.book, self.manager.enforcer, self.manager.writer, regime=Regime(policy, cpus)
        )
        self.reconfigurer.keep(OLD)

    async def switch(self, policy, cpus: int = SHAREABLE) -> None:
        async with asyncio.timeout(DEADLINE_S):
            await self.reconfigurer.switch(Regime(policy, cpus), values=NEW, values_before=OLD)

    async def refused(self, policy) -> str:
        with pytest.raises(Degraded) as caught:
            await self.switch(policy)
        return str(caught.value)

    def cpus(self) -> dict[str, str]:
        """By name, what the runtime holds containers to."""
        return {c.config.metadata.name: c.has.cpuset_cpus for c in self.runtime.containers.values()}

    async def agrees(self) -> None:
        """Ledger, store and policy say the same, and nothing is owed."""
        await self.manager.writer.now()
        assert self.manager.stored() == dict(self.ledger.containers)
        assert not self.ledger.owed
        again = self.manager.decider.policy.restore(self.manager.placing._running())
        assert again.state == self.manager.decider.state
        assert not again.changes


@pytest.fixture(name="node")
async def _node(store):
    made = Node(store, NonePolicy(), cpus=0)
    pod = await made.manager.run_pod()
    for name in ("s", "x", "x2"):
        await made.manager.run_container(pod, name, cpu_shares=100)
    yield made
    await made.manager.close()


async def test_containers_move_as_the_new_policy_says_and_back_to_what_was_asked(node):
    await node.switch(PrivatePolicy())
    assert node.cpus() == {"s": "2-7", "x": "0", "x2": "1"}
    assert node.store.get("settings") == "new"
    await node.agrees()
    await node.switch(NonePolicy(), cpus=0)
    assert node.cpus() == dict.fromkeys(("s", "x", "x2"), "0-7")
    assert all((c.given, c.holding) == (NOTHING, HOLDING_NOTHING) for c in node.ledger.containers.values())
    await node.agrees()


async def test_only_those_that_must_are_told(node):
    await node.switch(PrivatePolicy())
    before = node.runtime.calls[methods.UPDATE_CONTAINER_RESOURCES]
    await node.switch(PrivatePolicy(cpus=4))  # those with CPUs of their own keep them
    assert node.cpus() == {"s": "2-3", "x": "0", "x2": "1"}
    assert node.runtime.calls[methods.UPDATE_CONTAINER_RESOURCES] == before + 1
    await node.agrees()


async def test_decisions_and_settings_are_one_write(node, monkeypatch):
    writes = []
    write = node.store.write
    await node.manager.writer.now()

    def noted(_self, changes, values):
        writes.append((len(changes), dict(values)))
        write(changes, values)

    monkeypatch.setattr(Store, "write", noted)
    await node.switch(PrivatePolicy())
    assert writes[0] == (3, NEW)


async def test_a_policy_that_cannot_begin_changes_nothing(node):
    before = dict(node.ledger.containers)
    assert "by design" in await node.refused(Broken())
    assert dict(node.ledger.containers) == before
    assert node.manager.decider.policy.name == "none"
    assert node.cpus() == dict.fromkeys(("s", "x", "x2"), "")
    await node.manager.writer.now()
    assert node.store.get("settings") == "old"


async def test_what_the_runtime_does_not_take_is_taken_back(node):
    await node.switch(PrivatePolicy(cpus=4))
    before = {key: (c.given, c.holding, c.reasons) for key, c in node.ledger.containers.items()}
    node.reconfigurer.keep(OLD)
    node.runtime.refused[methods.UPDATE_CONTAINER_RESOURCES] = StatusError(UNAVAILABLE, "no thanks")
    text = await node.refused(PrivatePolicy(cpus=8))
    assert "no thanks" in text
    assert "shop/web:s" in text
    assert "policy private goes on" in text
    node.runtime.refused.clear()
    await node.manager.told()
    assert {key: (c.given, c.holding, c.reasons) for key, c in node.ledger.containers.items()} == before
    assert node.cpus() == {"s": "2-3", "x": "0", "x2": "1"}
    assert node.store.get("settings") == "old"
    await node.agrees()


async def test_a_store_that_does_not_take_it_leaves_all_as_it_was(node):
    await node.manager.writer.now()
    with closing(sqlite3.connect(node.store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "store" in await node.refused(PrivatePolicy())
    await node.manager.told()
    await node.manager.writer.now()
    assert all(c.given == NOTHING for c in node.ledger.containers.values())
    assert node.store.get("settings") == "old"
    await node.agrees()


async def test_a_container_that_was_in_trouble_before_proves_nothing(node):
    await node.switch(PrivatePolicy(cpus=4))
    node.runtime.refused[methods.UPDATE_CONTAINER_RESOURCES] = StatusError(UNAVAILABLE, "no thanks")
    await node.refused(PrivatePolicy(cpus=8))
    node.manager.enforcer._owing.repeat(next(iter(node.ledger.holders)))
    while not node.manager.enforcer.complaints():
        node.manager.enforcer.changed(())
        await asyncio.sleep(0.001)
    await node.switch(PrivatePolicy(cpus=8))
    assert node.store.get("settings") == "new"


async def test_a_container_that_is_being_made_meets_the_new_policy_when_it_is_there(node):
    pod = next(iter(node.runtime.pods))
    call = node.manager.begin(methods.CREATE_CONTAINER, create_request(pod, "x3", cpu_shares=100))
    await call.until_forwarded()
    await node.switch(PrivatePolicy())
    assert node.manager.container(pod, "x3").given != NOTHING
    await accepting(node.runtime, call).result()
    await node.manager.told()
    assert node.cpus()["x3"] == "2"
    await node.agrees()


async def test_a_container_that_could_not_be_made_is_unknown_to_the_new_policy(node):
    pod = next(iter(node.runtime.pods))
    call = node.manager.begin(methods.CREATE_CONTAINER, create_request(pod, "x3", cpu_shares=100))
    await call.until_forwarded()
    await node.switch(PrivatePolicy())
    call.fail(UNAVAILABLE, "no")
    with pytest.raises(Exception, match="no"):
        await call.result()
    await node.manager.told()
    await node.manager.writer.now()
    assert node.cpus()["s"] == "2-7"
    await node.agrees()


async def test_who_came_and_went_while_a_switch_failed_is_known_to_the_old_policy(node):
    await node.switch(PrivatePolicy(cpus=4))
    node.runtime.refused[methods.UPDATE_CONTAINER_RESOURCES] = StatusError(UNAVAILABLE, "no thanks")
    switching = asyncio.ensure_future(node.refused(PrivatePolicy(cpus=8)))
    await asyncio.sleep(0)
    while node.manager.decider.policy.cpus != 8:
        await asyncio.sleep(0)
    pod, gone = next(iter(node.runtime.pods)), node.runtime.key_of("x").id
    await node.manager.do(methods.STOP_CONTAINER, api.StopContainerRequest(container_id=gone))
    call = node.manager.begin(methods.CREATE_CONTAINER, create_request(pod, "x3", cpu_shares=100))
    await call.until_forwarded()
    await accepting(node.runtime, call).result()
    await switching
    node.runtime.refused.clear()
    await node.manager.told()
    await node.manager.writer.now()
    assert node.manager.decider.policy.cpus == 4
    await node.agrees()


async def test_an_old_policy_that_cannot_begin_again_does_so_when_it_can(node):
    @dataclass(frozen=True)
    class Moody(PrivatePolicy):
        moods: tuple[int, ...] = ()

        def restore(self, running):
            if moods.pop():
                raise ZeroDivisionError("by design")
            return super().restore(running)

    moods = [False, True, False]
    await node.switch(Moody(cpus=4))
    node.manager.book.doubted.clear()
    node.runtime.refused[methods.UPDATE_CONTAINER_RESOURCES] = StatusError(UNAVAILABLE, "no thanks")
    await node.refused(PrivatePolicy(cpus=8))
    node.runtime.refused.clear()
    assert node.manager.placing.stale
    assert node.manager.book.doubted.is_set()
    await node.manager.reconciler.once()
    await node.manager.told()
    assert not node.manager.placing.stale
    assert node.cpus() == {"s": "2-3", "x": "0", "x2": "1"}


async def test_containers_that_the_policy_does_not_know_share_what_the_new_one_has(node):
    await node.switch(PrivatePolicy())
    node.manager.decider.begun = False
    await node.manager.run_container(next(iter(node.runtime.pods)), "s2", cpu_shares=100)
    await node.manager.told()
    assert len(node.manager.unplaced) == 1
    node.manager.decider.begun = True
    await node.switch(PrivatePolicy(cpus=4), cpus=0xF)
    assert len(node.manager.unplaced) == 0
    assert node.cpus()["s2"] == "2-3"
    await node.agrees()


async def test_what_runs_must_be_known_before_a_policy_is_asked_about_it(store, monkeypatch):
    monkeypatch.setattr(reconfiguring, "BEGIN_DEADLINE_S", 0.01)
    runtime = FakeRuntime()
    manager = Manager(store, runtime, budget_s=DEADLINE_S, policy=NonePolicy())
    reconfigurer = Reconfigurer(manager.book, manager.enforcer, manager.writer, regime=Regime(NonePolicy(), 0))
    with pytest.raises(Degraded, match="the runtime does not answer"):
        await reconfigurer.switch(Regime(PrivatePolicy(), SHAREABLE), values=NEW, values_before=OLD)
    await manager.close()
    assert store.get("settings") is None


async def test_a_crash_right_after_the_write_goes_on_with_the_new_policy(node, tmp_path, monkeypatch):
    monkeypatch.setattr(type(node.manager.enforcer), "verified", lambda *_: asyncio.Event().wait())
    switching = asyncio.ensure_future(
        node.reconfigurer.switch(Regime(PrivatePolicy(), 0xFF), values=NEW, values_before=OLD)
    )
    while node.store.get("settings") != "new":
        await asyncio.sleep(0)
    stored = node.manager.stored()
    assert {c.name: c.given.cpuset_cpus for c in stored.values()} == {"s": "2-7", "x": "0", "x2": "1"}
    switching.cancel()
    again = Manager(node.store, node.runtime, budget_s=DEADLINE_S, policy=PrivatePolicy()).reconciled()
    await again.told()
    assert node.cpus() == {"s": "2-7", "x": "0", "x2": "1"}
    await again.close()
