"""What is remembered, decided and forwarded in calls about containers."""

import asyncio
import re
from contextlib import closing

import pytest

from cri_resmgr.cri import api_pb2 as api
from cri_resmgr.cri import methods
from cri_resmgr.cri.messages import container_of_create
from cri_resmgr.policies.contract import PolicyRefusal
from cri_resmgr.relay.hooks import Failed, Gone, Refused
from cri_resmgr.state.store import Store
from cri_resmgr.values.decisions import HOLDING_NOTHING, Decision
from cri_resmgr.values.resources import Assignment, Resources
from cri_resmgr.values.workloads import State
from cri_resmgr.wire.grpc import NOT_FOUND, UNKNOWN
from doubles.calls import FakeCall, accepting
from doubles.runtime import FakeRuntime, resources
from unit.manager.managers import Manager, create_request

CREATE, START, STOP = methods.CREATE_CONTAINER, methods.START_CONTAINER, methods.STOP_CONTAINER
REMOVE, UPDATE = methods.REMOVE_CONTAINER, methods.UPDATE_CONTAINER_RESOURCES
NO_MESSAGE = b"\xff\xff\xff"
PINNED = Assignment(cpuset_cpus="4-5")
IDS = {START: api.StartContainerRequest, STOP: api.StopContainerRequest, REMOVE: api.RemoveContainerRequest}


def created(container_id: str) -> api.CreateContainerResponse:
    return api.CreateContainerResponse(container_id=container_id)


def named(method: str, container_id: str):
    return IDS[method](container_id=container_id)


def update(container_id: str, **wish: int | str) -> api.UpdateContainerResourcesRequest:
    return api.UpdateContainerResourcesRequest(container_id=container_id, linux=resources(**wish))


def pin(*_: object) -> Decision:
    return Decision(PINNED, reasons=("pinned",))


def refuse(*_: object) -> Decision:
    raise PolicyRefusal("it does not fit")


def break_down(*_: object) -> Decision:
    raise ZeroDivisionError


def loop_for_ever(*_: object) -> Decision:
    while True:
        pass


async def settled(call: FakeCall) -> None:
    """Everything that can go on without the test has gone on."""
    for _ in range(5):
        await asyncio.sleep(0)
    assert not call.done


# ---- create


async def test_a_container_is_stored_with_its_decision_before_the_runtime_hears_of_it(manager):
    manager.policy.answer = pin
    pod_id = await manager.run_pod()
    request = create_request(pod_id, cpu_shares=512)
    manager.begin(CREATE, request)
    (stored,) = manager.stored().values()
    assert (stored.state, stored.id) == (State.CREATING, "")
    assert (stored.asked, stored.given, stored.reasons) == (Resources(cpu_shares=512), PINNED, ("pinned",))


async def test_what_the_policy_owns_is_changed_and_the_kubelets_own_bytes_stay(manager):
    manager.policy.answer = pin
    request = create_request(await manager.run_pod(), cpu_shares=512).SerializeToString() + b"\xfa\x3f\x03new"
    forwarded = manager.begin(CREATE, request).forwarded
    assert forwarded.startswith(request)
    assert container_of_create(forwarded).asked == Resources(cpu_shares=512, cpuset_cpus="4-5")


async def test_without_a_change_the_very_same_bytes_go_on(manager):
    call = FakeCall(CREATE, create_request(await manager.run_pod(), cpu_shares=512)).begin(manager.hooks[CREATE])
    assert call.forwarded is call.request


async def test_the_runtimes_name_is_remembered_and_its_reply_passes(manager):
    pod_id = await manager.run_pod()
    reply = created("ctr1").SerializeToString()
    assert await manager.begin(CREATE, create_request(pod_id)).answer(reply).result() == reply
    assert manager.container(pod_id).id == "ctr1"
    assert manager.container(pod_id).state is State.CREATED
    assert not manager.book.creating


