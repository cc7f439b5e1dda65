"""Events of containers reach the policy, and what it decides reaches the ledger, neighbours included."""

import asyncio
from contextlib import closing
from dataclasses import replace

import pytest

from cri_resmgr.cri import api_pb2 as api
from cri_resmgr.cri import methods
from cri_resmgr.manager import revisiting
from cri_resmgr.policies.contract import PolicyRefusal
from cri_resmgr.policies.none import NonePolicy
from cri_resmgr.relay.hooks import Failed, Refused
from cri_resmgr.state.store import Store
from cri_resmgr.values.decisions import HOLDING_NOTHING, Change, Decision, Holding
from cri_resmgr.values.resources import NOTHING, Assignment, Resources
from cri_resmgr.values.workloads import State
from cri_resmgr.wire.grpc import UNKNOWN
from doubles.calls import FakeCall, accepting
from doubles.policies import PrivatePolicy
from doubles.runtime import FakeRuntime, asked_by, resources
from unit.manager.managers import HeldClient, Manager, create_request, run_request

CREATE, START, STOP = methods.CREATE_CONTAINER, methods.START_CONTAINER, methods.STOP_CONTAINER
REMOVE, UPDATE = methods.REMOVE_CONTAINER, methods.UPDATE_CONTAINER_RESOURCES
EVERYWHERE, REST = Assignment(cpuset_cpus="0-7"), Assignment(cpuset_cpus="1-7")


def given(manager: Manager) -> dict[str, str | None]:
    """What the ledger says of who is there, by name."""
    return {container.name: container.given.cpuset_cpus for container in manager.ledger.holders.values()}


def has(manager: Manager) -> dict[str, str]:
    """What the runtime says, by name."""
    return {c.config.metadata.name: c.has.cpuset_cpus for c in manager.runtime.containers.values()}


def knows(manager: Manager) -> set[str]:
    """Whom the policy knows."""
    return set(manager.decider.state)


async def pod_with(manager: Manager, *names: str, **asked: int | str) -> str:
    """A pod with running containers."""
    pod_id = await manager.run_pod()
    for name in names:
        await manager.run_container(pod_id, name, **asked)
    return pod_id


# ---- create


async def test_what_changes_for_neighbours_is_stored_with_the_decision_before_the_runtime_hears_of_it(private):
    pod_id = await pod_with(private, "s")
    call = private.begin(CREATE, create_request(pod_id, "x"))
    assert call.forwarded is not None
    stored = {container.name: container for container in private.stored().values()}
    assert (stored["x"].given, stored["x"].told) == (Assignment(cpuset_cpus="0"),) * 2
    assert stored["x"].holding == Holding("private", "machine", exclusive="0")
    assert (stored["s"].given, stored["s"].told) == (REST, EVERYWHERE)
    assert stored["s"].holding.shared == "1-7"


@pytest.mark.parametrize("between", [False, True], ids=["at once", "after other events"])
async def test_a_container_that_the_runtime_refuses_leaves_everybody_what_he_had(private, between):
    pod_id = await pod_with(private, "s")
    before, state = dict(private.ledger.holders), private.decider.state
    call = private.begin(CREATE, create_request(pod_id, "x"))
    if between:
        private.placing.rebalance()
    with pytest.raises(Failed):
        await call.fail(UNKNOWN).result()
    await private.told()
    assert private.ledger.holders == before
    assert private.decider.state == state
    assert has(private) == {"s": "0-7"}


async def test_a_refusal_of_the_policy_changes_nothing_for_anybody(private):
    pod_id = await pod_with(private, "s")
    before, state = dict(private.ledger.containers), private.decider.state
    with pytest.raises(Refused, match="no CPU would be left"):
        await private.begin(CREATE, create_request(pod_id, "x", cpu_shares=20_480)).result()
    assert private.ledger.containers == before
    assert private.decider.state is state
    assert [event.kind for event in private.events] == ["PolicyRefused"]


async def test_what_is_asked_for_twice_is_decided_about_once(private):
    pod_id = await pod_with(private, "s")
    first = private.begin(CREATE, create_request(pod_id, "x"))
    second = private.begin(CREATE, create_request(pod_id, "x"))
    assert first.forwarded == second.forwarded
    await accepting(private.runtime, first).result()
    with pytest.raises(Failed):
        await accepting(private.runtime, second).result()
    assert private.container(pod_id, "x").state is State.CREATED
    assert given(private) == {"s": "1-7", "x": "0"}


