"""Who runs already is told what was decided about him: only that, in order, and again if it fails."""

import asyncio
from contextlib import closing

import pytest

from cri_resmgr.cri import api_pb2 as api
from cri_resmgr.cri import methods
from cri_resmgr.manager import enforcing, owing, telling
from cri_resmgr.policies.none import NonePolicy
from cri_resmgr.state.store import Store
from cri_resmgr.values.decisions import Change, Decision, Holding
from cri_resmgr.values.resources import Assignment, Resources
from cri_resmgr.values.workloads import State
from cri_resmgr.wire.client import CallError
from cri_resmgr.wire.grpc import NOT_FOUND
from doubles.calls import FakeCall, accepting
from doubles.policies import PrivatePolicy
from doubles.runtime import FakeRuntime, resources
from unit.manager.managers import HeldClient, Manager, ScriptedPolicy, create_request

CREATE, START, UPDATE = methods.CREATE_CONTAINER, methods.START_CONTAINER, methods.UPDATE_CONTAINER_RESOURCES
STATUS, STOP = methods.CONTAINER_STATUS, methods.STOP_CONTAINER


async def created(manager: Manager, pod_id: str, name: str, **asked: int | str) -> str:
    """A container that has been made and not started; its id."""
    reply = await manager.do(CREATE, create_request(pod_id, name, **asked))
    return api.CreateContainerResponse.FromString(reply).container_id


def start(manager: Manager, container_id: str, **more: float) -> FakeCall:
    return manager.begin(START, api.StartContainerRequest(container_id=container_id), **more)


def resize(container_id: str, **wish: int) -> api.UpdateContainerResourcesRequest:
    return api.UpdateContainerResourcesRequest(container_id=container_id, linux=resources(**wish))


def cpus(manager: Manager, container_id: str) -> str:
    return manager.runtime.containers[container_id].has.cpuset_cpus


# ---- what is told, and to whom


async def test_a_neighbour_is_told_the_fields_that_have_changed_and_no_others(private):
    pod_id = await private.run_pod()
    shares = await private.run_container(pod_id, "s", cpu_shares=512, memory_limit_in_bytes=1 << 30)
    await created(private, pod_id, "x")
    await private.told()
    assert private.client.updates == [(shares, Resources(cpuset_cpus="1-7"))]
    assert private.runtime.containers[shares].has == resources(
        cpu_shares=512, memory_limit_in_bytes=1 << 30, cpuset_cpus="1-7"
    )


async def test_only_those_are_told_something_whose_cpus_change(private):
    pod_id = await private.run_pod()
    own = await private.run_container(pod_id, "x")
    sharing = [await private.run_container(pod_id, f"s{number}") for number in range(20)]
    await private.told()
    assert not private.client.updates
    await private.run_container(pod_id, "x2")
    await private.told()
    assert sorted(id_ for id_, _ in private.client.updates) == sorted(sharing)
    assert cpus(private, own) == "0"


async def test_a_decision_is_stored_before_the_runtime_hears_of_it(private):
    pod_id = await private.run_pod()
    shares = await private.run_container(pod_id, "s")
    await created(private, pod_id, "x")
    private.client.holding = True
    private.placing.release(f"{pod_id}/x/0")
    await private.until(lambda: private.client.held)
    assert private.stored()[f"{pod_id}/s/0"].given == Assignment(cpuset_cpus="0-7")
    assert private.client.next().id == shares


async def test_several_changes_in_quick_succession_are_one_update(private):
    pod_id = await private.run_pod()
    shares = await private.run_container(pod_id, "s")
    for name in ("x1", "x2", "x3"):
        private.begin(CREATE, create_request(pod_id, name))
    await private.told()
    assert private.client.updates == [(shares, Resources(cpuset_cpus="3-7"))]


async def test_while_one_update_is_under_way_the_last_of_later_changes_waits(private):
    pod_id = await private.run_pod()
    shares = await private.run_container(pod_id, "s")
    private.client.holding = True
    for name in ("x1", "x2", "x3"):
        await created(private, pod_id, name)
        await private.settle()
    assert len(private.client.held) == 1
    private.client.holding = False
    private.client.next().let_go()
    await private.told()
    assert private.client.updates == [
        (shares, Resources(cpuset_cpus="1-7")),
        (shares, Resources(cpuset_cpus="3-7")),
    ]


