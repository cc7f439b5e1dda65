"""What the ledger says is made true: at start, after an outage, and from the kubelet's own lists."""

import asyncio
from collections.abc import Callable

import pytest

from cri_resmgr.cri import api_pb2 as api
from cri_resmgr.cri import methods
from cri_resmgr.manager import reconciling
from cri_resmgr.values.resources import Assignment, Resources
from cri_resmgr.values.workloads import State
from cri_resmgr.wire.client import CallError
from cri_resmgr.wire.grpc import NOT_FOUND, UNAVAILABLE
from doubles.runtime import StatusError
from unit.manager.managers import create_request, run_request

DOWN = StatusError(UNAVAILABLE, "the runtime is away")
DEADLINE_S = 20


def beside_us(runtime, name: str = "old", state: int = api.CONTAINER_RUNNING, **has: int | str) -> str:
    """A container in a pod that were made without us; the container's id."""
    pod = api.RunPodSandboxResponse.FromString(
        runtime.answer(methods.RUN_POD_SANDBOX, run_request(name).SerializeToString())
    )
    request = create_request(pod.pod_sandbox_id, **has).SerializeToString()
    reply = api.CreateContainerResponse.FromString(runtime.answer(methods.CREATE_CONTAINER, request))
    runtime.containers[reply.container_id].state = state
    return reply.container_id


def while_listing(manager, act: Callable[[], object]) -> None:
    """Let something happen between the runtime's list of containers and our reading of it."""
    client = manager.client
    straight = client.call

    async def call(method: str, message: bytes, *, deadline_s: float) -> bytes:
        reply = await straight(method, message, deadline_s=deadline_s)
        if method == methods.LIST_CONTAINERS:
            act()
            await asyncio.sleep(0)
        return reply

    client.call = call


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.005)


# ---- what was there before us


async def test_a_container_that_was_there_before_us_is_adopted_with_exactly_what_it_has(manager):
    has = {"cpu_shares": 512, "cpu_quota": 20_000, "cpu_period": 100_000, "memory_limit_in_bytes": 1 << 30}
    container_id = beside_us(manager.runtime, **has, cpuset_cpus="0-3", cpuset_mems="0")
    await manager.reconciler.once()
    adopted = manager.ledger.by_id(container_id)
    assert adopted.asked == Resources(100_000, 20_000, 512, 1 << 30, 0, "0-3", "0")
    assert (adopted.given, adopted.state, adopted.adopted) == (Assignment(), State.RUNNING, True)
    assert adopted.reasons == ("it was there before us: left as it is",)
    assert not manager.runtime.calls[methods.UPDATE_CONTAINER_RESOURCES]


async def test_a_pod_that_was_there_before_us_is_met_with_its_cgroup_parent(manager):
    beside_us(manager.runtime, "old")
    await manager.reconciler.once()
    (pod,) = manager.ledger.pods.values()
    assert (pod.name, pod.namespace, pod.cgroup_parent) == ("old", "shop", "/kubepods/old")


@pytest.mark.parametrize(
    ("there", "state"),
    [
        (api.CONTAINER_CREATED, State.CREATED),
        (api.CONTAINER_RUNNING, State.RUNNING),
        (api.CONTAINER_EXITED, State.EXITED),
        (api.CONTAINER_UNKNOWN, State.RUNNING),
    ],
)
async def test_containers_are_adopted_in_the_state_that_they_are_in(manager, there, state):
    container_id = beside_us(manager.runtime, state=there)
    await manager.reconciler.once()
    assert manager.ledger.by_id(container_id).state is state


async def test_what_has_ended_is_not_asked_what_it_has(manager):
    beside_us(manager.runtime, state=api.CONTAINER_EXITED)
    await manager.reconciler.once()
    assert not manager.runtime.calls[methods.CONTAINER_STATUS]


async def test_what_was_adopted_is_stored_and_not_asked_for_again(manager):
    beside_us(manager.runtime, cpu_shares=512)
    for _ in range(2):
        await manager.reconciler.once()
    await manager.writer.now()
    assert [container.asked for container in manager.stored().values()] == [Resources(cpu_shares=512)]
    assert manager.runtime.calls[methods.CONTAINER_STATUS] == 1
    assert manager.runtime.calls[methods.POD_SANDBOX_STATUS] == 1


async def test_one_container_that_goes_before_it_is_looked_at_does_not_keep_the_others_from_adoption(manager, logged):
    gone, stays = beside_us(manager.runtime, "gone"), beside_us(manager.runtime, "stays")
    while_listing(manager, lambda: manager.runtime.containers.pop(gone, None))
    await manager.reconciler.once()
    assert [container.id for container in manager.ledger.containers.values()] == [stays]
    assert "reconcile.skipped" in {event["event"] for event in logged}