async def test_what_is_asked_for_again_in_another_way_is_decided_about_again_once_it_is_there(private):
    pod_id = await private.run_pod()
    private.begin(CREATE, create_request(pod_id, "x")).cancel()
    await private.do(CREATE, create_request(pod_id, "x", cpu_shares=2048))
    container = private.container(pod_id, "x")
    assert (container.asked, container.given) == (Resources(cpu_shares=2048), Assignment(cpuset_cpus="0-1"))
    await private.told()
    assert has(private) == {"x": "0-1"}


async def test_an_ended_instance_that_is_made_anew_under_its_key_is_decided_about_anew(private):
    pod_id = await pod_with(private, "x")
    old = private.container(pod_id, "x")
    await private.do(STOP, api.StopContainerRequest(container_id=old.id))
    del private.runtime.containers[old.id]
    await private.do(CREATE, create_request(pod_id, "x"))
    assert given(private) == {"x": "0"}
    assert knows(private) == {old.key}


async def test_an_ended_instance_comes_back_into_the_ledger_when_its_successor_is_refused(private):
    pod_id = await pod_with(private, "s", "x")
    old = private.container(pod_id, "x")
    await private.do(STOP, api.StopContainerRequest(container_id=old.id))
    ended = private.container(pod_id, "x")
    with pytest.raises(Failed):
        await private.do(CREATE, create_request(pod_id, "x"))
    assert private.container(pod_id, "x") == ended
    assert knows(private) == {f"{pod_id}/s/0"}


async def test_what_an_instance_held_that_ends_while_it_is_made_anew_is_for_the_new_one(private):
    pod_id = await pod_with(private, "s", "x")
    old = private.container(pod_id, "x")
    call = private.begin(CREATE, create_request(pod_id, "x"))
    private.reconciler.listed(frozenset({old.id}), {})
    del private.runtime.containers[old.id]
    await accepting(private.runtime, call).result()
    new = private.container(pod_id, "x")
    assert (new.state, new.given, new.holding) == (State.CREATED, old.given, old.holding)
    assert new.id in private.runtime.containers
    assert given(private)["s"] == "1-7"


# ---- the end, however it is noticed


async def stop(manager: Manager, pod_id: str) -> None:
    await manager.do(STOP, api.StopContainerRequest(container_id=manager.container(pod_id, "x").id))


async def remove(manager: Manager, pod_id: str) -> None:
    await manager.do(REMOVE, api.RemoveContainerRequest(container_id=manager.container(pod_id, "x").id))


async def stop_pod(manager: Manager, _pod_id: str) -> None:
    other = manager.container_named("x").pod_id
    await manager.do(methods.STOP_POD_SANDBOX, api.StopPodSandboxRequest(pod_sandbox_id=other))


async def remove_pod(manager: Manager, _pod_id: str) -> None:
    other = manager.container_named("x").pod_id
    await manager.do(methods.REMOVE_POD_SANDBOX, api.RemovePodSandboxRequest(pod_sandbox_id=other))


async def list_as_exited(manager: Manager, pod_id: str) -> None:
    states = {c.id: State.RUNNING for c in manager.ledger.holders.values()}
    manager.reconciler.listed(manager.reconciler.known_ids(), states | {manager.container_named("x").id: State.EXITED})


async def list_without_it(manager: Manager, pod_id: str) -> None:
    states = {c.id: State.RUNNING for c in manager.ledger.holders.values() if c.name != "x"}
    manager.reconciler.listed(manager.reconciler.known_ids(), states)


async def list_without_its_pod(manager: Manager, pod_id: str) -> None:
    manager.reconciler.pods_listed(manager.reconciler.known_pods(), frozenset({pod_id}))


async def reconcile_after_its_exit(manager: Manager, pod_id: str) -> None:
    manager.runtime.key_of("x").state = api.CONTAINER_EXITED
    await manager.reconciler.once()


async def reconcile_after_it_is_gone(manager: Manager, pod_id: str) -> None:
    del manager.runtime.containers[manager.runtime.key_of("x").id]
    await manager.reconciler.once()


WAYS = [
    stop,
    remove,
    stop_pod,
    remove_pod,
    list_as_exited,
    list_without_it,
    list_without_its_pod,
    reconcile_after_its_exit,
    reconcile_after_it_is_gone,
]