async def test_the_policy_is_told_of_the_container_and_its_pod(manager):
    pod_id = await manager.run_pod()
    await manager.run_container(pod_id, "new")
    event, container, pod = manager.policy.asked[-1]
    assert (event, container.name, pod.name) == ("create", "new", "web")


async def test_a_container_in_a_pod_that_we_never_met_is_decided_about_as_well(manager):
    manager.begin(CREATE, create_request("stranger")).answer(created("ctr1"))
    assert manager.policy.asked[-1][2].id == "stranger"


async def test_a_new_instance_takes_over_what_crashed_ones_held(manager):
    pod_id = await manager.run_pod()
    await manager.run_container(pod_id, attempt=0)
    await manager.run_container(pod_id, attempt=1)
    assert manager.container(pod_id, attempt=0).state is State.EXITED


async def test_removing_a_crashed_instance_leaves_the_running_one_alone(manager):
    pod_id = await manager.run_pod()
    old = await manager.run_container(pod_id, attempt=0)
    await manager.run_container(pod_id, attempt=1)
    await manager.do(REMOVE, named(REMOVE, old))
    assert [c.attempt for c in manager.ledger.running()] == [1]


async def test_a_container_that_the_runtime_refuses_was_never_there(manager):
    pod_id = await manager.run_pod()
    with pytest.raises(Failed):
        await manager.begin(CREATE, create_request(pod_id)).fail(UNKNOWN).result()
    assert not manager.ledger.containers
    assert not manager.book.creating
    assert not manager.book.doubted.is_set()
    await manager.writer.now()
    assert not manager.stored()


@pytest.mark.parametrize(("cut_off", "error"), [(FakeCall.cancel, asyncio.CancelledError), (FakeCall.reset, Gone)])
async def test_a_create_that_is_cut_off_leaves_its_record_and_a_doubt(manager, cut_off, error):
    pod_id = await manager.run_pod()
    call = manager.begin(CREATE, create_request(pod_id, cpu_shares=512))
    with pytest.raises(error):
        await cut_off(call).result()
    assert manager.container(pod_id).asked == Resources(cpu_shares=512)
    assert manager.book.doubted.is_set()
    assert not manager.book.creating


async def test_a_create_without_a_readable_reply_leaves_a_doubt(manager):
    pod_id = await manager.run_pod()
    assert await manager.begin(CREATE, create_request(pod_id)).answer(NO_MESSAGE).result() == NO_MESSAGE
    assert manager.container(pod_id).state is State.CREATING
    assert manager.book.doubted.is_set()


async def test_asking_again_for_a_container_that_is_there_does_not_lose_it(manager):
    pod_id = await manager.run_pod()
    container_id = await manager.run_container(pod_id, cpu_shares=512)
    with pytest.raises(Failed, match="reserved"):
        await manager.do(CREATE, create_request(pod_id, cpu_shares=1))
    kept = manager.ledger.by_id(container_id)
    assert (kept.state, kept.asked) == (State.RUNNING, Resources(cpu_shares=512))


async def test_asking_again_after_a_cut_off_keeps_the_record_of_what_may_still_appear(manager):
    pod_id = await manager.run_pod()
    manager.begin(CREATE, create_request(pod_id, cpu_shares=512)).cancel()
    manager.book.doubted.clear()
    again = manager.begin(CREATE, create_request(pod_id, cpu_shares=512)).fail(UNKNOWN, "name is reserved")
    with pytest.raises(Failed):
        await again.result()
    assert manager.container(pod_id).asked == Resources(cpu_shares=512)
    assert manager.book.doubted.is_set()


@pytest.mark.parametrize("refused_first", [False, True])
async def test_of_two_creates_of_one_container_the_refused_one_takes_nothing_away(manager, refused_first):
    pod_id = await manager.run_pod()
    first, second = (manager.begin(CREATE, create_request(pod_id, cpu_shares=512)) for _ in range(2))
    steps = [lambda: first.answer(created("ctr1")), lambda: second.fail(UNKNOWN)]
    for step in reversed(steps) if refused_first else steps:
        await step().result() if step is steps[0] else await asyncio.wait([step()._outcome])
    assert manager.container(pod_id).id == "ctr1"
    assert not manager.book.creating