async def test_a_change_that_is_taken_back_before_it_was_told_is_not_told(private):
    pod_id = await private.run_pod()
    shares = await private.run_container(pod_id, "s")
    resizing = private.begin(UPDATE, resize(shares, cpu_shares=512))
    call = private.begin(CREATE, create_request(pod_id, "x")).fail(2)
    await private.until(lambda: call.done)
    await accepting(private.runtime, resizing).result()
    await private.told()
    assert not private.client.updates


async def test_few_updates_are_under_way_at_once(private):
    pod_id = await private.run_pod()
    for number in range(10):
        await private.run_container(pod_id, f"s{number}")
    private.client.holding = True
    await created(private, pod_id, "x")
    for _ in range(10):
        await private.settle()
        assert 0 < len(private.client.held) <= enforcing.AT_ONCE
        private.client.next().let_go()
    await private.told()
    assert len(private.client.updates) == 10


async def test_those_who_leave_cpus_are_told_before_those_who_get_some(manager, monkeypatch):
    monkeypatch.setattr(enforcing, "AT_ONCE", 1)
    pod_id = await manager.run_pod()
    manager.policy.answer = lambda *_: Decision(Assignment(cpuset_cpus="0-3"))
    ids = {name: await manager.run_container(pod_id, name) for name in ("grows", "shrinks")}
    changes = {
        f"{pod_id}/grows/0": Change(Assignment(cpuset_cpus="0-7"), Holding()),
        f"{pod_id}/shrinks/0": Change(Assignment(cpuset_cpus="1"), Holding()),
    }
    manager.policy.answer = lambda *_: Decision(neighbours=changes)
    order = []
    answer = manager.runtime.answer
    monkeypatch.setattr(manager.runtime, "answer", lambda *call: (order.append(call), answer(*call))[1])
    manager.placing.rebalance()
    await manager.told()
    updates = [api.UpdateContainerResourcesRequest.FromString(message) for method, message in order if method == UPDATE]
    assert [update.container_id for update in updates] == [ids["shrinks"], ids["grows"]]


async def test_what_is_not_there_yet_is_told_after_its_creation_and_before_its_start(private):
    pod_id = await private.run_pod()
    call = private.begin(CREATE, create_request(pod_id, "s"))
    await private.run_container(pod_id, "x")
    await private.settle()
    assert not private.client.updates
    private.client.holding = True
    reply = api.CreateContainerResponse.FromString(await accepting(private.runtime, call).result())
    assert cpus(private, reply.container_id) == "0-7"
    starting = start(private, reply.container_id)
    await private.settle()
    assert starting.forwarded is None
    private.client.next().let_go()
    await starting.until_forwarded()
    assert cpus(private, reply.container_id) == "1-7"


async def test_policy_none_tells_nobody_anything_and_asks_for_nothing(tmp_path):
    runtime = FakeRuntime()
    with closing(Store.open(tmp_path / "relay")) as store:
        manager = Manager(store, runtime, budget_s=60, policy=NonePolicy()).reconciled()
        pod_id = await manager.run_pod()
        ids = [await manager.run_container(pod_id, f"c{number}", cpu_shares=512) for number in range(3)]
        await manager.do(UPDATE, resize(ids[0], cpu_shares=1024))
        await manager.do(STOP, api.StopContainerRequest(container_id=ids[1]))
        await manager.settle()
        assert not manager.enforcer.counters.waited
        await manager.close()
    with closing(Store.open(tmp_path / "relay")) as store:
        manager = Manager(store, runtime, budget_s=60, policy=NonePolicy())
        await manager.reconciler.once()
        await manager.settle()
        assert (runtime.calls[UPDATE], runtime.calls[STATUS]) == (1, 0)  # the kubelet's own
        await manager.close()


# ---- whoever starts


async def test_a_start_waits_until_everybody_has_left_its_own_cpus(private):
    pod_id = await private.run_pod()
    for number in range(2):
        await private.run_container(pod_id, f"s{number}")
    private.client.holding = True
    starting = start(private, await created(private, pod_id, "x"))
    for _ in range(2):
        await private.settle()
        assert starting.forwarded is None
        private.client.next().let_go()
    await starting.until_forwarded()
    assert private.enforcer.counters.waited == 1
    assert private.enforcer.counters.uncleared == 0