@pytest.mark.parametrize("way", WAYS, ids=[way.__name__ for way in WAYS])
async def test_however_an_end_is_noticed_what_was_held_is_everybodys_again(private, way):
    pod_id = await pod_with(private, "s")
    x_in = pod_id if way in {stop, remove} else await private.run_pod("other")
    await private.run_container(x_in, "x")
    await private.told()
    assert has(private)["s"] == "1-7"
    await way(private, pod_id)
    await private.told()
    assert has(private)["s"] == "0-7"
    assert knows(private) == {f"{pod_id}/s/0"}
    assert all(c.holding == HOLDING_NOTHING for c in private.ledger.containers.values() if c.name == "x")


async def test_a_new_instance_gets_what_the_crashed_one_held(private):
    pod_id = await pod_with(private, "s", "x")
    await private.told()
    await private.run_container(pod_id, "x", attempt=1)
    await private.told()
    assert given(private) == {"s": "1-7", "x": "0"}
    assert knows(private) == {f"{pod_id}/s/0", f"{pod_id}/x/1"}
    assert private.container(pod_id, "x").state is State.EXITED


async def test_an_end_that_is_noticed_twice_is_one(private):
    pod_id = await pod_with(private, "s", "x")
    version = private.decider.version
    await stop(private, pod_id)
    await remove(private, pod_id)
    assert private.decider.version == version + 1


# ---- resizes


async def test_a_resize_changes_the_neighbours_as_well(private):
    pod_id = await pod_with(private, "s", "x")
    await private.do(UPDATE, wish(private, pod_id, cpu_shares=2048))
    await private.told()
    assert has(private) == {"s": "2-7", "x": "0-1"}


def wish(manager: Manager, pod_id: str, **wanted: int) -> api.UpdateContainerResourcesRequest:
    id_ = manager.container(pod_id, "x").id
    return api.UpdateContainerResourcesRequest(container_id=id_, linux=resources(**wanted))


@pytest.mark.parametrize("between", [False, True], ids=["at once", "after other events"])
async def test_a_resize_that_the_runtime_refuses_leaves_everybody_what_he_had(private, between):
    pod_id = await pod_with(private, "s", "x")
    before, state = dict(private.ledger.holders), private.decider.state
    call = private.begin(UPDATE, wish(private, pod_id, cpu_shares=2048))
    await call.until_forwarded()
    if between:
        private.placing.rebalance()
    with pytest.raises(Failed):
        await call.fail(UNKNOWN).result()
    await private.told()
    assert private.ledger.holders == before
    assert private.decider.state == state
    assert has(private) == {"s": "1-7", "x": "0"}


async def test_a_resize_that_is_given_up_before_the_runtime_hears_of_it_changes_nothing(private):
    pod_id = await pod_with(private, "s", "x")
    await private.told()
    before = dict(private.ledger.holders)
    private.client.holding = True
    call = private.begin(UPDATE, wish(private, pod_id, cpu_shares=2048))
    await private.until(lambda: private.client.held)
    assert call.forwarded is None
    call.cancel()
    private.client.holding = False
    private.client.next().let_go()
    await private.told()
    assert private.ledger.holders == before
    assert has(private) == {"s": "1-7", "x": "0"}


async def test_a_resize_of_what_has_ended_asks_nobody(private):
    pod_id = await pod_with(private, "x")
    request = wish(private, pod_id, cpu_shares=2048)
    await stop(private, pod_id)
    version = private.decider.version
    await private.do(UPDATE, request)
    assert private.decider.version == version


# ---- on our own


async def test_a_rebalance_moves_whom_it_wants_to(private):
    pod_id = await pod_with(private, "x1", "x2", "s")
    await private.do(STOP, api.StopContainerRequest(container_id=private.container(pod_id, "x1").id))
    await private.told()
    private.placing.rebalance()
    await private.told()
    assert given(private) == {"x2": "0", "s": "1-7"}
    assert has(private)["x2"] == "0"


async def test_the_policy_is_asked_again_when_the_time_after_the_start_has_passed(manager, monkeypatch):
    due = []
    monkeypatch.setattr(
        asyncio.get_running_loop(), "call_later", lambda after_s, *call: due.append((after_s, call)) or FakeTimer()
    )
    manager.policy.answer = lambda *_: Decision(Assignment(cpuset_mems="1"), revisit_after_start_s=60.0)
    pod_id = await manager.run_pod()
    container_id = await manager.run_container(pod_id)
    ((_, (ring, key)),) = [timer for timer in due if timer[0] == 60.0]
    monkeypatch.undo()
    manager.policy.answer = lambda *_: Decision(Assignment(cpuset_mems="0-1"))
    ring(key)
    assert manager.policy.asked[-1][0] == "revisit"
    await manager.told()
    assert manager.runtime.containers[container_id].has.cpuset_mems == "0-1"
    assert manager.container(pod_id).revisit_after_start_s == 0.0