async def test_a_refusal_after_its_twin_was_cut_off_keeps_the_record_of_what_the_twin_may_have_made(manager):
    pod_id = await manager.run_pod()
    first, second = (manager.begin(CREATE, create_request(pod_id, cpu_shares=512)) for _ in range(2))
    manager.runtime.answer(CREATE, second.forwarded)
    second.cancel()
    with pytest.raises(Failed):
        await accepting(manager.runtime, first).result()
    await manager.reconciler.once()
    container = manager.container(pod_id)
    assert container.id in manager.runtime.containers
    assert not container.adopted


async def test_while_a_create_is_repeated_the_container_that_is_there_is_known(manager):
    pod_id = await manager.run_pod()
    container_id = await manager.run_container(pod_id, cpu_shares=512)
    again = manager.begin(CREATE, create_request(pod_id, cpu_shares=512))
    await manager.do(UPDATE, update(container_id, cpu_shares=1024))
    with pytest.raises(Failed):
        await accepting(manager.runtime, again).result()
    assert manager.ledger.by_id(container_id).asked == Resources(cpu_shares=1024)


async def test_a_container_that_went_without_our_noticing_is_replaced_by_its_namesake(manager):
    pod_id = await manager.run_pod()
    old = await manager.run_container(pod_id, cpu_shares=512)
    del manager.runtime.containers[old]
    await manager.do(CREATE, create_request(pod_id, cpu_shares=1024))
    container = manager.container(pod_id)
    assert (container.asked, container.state) == (Resources(cpu_shares=1024), State.CREATED)
    assert container.id in manager.runtime.containers
    assert manager.ledger.by_id(old) is None


async def test_two_creates_that_are_both_refused_leave_nothing_that_lasts(manager):
    pod_id = await manager.run_pod()
    calls = [manager.begin(CREATE, create_request(pod_id)) for _ in range(2)]
    for call in calls:
        with pytest.raises(Failed):
            await call.fail(UNKNOWN).result()
    for _ in range(2):
        await manager.reconciler.once()
        manager.clock_s += 31
    assert not manager.ledger.containers


@pytest.mark.parametrize("method", [CREATE, START, STOP, REMOVE, UPDATE])
async def test_what_cannot_be_decoded_passes_as_it_is(manager, method, logged):
    call = manager.begin(method, NO_MESSAGE)
    assert call.forwarded == NO_MESSAGE
    assert await call.answer(NO_MESSAGE).result() == NO_MESSAGE
    assert not manager.ledger.containers
    assert "call.undecodable" in {event["event"] for event in logged}


# ---- the policy's moods


async def test_a_policy_that_refuses_keeps_the_call_from_the_runtime(manager):
    manager.policy.answer = refuse
    call = manager.begin(CREATE, create_request(await manager.run_pod()))
    with pytest.raises(Refused, match="policy scripted: it does not fit"):
        await call.result()
    assert call.forwarded is None
    assert not manager.ledger.containers


@pytest.mark.parametrize("mood", [break_down, loop_for_ever])
async def test_with_a_policy_that_fails_the_call_passes_on_the_cpus_that_are_nobodys(manager, mood):
    manager.policy.answer = mood
    pod_id = await manager.run_pod()
    call = manager.begin(CREATE, create_request(pod_id, cpu_shares=512))
    assert container_of_create(call.forwarded).asked == Resources(cpu_shares=512, cpuset_cpus="0-7")
    container = manager.container(pod_id)
    assert (container.asked, container.holding) == (Resources(cpu_shares=512), HOLDING_NOTHING)
    assert re.search("gave no answer", container.reasons[0])