async def test_a_start_waits_for_nobody_who_is_not_on_its_own_cpus(private):
    pod_id = await private.run_pod()
    await private.run_container(pod_id, "s")
    own, shares = await created(private, pod_id, "x"), await created(private, pod_id, "s2")
    await private.told()
    private.client.holding = True
    await created(private, pod_id, "x2")
    await private.until(lambda: private.client.held)
    assert start(private, own).forwarded is not None, "the neighbour leaves CPUs of another"
    starting = start(private, shares)
    assert starting.forwarded is None, "it must leave CPUs itself"


async def test_nobody_waits_for_those_who_get_more(private):
    pod_id = await private.run_pod()
    await private.run_container(pod_id, "s")
    first = await private.run_container(pod_id, "x")
    await private.run_container(pod_id, "x2")
    await private.told()
    private.client.holding = True
    await private.do(STOP, api.StopContainerRequest(container_id=first))
    await private.until(lambda: private.client.held)
    shares = await created(private, pod_id, "s2")
    assert start(private, shares).forwarded is not None


async def test_a_neighbour_that_ends_is_not_waited_for(private):
    pod_id = await private.run_pod()
    shares = await private.run_container(pod_id, "s")
    private.client.holding = True
    starting = start(private, await created(private, pod_id, "x"))
    await private.settle()
    assert starting.forwarded is None
    await private.do(STOP, api.StopContainerRequest(container_id=shares))
    await starting.until_forwarded()


@pytest.mark.parametrize(("budget_s", "remaining_s"), [(0.01, None), (60, 0.01), (60, -1.0)])
async def test_a_start_waits_no_longer_than_its_budget_or_the_kubelets_deadline(private, logged, budget_s, remaining_s):
    pod_id = await private.run_pod()
    await private.run_container(pod_id, "s")
    private.client.holding = True
    container_id = await created(private, pod_id, "x")
    private.containers._budget_s = budget_s
    await start(private, container_id, remaining_s=remaining_s).until_forwarded()
    assert private.enforcer.counters.uncleared == 1
    assert "start.uncleared" in {event["event"] for event in logged}


async def test_a_start_that_is_given_up_while_it_waits_leaves_nothing(private):
    pod_id = await private.run_pod()
    await private.run_container(pod_id, "s")
    private.client.holding = True
    starting = start(private, await created(private, pod_id, "x"))
    await private.settle()
    with pytest.raises(asyncio.CancelledError):
        await starting.cancel().result()
    assert starting.forwarded is None
    assert not private.enforcer._calls


async def test_a_resize_that_takes_cpus_waits_until_they_are_left(private):
    pod_id = await private.run_pod()
    await private.run_container(pod_id, "s")
    own = await private.run_container(pod_id, "x")
    await private.told()
    private.client.holding = True
    call = private.begin(UPDATE, resize(own, cpu_shares=2048))
    await private.settle()
    assert call.forwarded is None
    private.client.next().let_go()
    told = api.UpdateContainerResourcesRequest.FromString(await call.until_forwarded()).linux
    assert told == resources(cpu_shares=2048, cpuset_cpus="0-1")


# ---- order with the kubelet's calls


async def test_while_the_kubelet_starts_a_container_it_is_left_alone(private):
    pod_id = await private.run_pod()
    shares = await created(private, pod_id, "s")
    starting = start(private, shares)
    await created(private, pod_id, "x")
    await private.settle()
    assert not private.client.updates
    await accepting(private.runtime, starting).result()
    await private.told()
    assert private.client.updates == [(shares, Resources(cpuset_cpus="1-7"))]


async def test_while_the_kubelet_resizes_a_container_it_is_left_alone(private):
    pod_id = await private.run_pod()
    shares = await private.run_container(pod_id, "s")
    call = private.begin(UPDATE, resize(shares, cpu_shares=512))
    await created(private, pod_id, "x")
    await private.settle()
    assert not private.client.updates
    await accepting(private.runtime, call).result()
    await private.told()
    assert cpus(private, shares) == "1-7"