class FakeTimer:
    def cancel(self) -> None:
        """Never rings."""


async def test_after_a_restart_the_time_begins_anew(tmp_path, monkeypatch):
    runtime, followed = FakeRuntime(), []
    with closing(Store.open(tmp_path / "relay")) as store:
        first = Manager(store, runtime, budget_s=60).reconciled()
        first.policy.answer = lambda *_: Decision(revisit_after_start_s=60.0)
        await first.run_container(await first.run_pod())
        await first.close()
    monkeypatch.setattr(revisiting.Revisits, "follow", lambda _self, container: followed.append(container))
    with closing(Store.open(tmp_path / "relay")) as store:
        second = Manager(store, runtime, budget_s=60)
        await second.reconciler.once()
        assert [(c.state, c.revisit_after_start_s) for c in followed] == [(State.RUNNING, 60.0)]
        await second.close()


async def test_what_nobody_waits_for_may_fail_without_harm(manager):
    pod_id = await manager.run_pod()
    await manager.run_container(pod_id)
    before = manager.container(pod_id)

    def break_down(*_: object) -> Decision:
        raise ZeroDivisionError

    manager.policy.answer = break_down
    manager.placing.rebalance()
    manager.placing.revisit(before.key)
    manager.placing.revisit("nobody")
    manager.placing.reconsider(before.key)
    assert manager.container(pod_id) == before
    assert not manager.decider.stale


# ---- the fail policy


def broken(*_: object) -> Decision:
    raise ZeroDivisionError


def refusing(*_: object) -> Decision:
    raise PolicyRefusal("it does not fit")


@pytest.mark.parametrize(("on_error", "mood"), [("", broken), ("pass", broken), ("pass", refusing)])
async def test_what_passes_shares_what_is_nobodys_own_and_makes_room_later(manager, on_error, mood):
    manager.decider.on_error = on_error
    pod_id = await manager.run_pod()
    manager.policy.answer = mood
    container_id = await manager.run_container(pod_id, "passed", cpu_shares=512)
    assert manager.runtime.containers[container_id].has == resources(cpu_shares=512, cpuset_cpus="0-7")
    assert (len(manager.unplaced), manager.container(pod_id, "passed").holding) == (1, HOLDING_NOTHING)
    manager.policy.answer = lambda *_: Decision(Assignment(cpuset_cpus="2-3"), Holding("scripted", exclusive="2-3"))
    other = await created(manager, pod_id, "own")
    starting = manager.begin(START, api.StartContainerRequest(container_id=other))
    await starting.until_forwarded()
    assert manager.runtime.containers[container_id].has.cpuset_cpus == "0-1,4-7"
    assert [event.kind for event in manager.events] == ["PolicyPassed"]


async def created(manager: Manager, pod_id: str, name: str) -> str:
    reply = await manager.do(CREATE, create_request(pod_id, name))
    return api.CreateContainerResponse.FromString(reply).container_id


@pytest.mark.parametrize("mood", [broken, refusing])
async def test_where_the_configuration_rejects_nothing_passes(manager, mood):
    manager.decider.on_error = "reject"
    manager.policy.answer = mood
    call = manager.begin(CREATE, create_request(await manager.run_pod()))
    with pytest.raises(Refused):
        await call.result()
    assert (call.forwarded, dict(manager.ledger.containers)) == (None, {})


async def test_a_release_that_fails_is_made_up_for_with_the_next_comparison(private, monkeypatch):
    pod_id = await pod_with(private, "s", "x")
    with monkeypatch.context() as patch:
        patch.setattr(PrivatePolicy, "release", broken)
        await stop(private, pod_id)
    assert private.decider.stale
    assert private.book.doubted.is_set()
    await private.reconciler.once()
    await private.told()
    assert not private.decider.stale
    assert has(private)["s"] == "0-7"


async def test_a_policy_that_cannot_begin_lets_pass_what_comes_and_begins_when_it_can(tmp_path, monkeypatch):
    runtime = FakeRuntime()
    with closing(Store.open(tmp_path / "relay")) as store, monkeypatch.context() as patch:
        manager = Manager(store, runtime, budget_s=60, policy=PrivatePolicy())
        patch.setattr(PrivatePolicy, "restore", broken)
        await manager.reconciler.once()
        manager.book.reconciled.set_result(None)
        pod_id = await pod_with(manager, "x")
        assert given(manager) == {"x": "0-7"}
        patch.undo()
        await manager.reconciler.once()
        await manager.told()
        assert (has(manager), len(manager.unplaced)) == ({"x": "0"}, 0)
        assert knows(manager) == {f"{pod_id}/x/0"}
        await manager.close()


