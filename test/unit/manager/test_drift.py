"""Whoever else writes cpusets: containers come back to what was decided, through the runtime, in nobody's way."""

import asyncio
import threading
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.host.cgroups import Effective
from cri_resmgr.manager import drift as drift_
from cri_resmgr.manager.drift import AT_ONCE, FIRST_RETRY_S, LAST_RETRY_S, Drift, Means
from cri_resmgr.manager.events import Events
from cri_resmgr.state.ledger import Ledger
from cri_resmgr.values import cpusets
from cri_resmgr.values.decisions import Decision
from cri_resmgr.values.resources import NOTHING, Assignment
from cri_resmgr.values.workloads import Container, Pod, State
from cri_resmgr.wire.client import CallError

POD = Pod("p", "web", "shop", "u")
WANTED = Assignment(cpuset_cpus="0-1", cpuset_mems="0")


def effective(cpus: str, mems: str = "0") -> Effective:
    return Effective(cpusets.parse(cpus), cpusets.parse(mems), 2)


@dataclass
class Kernel:
    """Containers' cgroups, and a runtime that writes them; `offline` CPUs are taken and not had."""

    held: dict[int, Effective] = field(default_factory=dict)
    pids: dict[str, int] = field(default_factory=dict)
    offline: int = 0
    refuses: bool = False
    asked: list[str] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)

    async def pid_of(self, container_id: str) -> int:
        self.asked.append(container_id)
        if container_id not in self.pids:
            raise CallError("ContainerStatus", 5, "not found")
        return self.pids[container_id]

    def effective(self, pid: int) -> Effective | None:
        self.threads.add(threading.get_ident())
        return self.held.get(pid)

    async def repair(self, container: Container) -> None:
        self.repaired.append(container.id)
        if self.refuses:
            raise CallError("UpdateContainerResources", 2, "no")
        wanted = container.given
        held = effective(wanted.cpuset_cpus or "0-7", wanted.cpuset_mems or "0-1")
        self.held[self.pids[container.id]] = replace(held, cpus=held.cpus & ~self.offline)


class World:
    """A ledger, a kernel and the watch between them."""

    def __init__(self) -> None:
        self.ledger, self.kernel = Ledger([POD]), Kernel()
        self.now_s, self.busy = 0.0, set()
        self.events = Events(lambda _: None, pods=self.ledger.pods)
        means = Means(self.busy.__contains__, self.kernel.pid_of, self.kernel.effective, self.kernel.repair)
        self.drift = Drift(self.ledger, self.events, means=means, clock=lambda: self.now_s)

    def run(self, name: str = "c", *, on: Effective | None = None, given: Assignment = WANTED) -> str:
        """A running container; its id."""
        container = Container("p", name, 0, id=f"id-{name}", state=State.RUNNING, given=given)
        self.ledger.put(container)
        pid = self.kernel.pids[container.id] = 100 + len(self.kernel.pids)
        self.kernel.held[pid] = on or effective("0-1")
        return container.id

    def move(self, container_id: str, cpus: str, mems: str = "0") -> None:
        """Somebody writes the cgroup."""
        self.kernel.held[self.kernel.pids[container_id]] = effective(cpus, mems)

    def where(self, container_id: str) -> Effective:
        return self.kernel.held[self.kernel.pids[container_id]]

    @property
    def counts(self) -> tuple[int, int, int]:
        counters = self.drift.counters
        return counters.found, counters.repaired, counters.failed


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch):
    monkeypatch.setattr(drift_, "PAUSE_S", 0)


@pytest.fixture
async def world() -> World:
    return World()


@pytest.mark.parametrize(("cpus", "mems"), [("0-7", "0"), ("0", "0"), ("2-3", "0"), ("0-1", "0-1"), ("", "0")])
async def test_a_container_that_lost_its_cpuset_gets_it_again_and_the_operator_is_told(world, cpus, mems):
    container_id = world.run()
    world.move(container_id, cpus, mems)
    await world.drift.once()
    assert world.where(container_id) == effective("0-1")
    assert world.counts == (1, 1, 0)
    (event,) = world.events
    assert (event.kind, event.subject) == ("CpusetDrift", "shop/web:c")
    assert event.text == (
        f"ran on CPUs {cpus}, memory nodes {mems} instead of CPUs 0-1, memory nodes 0; the runtime is told again"
    )