async def test_a_decision_survives_a_crash_before_the_runtimes_answer(tmp_path):
    runtime = FakeRuntime()
    with closing(Store.open(tmp_path / "relay")) as store:
        first = Manager(store, runtime, budget_s=1).reconciled()
        first.policy.answer = pin
        pod_id = await first.run_pod()
        accepting(runtime, first.begin(CREATE, create_request(pod_id, cpu_shares=512)))  # nobody hears of it
    with closing(Store.open(tmp_path / "relay")) as store:
        second = Manager(store, runtime, budget_s=1)
        await second.reconciler.once()
        container = second.container(pod_id)
        await second.close()
    assert container.id in runtime.containers
    assert (container.asked, container.given, container.adopted) == (Resources(cpu_shares=512), PINNED, False)


# ---- start, stop, remove


async def test_a_started_container_runs_and_a_stopped_one_has_ended(manager):
    pod_id = await manager.run_pod()
    container_id = await manager.run_container(pod_id)
    assert manager.container(pod_id).state is State.RUNNING
    await manager.do(STOP, named(STOP, container_id))
    assert manager.container(pod_id).state is State.EXITED


async def test_a_start_that_comes_late_does_not_bring_an_ended_container_back(manager):
    pod_id = await manager.run_pod()
    container_id = await manager.run_container(pod_id)
    late = manager.begin(START, named(START, container_id))
    await manager.do(STOP, named(STOP, container_id))
    await late.answer(b"").result()
    assert manager.container(pod_id).state is State.EXITED


@pytest.mark.parametrize("method", [START, STOP, REMOVE])
async def test_what_the_runtime_refuses_changes_nothing(manager, method):
    pod_id = await manager.run_pod()
    container_id = await manager.run_container(pod_id)
    before = manager.container(pod_id)
    with pytest.raises(Failed):
        await manager.begin(method, named(method, container_id)).fail(UNKNOWN).result()
    assert manager.container(pod_id) == before
    assert not manager.book.doubted.is_set()


@pytest.mark.parametrize("method", [START, STOP, REMOVE])
@pytest.mark.parametrize("cut_off", [FakeCall.cancel, FakeCall.reset])
async def test_what_is_cut_off_changes_nothing_yet_and_leaves_a_doubt(manager, method, cut_off):
    pod_id = await manager.run_pod()
    container_id = await manager.run_container(pod_id)
    before = manager.container(pod_id)
    with pytest.raises((asyncio.CancelledError, Gone)):
        await cut_off(manager.begin(method, named(method, container_id))).result()
    assert manager.container(pod_id) == before
    assert manager.book.doubted.is_set()


@pytest.mark.parametrize("method", [START, STOP, REMOVE])
async def test_containers_that_we_do_not_know_pass(manager, method):
    call = manager.begin(method, named(method, "stranger"))
    assert call.forwarded == named(method, "stranger").SerializeToString()
    await call.answer(b"").result()


async def test_a_removed_container_is_forgotten(manager):
    pod_id = await manager.run_pod()
    await manager.do(REMOVE, named(REMOVE, await manager.run_container(pod_id)))
    assert not manager.ledger.containers


async def test_a_container_that_the_runtime_does_not_know_is_forgotten_and_its_error_passes(manager):
    pod_id = await manager.run_pod()
    container_id = await manager.run_container(pod_id)
    with pytest.raises(Failed):
        await manager.begin(REMOVE, named(REMOVE, container_id)).fail(NOT_FOUND).result()
    assert not manager.ledger.containers


# ---- update


async def test_a_resize_is_merged_with_what_was_asked_and_stored_before_the_kubelet_hears_of_it(manager):
    pod_id = await manager.run_pod()
    container_id = await manager.run_container(pod_id, cpu_shares=512, memory_limit_in_bytes=1 << 30)
    await manager.do(UPDATE, update(container_id, cpu_shares=1024))
    merged = Resources(cpu_shares=1024, memory_limit_bytes=1 << 30)
    assert manager.container(pod_id).asked == manager.stored()[f"{pod_id}/c/0"].asked == merged


