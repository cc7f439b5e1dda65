"""Adjustments come into force all together or not at all, for containers that run and for those to come."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from cri_resmgr.cri import api_pb2 as api
from cri_resmgr.cri import methods
from cri_resmgr.errors import Degraded
from cri_resmgr.manager import adjusting
from cri_resmgr.policies.contract import Answer
from cri_resmgr.state.store import Store
from cri_resmgr.values import cpusets
from cri_resmgr.values.adjustments import META_KEY, UNADJUSTED, Adjusted, Adjustment, Effect, Scope, Statement, written
from cri_resmgr.values.events import Kind
from cri_resmgr.values.workloads import Container, Pod
from doubles.calls import accepting
from doubles.policies import PrivatePolicy
from doubles.runtime import FakeRuntime, asked_by, resources
from unit.manager.managers import Manager, create_request

MI = 1 << 20
HALF = Effect(cpu_request_millicpu=500, cpu_limit_millicpu=500, memory_limit_bytes=64 * MI)


def text(effect: Effect, *names: str) -> str:
    """An adjustment of the containers with these names, or of all."""
    scopes = (Scope((), (Statement("name", "In", names),)),) if names else ()
    return written(Adjustment("", scopes, effect))


def of(manager: Manager, container_id: str) -> tuple[int, int, int]:
    """Shares, quota and memory limit that the runtime was told."""
    has = asked_by(manager.runtime.containers[container_id])
    return has.cpu_shares, has.cpu_quota_us, has.memory_limit_bytes


@pytest.fixture(name="two")
async def _two(manager: Manager) -> tuple[Manager, str, str]:
    """Two containers that run."""
    pod = await manager.run_pod()
    asked = {"cpu_shares": 1024, "memory_limit_in_bytes": 256 * MI}
    return manager, await manager.run_container(pod, "a", **asked), await manager.run_container(pod, "b", cpu_shares=2)


async def test_those_in_scope_get_it_while_they_run_and_others_do_not(two):
    manager, a, b = two
    assert await manager.adjuster.apply({"half": text(HALF, "a")}, "1") == {}
    await manager.told()
    assert of(manager, a) == (512, 50_000, 64 * MI)
    assert of(manager, b) == (2, 0, 0)
    assert manager.container_named("a").adjustment == Adjusted("half", HALF)
    assert manager.container_named("b").adjustment is UNADJUSTED
    assert manager.container_named("a").asked.cpu_shares == 1024, "the kubelet's word is remembered"


async def test_taking_it_away_gives_the_original_back(two):
    manager, a, b = two
    await manager.adjuster.apply({"half": text(HALF)}, "1")
    await manager.told()
    assert of(manager, b) == (512, 50_000, 64 * MI)
    assert await manager.adjuster.apply({}, "2") == {}
    await manager.told()
    assert of(manager, a) == (1024, -1, 256 * MI)
    assert of(manager, b) == (2, -1, -1)
    assert len(manager.adjuster) == 0


async def test_the_same_set_again_asks_nobody_anything(two):
    manager, *_ = two
    await manager.adjuster.apply({"half": text(HALF)}, "1")
    await manager.told()
    asked, sent = len(manager.policy.asked), manager.enforcer.counters.sent
    assert await manager.adjuster.apply({"half": text(HALF)}, "1") == {}
    await manager.told()
    assert (len(manager.policy.asked), manager.enforcer.counters.sent) == (asked, sent)


async def test_the_policy_decides_about_what_is_wanted_now(two):
    manager, *_ = two
    await manager.adjuster.apply({"half": text(HALF, "a")}, "1")
    what, container, _pod = manager.policy.asked[-1]
    assert (what, container.name, container.wanted.cpu_shares) == ("update", "a", 512)


async def test_a_container_that_is_made_later_gets_it_in_its_create(manager):
    await manager.adjuster.apply({"half": text(HALF, "c")}, "1")
    pod = await manager.run_pod()
    call = manager.begin(methods.CREATE_CONTAINER, create_request(pod, cpu_shares=1024))
    await call.until_forwarded()
    said = api.CreateContainerRequest.FromString(call.forwarded).config.linux.resources
    assert (said.cpu_shares, said.cpu_quota, said.memory_limit_in_bytes) == (512, 50_000, 64 * MI)
    await accepting(manager.runtime, call).result()
    assert not len(manager.enforcer), "it has been told with its creation"


async def test_a_container_in_the_scope_of_several_rejects_the_update_in_the_seeds_words(two):
    manager, a, b = two
    await manager.adjuster.apply({"old": text(HALF, "b")}, "1")
    pushed = {"adjustment-2": text(HALF, "a"), "adjustment-1": text(HALF, "a", "x"), "old": text(HALF, "b")}
    errors = await manager.adjuster.apply(pushed, "2")
    conflict = {a: "cache: conflicting adjustments for web:a: adjustment-1,adjustment-2"}
    assert errors == {"adjustment-1": conflict, "adjustment-2": conflict}
    await manager.told()
    assert of(manager, a) == (1024, 0, 256 * MI)
    assert of(manager, b) == (512, 50_000, 64 * MI), "what was in force stays"
    assert Kind.ADJUSTMENTS_REJECTED in {event.kind for event in manager.events}
    assert manager.adjuster.digest == "2"
    assert await manager.adjuster.apply({"old": text(HALF, "b"), "adjustment-1": text(HALF, "a")}, "3") == {}
    await manager.told()
    assert of(manager, a) == (512, 50_000, 64 * MI)


async def test_an_innocent_adjustment_is_told_why_it_is_not_in_force(two):
    manager, a, _ = two
    pushed = {"one": text(HALF, "a"), "two": text(HALF, "a"), "new": text(HALF, "b")}
    errors = await manager.adjuster.apply(pushed, "1")
    assert set(errors["one"]) == {a}
    text_ = "cache: this update was rejected because of one,two; what was in force before stays"
    assert errors["new"] == {"cache": text_}


async def test_an_adjustment_that_is_none_rejects_the_update(two):
    manager, a, _ = two
    errors = await manager.adjuster.apply({"bad": "{}", "good": text(HALF)}, "1")
    assert errors["bad"]["bad"].startswith("this is no adjustment")
    assert set(errors) == {"bad", "good"}
    assert of(manager, a) == (1024, 0, 256 * MI)
    assert len(manager.adjuster) == 0


async def test_containers_of_a_best_effort_pod_have_no_resources_to_override(manager):
    request = api.RunPodSandboxRequest(
        config=api.PodSandboxConfig(metadata=api.PodSandboxMetadata(name="idle", namespace="shop", uid="u"))
    )
    request.config.linux.cgroup_parent = "/kubepods/besteffort/podu"
    pod = api.RunPodSandboxResponse.FromString(await manager.do(methods.RUN_POD_SANDBOX, request)).pod_sandbox_id
    container = await manager.run_container(pod, "c", cpu_shares=2)
    said = "cache: half: can't override resources for BestEffort idle:c"
    assert await manager.adjuster.apply({"half": text(HALF)}, "1") == {"half": {container: said}}
    classes = Effect(rdt_class="gold")
    assert container not in (await manager.adjuster.apply({"half": text(classes)}, "2"))["half"]


async def test_a_class_that_nobody_here_can_apply_is_said_and_the_rest_is_applied(two):
    manager, a, _ = two
    effect = Effect(cpu_limit_millicpu=500, rdt_class="gold", blockio_class="slow", toptier_limit_bytes=MI)
    errors = await manager.adjuster.apply({"classy": text(effect, "a")}, "1")
    assert errors == {
        "classy": {
            "classy": "not applied on this node: RDT class 'gold': there is no rdt controller, block I/O class 'slow': "
            "there is no blockio controller, top tier limit '1048576': there is no memory controller"
        }
    }
    await manager.told()
    assert of(manager, a)[1] == 50_000
    assert manager.container_named("a").adjustment.effect == effect
    assert manager.adjuster.errors == errors


async def test_a_new_container_in_the_scope_of_several_gets_none_and_that_is_said_as_long_as_it_lives(manager):
    pushed = {"one": text(HALF, "a", "c"), "two": text(HALF, "b", "c")}
    assert await manager.adjuster.apply(pushed, "1") == {}
    pod = await manager.run_pod()
    container = await manager.run_container(pod, "c", cpu_shares=1024)
    assert of(manager, container) == (1024, 0, 0)
    conflict = {container: "cache: conflicting adjustments for web:c: one,two"}
    assert manager.adjuster.errors == {"one": conflict, "two": conflict}
    assert any(event.kind == Kind.ADJUSTMENTS_REJECTED and event.container == "c" for event in manager.events)
    await manager.do(methods.STOP_CONTAINER, api.StopContainerRequest(container_id=container))
    assert manager.adjuster.errors == {}


async def test_a_later_resize_by_the_kubelet_is_merged(two):
    manager, a, _ = two
    await manager.adjuster.apply({"memory": text(Effect(memory_limit_bytes=64 * MI), "a")}, "1")
    await manager.told()
    request = api.UpdateContainerResourcesRequest(
        container_id=a, linux=resources(cpu_shares=2048, memory_limit_in_bytes=512 * MI)
    )
    await manager.do(methods.UPDATE_CONTAINER_RESOURCES, request)
    assert of(manager, a) == (2048, 0, 64 * MI)
    await manager.adjuster.apply({}, "2")
    await manager.told()
    assert of(manager, a) == (2048, 0, 512 * MI), "the kubelet's newest word is given back"


async def test_a_create_that_is_cut_off_and_repeated_keeps_what_it_was_given(manager):
    await manager.adjuster.apply({"half": text(HALF, "c")}, "1")
    pod = await manager.run_pod()
    first = manager.begin(methods.CREATE_CONTAINER, create_request(pod, cpu_shares=1024))
    await first.until_forwarded()
    first.cancel()
    await manager.settle()
    again = manager.begin(methods.CREATE_CONTAINER, create_request(pod, cpu_shares=1024))
    await again.until_forwarded()
    said = api.CreateContainerRequest.FromString(again.forwarded).config.linux.resources
    assert said.cpu_shares == 512
    await accepting(manager.runtime, again).result()
    assert manager.container_named("c").adjustment.by == "half"


async def test_a_container_that_comes_while_many_are_looked_through_is_not_forgotten(two, monkeypatch):
    manager, *_ = two
    monkeypatch.setattr(adjusting, "SLICE_S", 0.0)
    pod = await manager.run_pod("late")
    applying = asyncio.ensure_future(manager.adjuster.apply({f"a{n}": text(HALF, f"x{n}") for n in range(50)}, "1"))
    await asyncio.sleep(0)
    container = await manager.run_container(pod, "x7", cpu_shares=1024)
    assert not applying.done(), "else this test shows nothing"
    assert await applying == {}
    await manager.told()
    assert of(manager, container) == (512, 50_000, 64 * MI)


async def test_calls_have_their_turn_while_thousands_are_looked_through(two, monkeypatch):
    manager, *_ = two
    monkeypatch.setattr(adjusting, "SLICE_S", 0.0)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.ensure_future(others())
    await manager.adjuster.apply({f"a{n}": text(HALF, f"x{n}") for n in range(100)}, "1")
    task.cancel()
    assert turns > 200


# ---- the policy's word


@pytest.fixture(name="four")
async def _four(tmp_path: Path) -> AsyncIterator[Manager]:
    """Four CPUs, some of which containers get for themselves."""
    with closing(Store.open(tmp_path / "four")) as store:
        made = Manager(store, FakeRuntime(), budget_s=60, policy=PrivatePolicy(cpus=4))
        yield made.reconciled()
        await made.close()


def wants(cpus: int) -> Effect:
    return Effect(cpu_request_millicpu=2000 * (cpus - 1))


async def test_a_policy_gives_more_to_whoever_is_adjusted_and_others_leave(four):
    pod = await four.run_pod()
    await four.run_container(pod, "x1")
    shared = await four.run_container(pod, "s")
    assert await four.adjuster.apply({"more": text(wants(3), "x1")}, "1") == {}
    await four.told()
    assert four.container_named("x1").given.cpuset_cpus == "0-2"
    assert asked_by(four.runtime.containers[shared]).cpuset_cpus == "3"


async def test_what_one_gives_up_in_an_update_another_may_have(four):
    pod = await four.run_pod()
    await four.run_container(pod, "x1")
    await four.run_container(pod, "x2")
    assert await four.adjuster.apply({"a": text(wants(2), "x2")}, "1") == {}
    assert await four.adjuster.apply({"z": text(wants(2), "x1")}, "2") == {}
    sizes = [cpusets.parse(four.container_named(name).given.cpuset_cpus).bit_count() for name in ("x1", "x2")]
    assert sizes == [2, 1]


async def test_what_the_policy_has_no_room_for_rejects_all_of_the_update(four):
    pod = await four.run_pod()
    one, two = await four.run_container(pod, "x1"), await four.run_container(pod, "x2")
    before = dict(four.ledger.containers)
    state, version = four.decider.state, four.decider.version
    pushed = {"fits": text(Effect(memory_limit_bytes=MI), "x1"), "large": text(wants(4), "x2")}
    errors = await four.adjuster.apply(pushed, "1")
    assert set(errors["large"]) == {two}
    assert errors["large"][two].startswith("policy private: ")
    assert errors["fits"]["cache"].startswith("cache: this update was rejected because of large")
    assert dict(four.ledger.containers) == before
    assert (four.decider.state, four.decider.version) == (state, version)
    assert one in four.runtime.containers


async def test_an_adjustment_can_always_be_taken_away_whatever_the_policy_says(four):
    pod = await four.run_pod()
    asked = 2 * 2048
    shrunk = await four.run_container(pod, "x1", cpu_shares=asked)
    await four.adjuster.apply({"small": text(Effect(cpu_request_millicpu=100), "x1")}, "1")
    await four.told()
    assert four.container_named("x1").given.cpuset_cpus == "0"
    await four.run_container(pod, "x2", cpu_shares=2048)
    assert await four.adjuster.apply({}, "2") == {}
    await four.told()
    container = four.container_named("x1")
    assert container.given.cpuset_cpus == "0", "there are not three left"
    assert container.adjustment is UNADJUSTED
    assert of(four, shrunk)[0] == asked


@dataclass(frozen=True)
class Breaking(PrivatePolicy):
    """A policy that cannot resize."""

    def update(self, state: object, container: Container, pod: Pod) -> Answer:
        raise ZeroDivisionError("by design")


async def test_a_policy_that_breaks_changes_nothing(tmp_path):
    with closing(Store.open(tmp_path / "relay")) as store:
        manager = Manager(store, FakeRuntime(), budget_s=60, policy=Breaking()).reconciled()
        pod = await manager.run_pod()
        await manager.run_container(pod, "x1")
        before = dict(manager.ledger.containers)
        with pytest.raises(Degraded, match=r"policy private: gave no answer .ZeroDivisionError: by design."):
            await manager.adjuster.apply({"more": text(wants(2))}, "1")
        assert dict(manager.ledger.containers) == before
        assert len(manager.adjuster) == 0
        await manager.close()


# ---- the store


async def restarted(manager: Manager, tmp_path: Path) -> Manager:
    await manager.close()
    return Manager(manager.store, manager.runtime, budget_s=60)


async def test_a_daemon_that_starts_again_goes_on_with_what_was_in_force(two, tmp_path):
    manager, a, _ = two
    await manager.adjuster.apply({"half": text(HALF, "a", "late")}, "1")
    await manager.told()
    again = await restarted(manager, tmp_path)
    assert again.container_named("a").adjustment == Adjusted("half", HALF)
    assert again.adjuster.digest == "", "so the agent gives it once more"
    await again.reconciler.once()
    again.book.reconciled.set_result(None)
    await again.told()
    assert of(again, a) == (512, 50_000, 64 * MI)
    pod = again.container_named("a").pod_id
    late = await again.run_container(pod, "late", cpu_shares=1024)
    assert of(again, late) == (512, 50_000, 64 * MI)
    await again.adjuster.apply({}, "2")
    await again.told()
    assert of(again, a) == (1024, -1, 256 * MI)
    await again.close()


async def test_a_crash_between_decision_and_update_is_made_good(two, tmp_path):
    manager, a, _ = two
    await manager.enforcer.close()  # nothing is told any more
    await manager.adjuster.apply({"half": text(HALF, "a")}, "1")
    await manager.writer.now()
    again = await restarted(manager, tmp_path)
    await again.reconciler.once()
    await again.told()
    assert of(again, a) == (512, 50_000, 64 * MI)
    await again.close()


async def test_what_another_version_has_kept_is_passed_over(tmp_path):
    with closing(Store.open(tmp_path / "relay")) as store:
        store.set(META_KEY, json.dumps([["new", '{"scopes":[],"effect":{"colour":1}}'], ["half", text(HALF, "c")]]))
        manager = Manager(store, FakeRuntime(), budget_s=60).reconciled()
        assert len(manager.adjuster) == 1
        await manager.close()


async def test_an_update_waits_for_the_comparison_with_the_runtime(tmp_path):
    with closing(Store.open(tmp_path / "relay")) as store:
        manager = Manager(store, FakeRuntime(), budget_s=60)
        applying = asyncio.ensure_future(manager.adjuster.apply({"half": text(HALF)}, "1"))
        await manager.settle()
        assert not applying.done()
        manager.reconciled()
        assert await applying == {}
        await manager.close()