async def test_who_is_where_it_should_be_is_left_alone(world):
    world.run("a")
    world.run("b", on=effective("3", "0-1"), given=Assignment(cpuset_cpus="3"))
    world.run("c", on=effective("0-7", "1"), given=Assignment(cpuset_mems="1"))
    await world.drift.once()
    assert (world.kernel.repaired, list(world.events), world.counts) == ([], [], (0, 0, 0))


async def test_containers_on_which_nothing_was_set_cost_nothing(world):
    world.run("a", given=NOTHING)
    world.run("b", given=Assignment(cpu_shares=2, cpuset_cpus=""))
    await world.drift.once()
    assert (world.kernel.asked, world.kernel.threads) == ([], set())


@pytest.mark.parametrize("state", [State.CREATING, State.CREATED, State.EXITED])
async def test_only_what_runs_is_looked_at(world, state):
    world.run()
    world.ledger.moved("p/c/0", state)
    await world.drift.once()
    assert world.kernel.asked == []


async def test_files_are_read_in_another_thread_and_processes_asked_for_once(world):
    for number in range(3 * AT_ONCE + 1):
        world.run(f"c{number}")
    await world.drift.once()
    await world.drift.once()
    assert world.drift.counters.rounds == 2
    assert len(world.kernel.asked) == 3 * AT_ONCE + 1
    assert threading.get_ident() not in world.kernel.threads


async def test_a_container_that_is_being_changed_is_left_alone(world):
    container_id = world.run()
    world.move(container_id, "5")
    world.busy.add("p/c/0")
    await world.drift.once()
    assert (world.kernel.repaired, world.counts) == ([], (0, 0, 0))
    world.busy.clear()
    await world.drift.once()
    assert world.kernel.repaired == [container_id]


@pytest.mark.parametrize(
    "change",
    [
        lambda ledger: ledger.decided("p/c/0", Decision(Assignment(cpuset_cpus="5"))),
        lambda ledger: ledger.moved("p/c/0", State.EXITED),
        lambda ledger: ledger.drop("p/c/0"),
    ],
    ids=["another decision", "exited", "gone"],
)
async def test_what_changed_while_it_was_read_is_not_repaired_to_what_it_was(world, change):
    world.move(world.run(), "5")

    def slow(pid: int) -> Effective | None:
        change(world.ledger)
        return world.kernel.effective(pid)

    means = Means(world.busy.__contains__, world.kernel.pid_of, slow, world.kernel.repair)
    await Drift(world.ledger, world.events, means=means).once()
    assert (world.kernel.repaired, list(world.events)) == ([], [])


async def test_a_process_id_that_is_somebody_elses_by_now_makes_no_drift(world):
    container_id = world.run()
    await world.drift.once()
    old = world.kernel.pids[container_id]
    world.kernel.pids[container_id] = 999
    world.kernel.held |= {999: effective("0-1"), old: effective("7")}
    await world.drift.once()
    assert (world.kernel.repaired, world.counts) == ([], (0, 0, 0))
    assert world.kernel.asked == [container_id, container_id]


async def test_a_container_whose_process_has_gone_is_asked_for_again_next_time(world):
    container_id = world.run()
    await world.drift.once()
    del world.kernel.held[world.kernel.pids[container_id]]
    await world.drift.once()
    world.kernel.pids[container_id] = 999
    world.kernel.held[999] = effective("7")
    await world.drift.once()
    assert world.where(container_id) == effective("0-1")


async def test_one_that_the_runtime_does_not_know_does_not_end_the_round(world):
    del world.kernel.pids[world.run("a")]
    lost = world.run("b")
    world.move(lost, "7")
    await world.drift.once()
    assert world.where(lost) == effective("0-1")