async def test_those_whom_a_policy_could_not_take_over_leave_the_cpus_that_others_have_for_themselves(
    tmp_path, monkeypatch
):
    runtime = FakeRuntime()
    with closing(Store.open(tmp_path / "relay")) as store:
        first = Manager(store, runtime, budget_s=60, policy=PrivatePolicy()).reconciled()
        pod_id = await pod_with(first, "x")
        stranger = create_request(pod_id, "stranger").SerializeToString()
        runtime.answer(CREATE, stranger)
        await first.close()
    with closing(Store.open(tmp_path / "relay")) as store, monkeypatch.context() as patch:
        second = Manager(store, runtime, budget_s=60, policy=PrivatePolicy())
        patch.setattr(PrivatePolicy, "restore", broken)
        await second.reconciler.once()
        await second.told()
        assert has(second) == {"x": "0", "stranger": "1-7"}
        await second.close()


# ---- beginning


@pytest.fixture(name="left")
async def _left(tmp_path):
    """A runtime and a directory as a daemon has left them: `s` shares, `x` has a CPU for itself."""
    runtime = FakeRuntime()
    with closing(Store.open(tmp_path / "relay")) as store:
        first = Manager(store, runtime, budget_s=60, policy=PrivatePolicy()).reconciled()
        await pod_with(first, "s", "x", cpu_shares=512)
        await first.told()
        await first.close()
    return runtime, tmp_path / "relay"


async def test_a_restart_changes_nothing(left):
    runtime, directory = left
    with closing(Store.open(directory)) as store:
        before = {container.key: container for container in store.load()[1]}
        manager = Manager(store, runtime, budget_s=60, policy=PrivatePolicy(), client=HeldClient(runtime))
        await manager.reconciler.once()
        await manager.told()
        assert manager.ledger.containers == before
        assert not manager.client.updates
        await manager.close()


async def test_policy_none_after_another_gives_everything_back(left):
    runtime, directory = left
    for updates in (2, 0):
        with closing(Store.open(directory)) as store:
            manager = Manager(store, runtime, budget_s=60, policy=NonePolicy(), client=HeldClient(runtime))
            await manager.reconciler.once()
            await manager.told()
            assert len(manager.client.updates) == updates
            await manager.writer.now()
            left_over = {(c.given, c.told, c.holding) for c in manager.stored().values()}
            assert left_over == {(NOTHING, NOTHING, HOLDING_NOTHING)}
            await manager.close()
    assert has(manager) == {"s": "0-7", "x": "0-7"}


async def test_what_policy_none_could_not_give_back_before_a_crash_is_given_back_after_it(left):
    runtime, directory = left
    with closing(Store.open(directory)) as store:
        first = Manager(store, runtime, budget_s=60, policy=NonePolicy(), client=HeldClient(runtime))
        first.client.holding = True
        await first.reconciler.once()
        await first.until(lambda: first.client.held)
        await first.enforcer.close()
        await first.writer.now()
    with closing(Store.open(directory)) as store:
        second = Manager(store, runtime, budget_s=60, policy=NonePolicy())
        await second.reconciler.once()
        await second.told()
        assert has(second) == {"s": "0-7", "x": "0-7"}
        await second.close()


async def test_a_container_that_was_there_before_us_keeps_all_but_its_sets_over_any_number_of_restarts(left):
    runtime, directory = left
    pod_id = runtime.key_of("s").pod_id
    asked = {"cpu_shares": 300, "cpu_quota": 20_000, "cpu_period": 100_000, "memory_limit_in_bytes": 1 << 30}
    runtime.answer(CREATE, create_request(pod_id, "old", **asked, cpuset_cpus="0-3").SerializeToString())
    old = runtime.key_of("old")
    word = asked_by(old)
    for _ in range(3):
        with closing(Store.open(directory)) as store:
            manager = Manager(store, runtime, budget_s=60, policy=PrivatePolicy())
            await manager.reconciler.once()
            await manager.told()
            adopted = manager.container(pod_id, "old")
            assert (adopted.adopted, adopted.asked, adopted.given) == (True, word, REST)
            assert asked_by(old) == replace(word, cpuset_cpus="1-7")
            await manager.close()
    with closing(Store.open(directory)) as store:
        manager = Manager(store, runtime, budget_s=60, policy=NonePolicy())
        await manager.reconciler.once()
        await manager.told()
        assert asked_by(old) == word
        await manager.close()