async def test_a_resize_waits_until_we_have_told_what_we_are_telling(private):
    pod_id = await private.run_pod()
    shares = await private.run_container(pod_id, "s")
    private.client.holding = True
    await created(private, pod_id, "x")
    await private.settle()
    call = private.begin(UPDATE, resize(shares, cpu_shares=512))
    await private.settle()
    assert call.forwarded is None
    private.client.next().let_go()
    told = api.UpdateContainerResourcesRequest.FromString(await call.until_forwarded()).linux
    assert told == resources(cpu_shares=512, cpuset_cpus="1-7")


async def test_what_waits_to_be_told_goes_with_a_resize(private):
    pod_id = await private.run_pod()
    shares = await private.run_container(pod_id, "s")
    private.enforcer._begun = False
    await created(private, pod_id, "x")
    await private.do(UPDATE, resize(shares, cpu_shares=512))
    assert not len(private.enforcer)
    assert private.runtime.containers[shares].has == resources(cpu_shares=512, cpuset_cpus="1-7")


async def test_when_the_kubelet_could_not_wait_the_container_is_told_everything_again(private):
    pod_id = await private.run_pod()
    shares = await private.run_container(pod_id, "s")
    private.client.holding = True
    await created(private, pod_id, "x")
    await private.settle()
    private.containers._budget_s = 0
    call = private.begin(UPDATE, resize(shares, cpu_shares=512))
    await call.until_forwarded()
    await accepting(private.runtime, call).result()
    private.client.holding = False
    private.client.next().let_go()
    await private.told()
    assert private.client.updates == [(shares, Resources(cpuset_cpus="1-7"))] * 2


async def test_after_two_resizes_at_once_all_is_decided_and_told_once_more(private):
    pod_id = await private.run_pod()
    own = await private.run_container(pod_id, "x")
    calls = [private.begin(UPDATE, resize(own, **wish)) for wish in ({"cpu_shares": 2048}, {"cpu_period": 50_000})]
    for call in reversed(calls):
        await call.until_forwarded()
        await accepting(private.runtime, call).result()
    await private.told()
    assert private.container(pod_id, "x").asked == Resources(cpu_shares=2048, cpu_period_us=50_000)
    assert cpus(private, own) == "0-1"
    assert private.client.updates == [(own, Resources(cpuset_cpus="0-1"))]


async def test_a_resize_that_is_cut_off_is_looked_into(private):
    pod_id = await private.run_pod()
    await private.run_container(pod_id, "s")
    own = await private.run_container(pod_id, "x")
    call = private.begin(UPDATE, resize(own, cpu_shares=2048))
    await call.until_forwarded()
    before = private.runtime.calls[STATUS]
    call.cancel()
    await private.told()
    assert private.runtime.calls[STATUS] == before + 1
    assert cpus(private, own) == private.container(pod_id, "x").given.cpuset_cpus == "0-1"


# ---- what fails


@pytest.fixture(name="quick")
def _quick(monkeypatch):
    monkeypatch.setattr(owing, "FIRST_RETRY_S", 0.0)


async def test_what_fails_is_tried_again_and_reported(private, quick, logged):
    pod_id = await private.run_pod()
    await private.run_container(pod_id, "s")
    private.client.holding = True
    await created(private, pod_id, "x")
    for times in range(1, owing.LASTING_TIMES + 1):
        await private.until(lambda: private.client.held)
        private.client.next().fail()
        await private.until(lambda times=times: private.enforcer.counters.failed == times)
    (complaint,) = private.enforcer.complaints()
    assert f"{pod_id}/s/0" in complaint
    assert "not in the mood" in complaint
    assert [event.kind for event in private.events] == ["UpdateFailed"]
    assert [event["event"] for event in logged].count("enforcing.failed") == 2
    await private.until(lambda: private.client.held)
    private.client.next().let_go()
    await private.told()
    assert private.enforcer.complaints() == []


async def test_pauses_between_tries_grow_up_to_a_limit():
    failures = owing.Failures()
    pauses_s = [failures.add("a", "no").pause_s for _ in range(8)]
    assert pauses_s == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert failures.waits("a")
    assert not failures.waits("b")
    failures.forget("a")
    assert failures.add("a", "no").times == 1