async def test_what_a_repair_does_not_put_right_is_tried_again_with_growing_pauses(world):
    container_id = world.run()
    world.kernel.offline = cpusets.parse("1")
    world.move(container_id, "0")
    await world.drift.once()
    assert (world.counts, world.drift.unrepaired) == ((1, 0, 1), 1)

    tries = []
    while world.now_s < 10 * LAST_RETRY_S:
        world.now_s += 1
        before = len(world.kernel.repaired)
        await world.drift.once()
        if len(world.kernel.repaired) > before:
            tries.append(world.now_s)
    pauses = [after - before for before, after in zip([0.0, *tries], tries, strict=False)]
    assert pauses[:3] == [FIRST_RETRY_S, 2 * FIRST_RETRY_S, 4 * FIRST_RETRY_S]
    assert pauses[-1] == max(pauses) == LAST_RETRY_S
    assert [event.count for event in world.events] == [len(tries) + 1]

    world.kernel.offline = 0
    world.now_s += LAST_RETRY_S
    await world.drift.once()
    assert world.where(container_id) == effective("0-1")
    assert world.drift.unrepaired == 0


async def test_another_place_than_the_one_that_could_not_be_put_right_is_repaired_at_once(world):
    container_id = world.run()
    world.kernel.refuses = True
    world.move(container_id, "6")
    await world.drift.once()
    world.move(container_id, "7")
    world.kernel.refuses = False
    await world.drift.once()
    assert world.where(container_id) == effective("0-1")
    assert (world.counts, world.drift.unrepaired) == ((2, 1, 1), 0)


async def test_one_that_came_back_by_itself_is_no_worry_any_more(world):
    container_id = world.run()
    world.kernel.refuses = True
    world.move(container_id, "6")
    await world.drift.once()
    world.move(container_id, "0-1")
    await world.drift.once()
    assert world.drift.unrepaired == 0


async def test_the_dead_leave_nothing_behind(world):
    container_id = world.run()
    world.kernel.refuses = True
    world.move(container_id, "6")
    await world.drift.once()
    world.ledger.drop("p/c/0")
    await world.drift.once()
    assert (world.drift.unrepaired, world.drift._pids) == (0, {})


async def turns(condition) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


async def test_rounds_come_in_their_interval_and_a_broken_one_does_not_end_them(world, logged):
    container_id = world.run()
    broken = [RuntimeError("a mistake of ours")]

    def once_broken(pid: int) -> Effective | None:
        if broken:
            raise broken.pop()
        return world.kernel.effective(pid)

    means = Means(world.busy.__contains__, world.kernel.pid_of, once_broken, world.kernel.repair)
    drift = Drift(world.ledger, world.events, means=means)
    drift.every(0.001)
    running = asyncio.create_task(drift.run())
    try:
        await turns(lambda: any(entry["event"] == "drift.broken" for entry in logged))
        world.move(container_id, "7")
        await turns(lambda: drift.counters.repaired == 1)
    finally:
        running.cancel()


async def test_an_interval_of_nothing_means_never_until_there_is_another(world):
    world.move(world.run(), "7")
    world.drift.every(0)
    running = asyncio.create_task(world.drift.run())
    try:
        await asyncio.sleep(0.02)
        assert world.kernel.asked == []
        world.drift.every(0.001)
        await turns(lambda: world.drift.counters.repaired == 1)
    finally:
        running.cancel()


cpu_sets = st.integers(1, 255).map(cpusets.text)


@given(st.lists(st.tuples(cpu_sets, cpu_sets, st.booleans()), min_size=1, max_size=40))
def test_after_a_round_everybody_who_is_not_busy_is_where_it_should_be(containers):
    async def check() -> None:
        world = World()
        for number, (wanted, has, busy) in enumerate(containers):
            world.run(f"c{number}", on=effective(has), given=Assignment(cpuset_cpus=wanted))
            if busy:
                world.busy.add(f"p/c{number}/0")
        await world.drift.once()
        for number, (wanted, has, busy) in enumerate(containers):
            assert world.where(f"id-c{number}").cpus == cpusets.parse(has if busy else wanted)
        wrong = sum(not busy and wanted != has for wanted, has, busy in containers)
        assert world.counts == (wrong, wrong, 0)

    asyncio.run(check())