async def test_a_status_that_nobody_can_read_costs_only_its_container(manager):
    beside_us(manager.runtime, "odd")
    answer = manager.runtime.answer

    async def call(method: str, message: bytes, *, deadline_s: float) -> bytes:
        return b"\xff\xff" if method == methods.CONTAINER_STATUS else answer(method, message)

    manager.client.call = call
    await manager.reconciler.once()
    assert manager.reconciler.healthy
    assert not manager.ledger.containers


# ---- what is ours


async def test_what_was_asked_and_given_is_ours_to_know_and_the_state_is_the_runtimes(manager):
    pod_id = await manager.run_pod()
    container_id = await manager.run_container(pod_id, cpu_shares=512)
    before = manager.container(pod_id)
    manager.runtime.containers[container_id].has.cpu_shares = 2
    await manager.reconciler.once()
    assert manager.container(pod_id) == before
    manager.runtime.containers[container_id].state = api.CONTAINER_EXITED
    await manager.reconciler.once()
    assert manager.container(pod_id).state is State.EXITED
    assert manager.container(pod_id).asked == Resources(cpu_shares=512)


async def test_what_the_runtime_does_not_have_any_more_is_forgotten(manager):
    pod_id, other = await manager.run_pod(), await manager.run_pod("other")
    await manager.run_container(pod_id, "a")
    container_id = await manager.run_container(pod_id, "b")
    del manager.runtime.containers[container_id]
    del manager.runtime.pods[other]
    await manager.reconciler.once()
    assert [container.name for container in manager.ledger.containers.values()] == ["a"]
    assert set(manager.ledger.pods) == {pod_id}


async def test_what_has_ended_stays_ended_though_a_list_is_older(manager):
    pod_id = await manager.run_pod()
    container_id = await manager.run_container(pod_id)
    while_listing(manager, lambda: manager.book.ended(manager.container(pod_id)))
    await manager.reconciler.once()
    assert manager.ledger.by_id(container_id).state is State.EXITED


# ---- the races


async def test_what_appears_while_the_list_is_under_way_is_not_missed_for_it(manager):
    pod_id = await manager.run_pod()
    call = manager.begin(methods.CREATE_CONTAINER, create_request(pod_id))

    def finish():
        manager.book.found(manager.container(pod_id), "ctr-new")
        manager.book.creating.clear()

    while_listing(manager, finish)
    await manager.reconciler.once()
    assert manager.container(pod_id).id == "ctr-new"
    call.cancel()


async def test_what_is_made_anew_under_its_old_key_meanwhile_is_not_missed_for_the_list(manager):
    pod_id = await manager.run_pod()
    manager.begin(methods.CREATE_CONTAINER, create_request(pod_id)).cancel()
    while_listing(manager, lambda: manager.book.found(manager.container(pod_id), "ctr-new"))
    await manager.reconciler.once()
    assert manager.container(pod_id).id == "ctr-new"


async def test_a_container_that_is_just_being_created_is_left_to_its_call(manager):
    pod_id = await manager.run_pod()
    call = manager.begin(methods.CREATE_CONTAINER, create_request(pod_id, cpu_shares=512))
    reply = manager.runtime.answer(methods.CREATE_CONTAINER, call.forwarded)
    await manager.reconciler.once()
    assert (manager.container(pod_id).id, manager.container(pod_id).adopted) == ("", False)
    await call.answer(reply).result()
    assert manager.container(pod_id).id in manager.runtime.containers


async def test_what_appeared_after_its_call_was_cut_off_gets_its_id_and_keeps_what_was_asked(manager):
    pod_id = await manager.run_pod()
    call = manager.begin(methods.CREATE_CONTAINER, create_request(pod_id, cpu_shares=512))
    manager.runtime.answer(methods.CREATE_CONTAINER, call.forwarded)
    call.cancel()
    await manager.reconciler.once()
    container = manager.container(pod_id)
    assert (container.asked, container.adopted) == (Resources(cpu_shares=512), False)
    assert container.id in manager.runtime.containers


async def test_what_does_not_appear_after_its_call_was_cut_off_is_kept_for_a_while(manager):
    pod_id = await manager.run_pod()
    manager.begin(methods.CREATE_CONTAINER, create_request(pod_id)).cancel()
    for clock_s in (0, reconciling.UNBORN_S - 1):
        manager.clock_s = clock_s
        await manager.reconciler.once()
        assert manager.container(pod_id) is not None
    manager.clock_s = reconciling.UNBORN_S
    await manager.reconciler.once()
    assert manager.container(pod_id) is None
    await manager.reconciler.once()
    assert not manager.reconciler._unborn


async def test_the_while_begins_anew_with_another_create(manager):
    pod_id = await manager.run_pod()
    manager.begin(methods.CREATE_CONTAINER, create_request(pod_id)).cancel()
    await manager.reconciler.once()
    again = manager.begin(methods.CREATE_CONTAINER, create_request(pod_id))
    manager.clock_s = reconciling.UNBORN_S - 1
    await manager.reconciler.once()
    again.cancel()
    manager.clock_s = reconciling.UNBORN_S + 1
    await manager.reconciler.once()
    assert manager.container(pod_id) is not None