async def test_others_are_told_while_one_fails(private):
    pod_id = await private.run_pod()
    ids = [await private.run_container(pod_id, f"s{number}") for number in range(2)]
    private.client.holding = True
    await created(private, pod_id, "x")
    await private.settle()
    failed, other = private.client.next(), private.client.next()
    failed.fail()
    other.let_go()
    await private.until(lambda: len(private.enforcer) == 1)
    assert {id_: cpus(private, id_) for id_ in ids} == {failed.id: "0-7", other.id: "1-7"}


async def test_a_container_that_is_gone_is_nobodys_failure(private):
    pod_id = await private.run_pod()
    await private.run_container(pod_id, "s")
    private.client.holding = True
    await created(private, pod_id, "x")
    await private.settle()
    private.client.next().fail(NOT_FOUND)
    await private.told()
    assert (private.enforcer.counters.failed, private.enforcer.complaints()) == (0, [])


async def test_what_nobody_has_foreseen_is_logged_and_tried_again_later(private, logged, monkeypatch):
    pod_id = await private.run_pod()
    await private.run_container(pod_id, "s")
    monkeypatch.setattr(telling, "due", lambda *_: 1 / 0)
    await created(private, pod_id, "x")
    await private.until(lambda: private.enforcer.counters.failed)
    (event,) = [event for event in logged if event["event"] == "enforcing.failed"]
    assert isinstance(event["exc_info"], ZeroDivisionError)
    monkeypatch.undo()
    assert len(private.enforcer) == 1


async def test_those_who_wait_for_each_others_cpus_do_not_wait_for_ever(private):
    pod_id = await private.run_pod()
    ids = [await private.run_container(pod_id, name) for name in ("x1", "x2")]
    for name, own in (("x1", "1"), ("x2", "0")):
        holding = Holding("private", exclusive=own)
        private.ledger.placed(f"{pod_id}/{name}/0", Change(Assignment(cpuset_cpus=own), holding))
    private.enforcer.changed(tuple(private.ledger.owed))
    await private.told()
    assert [cpus(private, id_) for id_ in ids] == ["1", "0"]


# ---- over a crash


async def test_what_was_decided_and_not_told_before_a_crash_is_told_after_it(tmp_path):
    runtime = FakeRuntime()
    with closing(Store.open(tmp_path / "relay")) as store:
        first = Manager(store, runtime, budget_s=60, policy=PrivatePolicy(), client=HeldClient(runtime)).reconciled()
        pod_id = await first.run_pod()
        told, untold = [await first.run_container(pod_id, name) for name in ("s1", "s2")]
        first.client.holding = True
        await created(first, pod_id, "x")
        await first.settle()
        next(call for call in first.client.held if call.id == told).let_go()
        await first.until(lambda: len(first.enforcer) == 1)
        await first.writer.now()
        await first.enforcer.close()
    assert (cpus(first, told), cpus(first, untold)) == ("1-7", "0-7")
    with closing(Store.open(tmp_path / "relay")) as store:
        second = Manager(store, runtime, budget_s=60, policy=PrivatePolicy(), client=HeldClient(runtime))
        await second.reconciler.once()
        await second.told()
        assert second.client.updates == [(untold, Resources(cpuset_cpus="1-7"))]
        await second.close()


@pytest.fixture(name="again")
async def _again(tmp_path):
    """A daemon that has started on what another one has left, before it has compared anything."""
    runtime = FakeRuntime()
    with closing(Store.open(tmp_path / "relay")) as store:
        first = Manager(store, runtime, budget_s=60, policy=PrivatePolicy()).reconciled()
        pod_id = await first.run_pod()
        for name in ("s", "x"):
            await first.run_container(pod_id, name)
        await first.told()
        await first.close()
    with closing(Store.open(tmp_path / "relay")) as store:
        second = Manager(store, runtime, budget_s=60, policy=PrivatePolicy(), client=HeldClient(runtime))
        yield second
        await second.close()


async def test_what_the_runtime_has_otherwise_than_the_ledger_says_is_put_right_at_the_next_start(again):
    container = again.runtime.key_of("s")
    container.has.cpuset_cpus = "0-7"
    await again.reconciler.once()
    await again.told()
    assert again.client.updates == [(container.id, Resources(cpuset_cpus="1-7"))]