async def test_after_a_reboot_those_of_before_are_gone_and_those_that_are_made_without_us_are_taken_as_they_are(left):
    runtime, directory = left
    for container in runtime.containers.values():
        container.state = api.CONTAINER_EXITED
    reply = runtime.answer(methods.RUN_POD_SANDBOX, run_request().SerializeToString())
    pod_id = api.RunPodSandboxResponse.FromString(reply).pod_sandbox_id
    runtime.answer(CREATE, create_request(pod_id, "x", cpu_shares=512).SerializeToString())
    with closing(Store.open(directory)) as store:
        manager = Manager(store, runtime, budget_s=60, policy=PrivatePolicy())
        await manager.reconciler.once()
        await manager.told()
        (adopted,) = manager.ledger.holders.values()
        assert (adopted.pod_id, adopted.asked, adopted.adopted) == (pod_id, Resources(cpu_shares=512), True)
        assert adopted.holding.exclusive == ""
        assert knows(manager) == {adopted.key}
        await manager.close()


async def test_whom_we_meet_later_the_policy_meets_as_well(private):
    pod_id = await pod_with(private, "x")
    private.runtime.answer(CREATE, create_request(pod_id, "stranger").SerializeToString())
    await private.reconciler.once()
    await private.told()
    assert has(private) == {"x": "0", "stranger": "1-7"}
    assert knows(private) == {f"{pod_id}/x/0", f"{pod_id}/stranger/0"}


async def test_when_the_ledger_was_lost_sets_in_the_runtime_are_taken_for_ours(left):
    runtime, directory = left
    (directory / "state.db").write_bytes(b"no database" * 1000)
    with closing(Store.open(directory)) as store:
        manager = Manager(store, runtime, budget_s=60, policy=NonePolicy())
        await manager.reconciler.once()
        await manager.told()
        assert has(manager) == {"s": "0-7", "x": "0-7"}
        assert {c.asked for c in manager.ledger.containers.values()} == {Resources(cpu_shares=512)}
        await manager.close()


# ---- what a container may know


async def test_a_container_may_know_its_cpus_from_before_its_start_to_its_removal(tmp_path):
    runtime = FakeRuntime()
    with closing(Store.open(tmp_path / "relay")) as store:
        manager = Manager(store, runtime, budget_s=60, policy=PrivatePolicy(tells=True)).reconciled()
        pod_id = await manager.run_pod()
        call = manager.begin(CREATE, create_request(pod_id, "x"))
        (mount,) = api.CreateContainerRequest.FromString(call.forwarded).config.mounts
        assert (mount.container_path, mount.readonly) == ("/.cri-resmgr", True)
        files = tmp_path / "relay" / "containers"
        assert [file.read_text() for file in files.rglob("resources.sh")] == ['EXCLUSIVE_CPUS="0"\n']
        await accepting(runtime, call).result()
        await manager.do(UPDATE, wish(manager, pod_id, cpu_shares=2048))
        await manager.exports.close()
        assert [file.read_text() for file in files.rglob("resources.sh")] == ['EXCLUSIVE_CPUS="0-1"\n']
        await remove(manager, pod_id)
        await manager.exports.close()
        assert not list(files.iterdir())
        await manager.close()


async def test_what_the_runtime_refuses_leaves_no_file(tmp_path):
    with closing(Store.open(tmp_path / "relay")) as store:
        manager = Manager(store, FakeRuntime(), budget_s=60, policy=PrivatePolicy(tells=True)).reconciled()
        call: FakeCall = manager.begin(CREATE, create_request(await manager.run_pod(), "x"))
        with pytest.raises(Failed):
            await call.fail(UNKNOWN).result()
        await manager.exports.close()
        assert not list((tmp_path / "relay" / "containers").iterdir())
        await manager.close()


async def test_a_change_without_a_decision_of_its_own_has_the_reasons_of_its_cause(private):
    pod_id = await pod_with(private, "s")
    private.ledger.placed(f"{pod_id}/s/0", Change(EVERYWHERE, HOLDING_NOTHING, ("before",)))
    await private.run_container(pod_id, "x")
    assert private.container(pod_id, "s").reasons == ("it shares",)