async def test_after_that_while_somebody_looks_again_without_being_asked(manager, monkeypatch):
    monkeypatch.setattr(reconciling, "UNBORN_S", 0.01)
    pod_id = await manager.run_pod()
    manager.begin(methods.CREATE_CONTAINER, create_request(pod_id)).cancel()
    manager.book.doubted.clear()
    await manager.reconciler.once()
    await until(manager.book.doubted.is_set)


# ---- the kubelet's lists


async def test_the_kubelets_list_ends_forgets_and_follows(manager):
    pod_id = await manager.run_pod()
    ids = [await manager.run_container(pod_id, name) for name in ("runs", "ends", "goes")]
    known = manager.reconciler.known_ids()
    manager.reconciler.listed(known, {ids[0]: State.RUNNING, ids[1]: State.EXITED})
    assert {c.name: c.state for c in manager.ledger.containers.values()} == {
        "runs": State.RUNNING,
        "ends": State.EXITED,
    }
    assert not manager.book.doubted.is_set()


async def test_what_came_after_the_list_was_asked_for_is_not_missed_in_it(manager):
    pod_id = await manager.run_pod()
    known = manager.reconciler.known_ids()
    await manager.run_container(pod_id)
    manager.reconciler.listed(known, {})
    assert manager.container(pod_id).state is State.RUNNING


async def test_a_stranger_that_is_listed_twice_makes_us_look(manager):
    known = manager.reconciler.known_ids()
    manager.reconciler.listed(known, {"stranger": State.RUNNING})
    assert not manager.book.doubted.is_set()
    manager.reconciler.listed(known, {"stranger": State.RUNNING})
    assert manager.book.doubted.is_set()


async def test_different_strangers_are_containers_on_their_way(manager):
    for name in ("one", "two", "three"):
        manager.reconciler.listed(frozenset(), {name: State.RUNNING})
    assert not manager.book.doubted.is_set()


async def test_a_pod_that_is_not_listed_any_more_is_gone_with_its_containers(manager):
    pod_id, other = await manager.run_pod(), await manager.run_pod("other")
    await manager.run_container(pod_id)
    manager.reconciler.pods_listed(manager.reconciler.known_pods(), frozenset({other}))
    assert (set(manager.ledger.pods), dict(manager.ledger.containers)) == ({other}, {})


# ---- running on its own


@pytest.fixture(name="quick_retries")
def _quick_retries(monkeypatch):
    monkeypatch.setattr(reconciling, "FIRST_RETRY_S", 0.005)
    monkeypatch.setattr(reconciling, "LAST_RETRY_S", 0.01)


async def test_while_the_runtime_is_away_it_is_asked_again_and_again(manager, quick_retries, logged):
    manager.runtime.refused = {methods.LIST_POD_SANDBOX: DOWN}
    manager.book.doubted.set()
    task = asyncio.create_task(manager.reconciler.run())
    await until(lambda: manager.runtime.calls[methods.LIST_POD_SANDBOX] >= 4)
    assert not manager.reconciler.healthy
    manager.runtime.refused = {}
    await until(lambda: manager.reconciler.healthy)
    assert not manager.book.doubted.is_set()
    task.cancel()
    events = [event["event"] for event in logged]
    assert events.count("reconcile.failed") >= 4


async def test_a_runtime_that_lists_nonsense_does_not_end_the_reconciler(manager, quick_retries):
    async def nonsense(*_: object, deadline_s: float) -> bytes:
        return b"\xff\xff\xff"

    manager.client.call = nonsense
    manager.book.doubted.set()
    task = asyncio.create_task(manager.reconciler.run())
    await until(manager.book.doubted.is_set)
    del manager.client.call
    await until(lambda: manager.reconciler.healthy)
    task.cancel()


async def test_calls_that_wait_for_the_ledger_go_on_when_the_first_attempt_has_failed(manager, quick_retries):
    manager.book.reconciled = asyncio.get_running_loop().create_future()
    manager.runtime.refused = {methods.LIST_POD_SANDBOX: DOWN}
    manager.book.doubted.set()
    task = asyncio.create_task(manager.reconciler.run())
    async with asyncio.timeout(DEADLINE_S):
        await manager.book.reconciled
    task.cancel()


async def test_without_a_doubt_nobody_is_asked(manager):
    task = asyncio.create_task(manager.reconciler.run())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not manager.runtime.calls
    manager.book.doubted.set()
    await until(lambda: manager.reconciler.rounds == 1)
    task.cancel()


async def test_an_error_of_the_runtime_is_the_callers_to_see(manager):
    manager.runtime.refused = {methods.LIST_CONTAINERS: StatusError(NOT_FOUND, "odd")}
    with pytest.raises(CallError, match="odd"):
        await manager.reconciler.once()