async def test_the_policy_sees_the_new_wish_and_what_it_owns_goes_to_the_runtime(manager):
    pod_id = await manager.run_pod()
    container_id = await manager.run_container(pod_id, cpu_shares=512)
    manager.policy.answer = pin
    call = manager.begin(UPDATE, update(container_id, cpu_shares=1024))
    assert manager.policy.asked[-1][0] == "update"
    assert manager.policy.asked[-1][1].asked == Resources(cpu_shares=1024)
    told = api.UpdateContainerResourcesRequest.FromString(call.forwarded).linux
    assert told == resources(cpu_shares=1024, cpuset_cpus="4-5")
    await call.answer(b"").result()
    assert manager.container(pod_id).given == PINNED


async def test_a_refused_resize_is_kept_from_the_runtime_and_leaves_everything_as_it_was(manager):
    pod_id = await manager.run_pod()
    container_id = await manager.run_container(pod_id, cpu_shares=512)
    before = manager.container(pod_id)
    manager.policy.answer = refuse
    call = manager.begin(UPDATE, update(container_id, cpu_shares=1024))
    with pytest.raises(Refused):
        await call.result()
    assert (call.forwarded, manager.container(pod_id)) == (None, before)


async def test_a_resize_that_the_runtime_refuses_leaves_everything_as_it_was(manager):
    pod_id = await manager.run_pod()
    container_id = await manager.run_container(pod_id, cpu_shares=512)
    before = manager.container(pod_id)
    with pytest.raises(Failed):
        await manager.begin(UPDATE, update(container_id, cpu_shares=1024)).fail(UNKNOWN).result()
    assert manager.container(pod_id) == before


async def test_two_resizes_at_once_are_both_remembered_whoever_is_answered_first(manager):
    pod_id = await manager.run_pod()
    container_id = await manager.run_container(pod_id, cpu_shares=512)
    first = manager.begin(UPDATE, update(container_id, cpu_shares=1024))
    second = manager.begin(UPDATE, update(container_id, memory_limit_in_bytes=1 << 30))
    await second.answer(b"").result()
    await first.answer(b"").result()
    assert manager.container(pod_id).asked == Resources(cpu_shares=1024, memory_limit_bytes=1 << 30)


async def test_a_resize_of_a_container_that_goes_meanwhile_brings_nothing_back(manager):
    pod_id = await manager.run_pod()
    container_id = await manager.run_container(pod_id)
    call = manager.begin(UPDATE, update(container_id, cpu_shares=1024))
    await manager.do(REMOVE, named(REMOVE, container_id))
    await call.answer(b"").result()
    assert not manager.ledger.containers


async def test_when_the_policy_fails_at_a_resize_the_container_keeps_what_it_was_given(manager):
    manager.policy.answer = pin
    pod_id = await manager.run_pod()
    container_id = await manager.run_container(pod_id)
    manager.policy.answer = break_down
    await manager.do(UPDATE, update(container_id, cpu_shares=1024))
    assert manager.container(pod_id).given == PINNED
    assert manager.runtime.containers[container_id].has == resources(cpu_shares=1024, cpuset_cpus="4-5")


async def test_a_resize_of_a_container_that_we_do_not_know_passes(manager):
    call = manager.begin(UPDATE, update("stranger", cpu_shares=1024))
    assert call.forwarded is call.request
    await call.answer(b"").result()
    assert manager.policy.asked == []


# ---- order and waiting


async def test_a_create_waits_until_the_ledger_is_true(tmp_path):
    with closing(Store.open(tmp_path / "relay")) as store:
        manager = Manager(store, FakeRuntime(), budget_s=30)
        call = manager.begin(CREATE, create_request("pod1"))
        await settled(call)
        assert call.forwarded is None
        manager.book.reconciled.set_result(None)
        await call.until_forwarded()
        assert (await call.answer(created("ctr1")).result()) == created("ctr1").SerializeToString()
        await manager.close()