async def test_a_start_on_what_is_as_it_should_be_tells_nobody_anything(again):
    await again.reconciler.once()
    await again.told()
    assert not again.client.updates
    assert again.runtime.calls[STATUS] == 2


async def test_when_the_runtime_does_not_say_what_containers_have_they_are_told_everything(again, monkeypatch):
    async def silent(container_id: str) -> None:
        return None

    monkeypatch.setattr(again.enforcer._teller._runtime, "resources", silent)
    await again.reconciler.once()
    await again.told()
    assert sorted(again.client.updates) == sorted(
        [
            (again.runtime.key_of("s").id, Resources(cpuset_cpus="1-7")),
            (again.runtime.key_of("x").id, Resources(cpuset_cpus="0")),
        ],
        key=lambda update: update[0],
    )


async def test_before_it_is_known_what_containers_have_nobody_starts_on_cpus_of_his_own(again, monkeypatch):
    (pod_id,), look = again.ledger.pods, again.enforcer._teller._runtime.resources
    asked = asyncio.Event()

    async def slow(container_id: str) -> Resources | None:
        await asked.wait()
        return await look(container_id)

    monkeypatch.setattr(again.enforcer._teller._runtime, "resources", slow)
    again.book.reconciled.set_result(None)
    again.placing.begin()
    starting = start(again, await created(again, pod_id, "x2"))
    await again.settle()
    assert starting.forwarded is None
    asked.set()
    await starting.until_forwarded()
    assert cpus(again, again.runtime.key_of("s").id) == "2-7"


async def test_nothing_is_told_before_the_first_comparison(again):
    again.runtime.key_of("s").has.cpuset_cpus = "0-7"
    again.enforcer.changed(tuple(again.ledger.containers))
    await again.settle()
    assert not again.client.updates


async def test_after_the_end_nothing_is_told(private):
    pod_id = await private.run_pod()
    await private.run_container(pod_id, "s")
    private.client.holding = True
    await created(private, pod_id, "x")
    await private.settle()
    await private.enforcer.close()
    private.enforcer.changed(tuple(private.ledger.containers))
    await private.settle()
    assert len(private.client.held) == 1
    assert not private.client.updates


# ---- drift


async def test_a_repair_tells_all_that_is_given_and_waits_for_it(private):
    pod_id = await private.run_pod()
    shares = await private.run_container(pod_id, "s", cpu_shares=512)
    await private.enforcer.repair(private.container(pod_id, "s"))
    assert private.client.updates == [(shares, Resources(cpuset_cpus="0-7"))]


async def test_a_repair_that_the_runtime_refuses_is_the_callers_to_see(private):
    pod_id = await private.run_pod()
    await private.run_container(pod_id, "s")
    private.client.holding = True
    repairing = asyncio.create_task(private.enforcer.repair(private.container(pod_id, "s")))
    await private.until(lambda: private.client.held)
    assert private.enforcer.busy(f"{pod_id}/s/0")
    private.client.next().fail()
    with pytest.raises(CallError, match="not in the mood"):
        await repairing
    assert not private.enforcer.busy(f"{pod_id}/s/0")


async def test_what_is_being_changed_needs_no_repair(private):
    pod_id = await private.run_pod()
    shares = await private.run_container(pod_id, "s")
    private.begin(UPDATE, resize(shares, cpu_shares=512))
    await private.enforcer.repair(private.container(pod_id, "s"))
    assert not private.client.updates


# ---- what has never been given anything


async def test_there_is_nothing_to_look_up_of_a_container_that_was_never_given_anything(tmp_path):
    runtime = FakeRuntime()
    with closing(Store.open(tmp_path / "relay")) as store:
        manager = Manager(store, runtime, budget_s=60, policy=ScriptedPolicy()).reconciled()
        pod_id = await manager.run_pod()
        manager.begin(CREATE, create_request(pod_id)).cancel()
        manager.book.found(manager.container(pod_id), "ctr9")
        assert len(manager.enforcer) == 0
        assert manager.container(pod_id).state is State.CREATED
        await manager.close()