@pytest.mark.parametrize(("budget_s", "remaining_s"), [(0.01, None), (30, 0.01), (30, -1.0)])
async def test_a_create_waits_no_longer_than_its_budget_or_the_kubelets_deadline(tmp_path, budget_s, remaining_s):
    with closing(Store.open(tmp_path / "relay")) as store:
        manager = Manager(store, FakeRuntime(), budget_s=budget_s)
        await manager.begin(CREATE, create_request("pod1"), remaining_s=remaining_s).until_forwarded()
        await manager.close()


async def test_a_create_that_is_given_up_while_it_waits_leaves_nothing(tmp_path):
    with closing(Store.open(tmp_path / "relay")) as store:
        manager = Manager(store, FakeRuntime(), budget_s=30)
        call = manager.begin(CREATE, create_request("pod1"))
        await settled(call)
        with pytest.raises(asyncio.CancelledError):
            await call.cancel().result()
        assert (call.forwarded, dict(manager.ledger.containers), len(manager.containers._turns)) == (None, {}, 0)
        await manager.close()


async def test_creates_of_one_container_are_forwarded_in_their_order_with_one_decision(tmp_path):
    with closing(Store.open(tmp_path / "relay")) as store:
        manager = Manager(store, FakeRuntime(), budget_s=30)
        calls, order = [FakeCall(CREATE, create_request("pod1", cpu_shares=shares)) for shares in (1, 2, 3)], []
        for call in calls:
            call.forward = noting(call, order)
            call.begin(manager.hooks[CREATE])
        manager.placing.begin()
        manager.book.reconciled.set_result(None)
        for call in calls:
            await call.until_forwarded()
        assert order == calls
        assert [container.asked.cpu_shares for _, container, *_ in manager.policy.asked] == [1]
        await manager.close()


def noting(call: FakeCall, order: list[FakeCall]):
    forward = call.forward

    async def noted(message: bytes) -> bytes:
        order.append(call)
        return await forward(message)

    return noted


async def test_while_the_runtime_works_on_one_container_others_are_not_held_up(manager):
    pod_id = await manager.run_pod()
    slow = manager.begin(CREATE, create_request(pod_id, "slow"))
    await manager.run_container(pod_id, "quick")
    assert not slow.done
    await slow.answer(created("ctr-slow")).result()


async def test_while_the_runtime_works_on_a_container_more_calls_on_it_are_forwarded(manager):
    pod_id = await manager.run_pod()
    container_id = await manager.run_container(pod_id)
    patient = manager.begin(STOP, named(STOP, container_id))
    harder = manager.begin(STOP, named(STOP, container_id))
    assert patient.forwarded == harder.forwarded == named(STOP, container_id).SerializeToString()
    for call in (patient, harder):
        await call.answer(b"").result()


async def test_a_call_on_a_container_waits_while_an_earlier_one_on_it_is_looked_into(manager):
    pod_id = await manager.run_pod()
    container_id = await manager.run_container(pod_id)
    manager.containers._budget_s = 60
    turn = manager.containers._turns.take(f"{pod_id}/c/0")
    calls = [manager.begin(method, named(method, container_id)) for method in (START, STOP, REMOVE)]
    for call in calls:
        await settled(call)
    assert [call.forwarded for call in calls] == [None] * 3
    turn.end()
    for call in calls:
        await call.until_forwarded()


async def test_nothing_is_left_of_calls_that_are_through(manager):
    pod_id = await manager.run_pod()
    container_id = await manager.run_container(pod_id)
    for method in (STOP, REMOVE):
        await manager.do(method, named(method, container_id))
    assert (len(manager.containers._turns), dict(manager.book.creating)) == (0, {})
    assert manager.ledger.containers == {}
