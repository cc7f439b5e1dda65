"""Everything is given back: afterwards each container has what the kubelet asked for, and nobody holds anything."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.cri import api_pb2 as api
from cri_resmgr.cri import methods, patches
from cri_resmgr.cri.runtime import Runtime
from cri_resmgr.manager.differences import Whole
from cri_resmgr.manager.releasing import given_back, holders, release
from cri_resmgr.state.ledger import Ledger
from cri_resmgr.values.decisions import HOLDING_NOTHING, Candidate, Holding
from cri_resmgr.values.resources import NOTHING, Assignment, Resources
from cri_resmgr.values.workloads import Container, Pod, State
from cri_resmgr.wire.client import CallError
from doubles.runtime import FakeRuntime, MemoryClient, StatusError, resources

UPDATE = methods.UPDATE_CONTAINER_RESOURCES
ALL = Whole("0-7", "0-1")
UNSET = Resources(100_000, -1, 1024, cpuset_cpus="0-7", cpuset_mems="0-1")
GIVEN = Assignment(cpuset_cpus="2-3", cpuset_mems="1", cpu_shares=2048)
HOLDING = Holding(policy="p", exclusive="2-3")


class Node:
    """A runtime with containers of one pod, and the ledger that a daemon has left."""

    def __init__(self) -> None:
        self.fake, self.ledger = FakeRuntime(), Ledger()
        self.pod_id = api.RunPodSandboxResponse.FromString(
            self.fake.answer(methods.RUN_POD_SANDBOX, b"")
        ).pod_sandbox_id
        self.ledger.put_pod(Pod(self.pod_id, "web", "shop", "u"))
        self.fates = []

    def run(self, name: str, given: Assignment = GIVEN, state: State = State.RUNNING, **asked) -> Container:
        """A container that got what was decided for it."""
        metadata = api.ContainerMetadata(name=name)
        request = api.CreateContainerRequest(pod_sandbox_id=self.pod_id, config=api.ContainerConfig(metadata=metadata))
        request.config.linux.resources.CopyFrom(resources(**asked))
        raw = request.SerializeToString()
        wish = Resources(**{{"memory_limit_in_bytes": "memory_limit_bytes"}.get(k, k): v for k, v in asked.items()})
        reply = self.fake.answer(methods.CREATE_CONTAINER, patches.patched_create(raw, wish, given))
        container_id = api.CreateContainerResponse.FromString(reply).container_id
        self.fake.containers[container_id].state = {
            State.CREATED: api.CONTAINER_CREATED,
            State.EXITED: api.CONTAINER_EXITED,
        }.get(state, api.CONTAINER_RUNNING)
        container = Container(
            self.pod_id,
            name,
            0,
            id=container_id,
            state=state,
            asked=wish,
            given=given,
            told=given,
            holding=HOLDING,
            candidates=(Candidate("root", {}, "chosen"),),
        )
        self.ledger.put(container)
        return container

    def has(self, container: Container) -> api.LinuxContainerResources:
        return self.fake.containers[container.id].has

    async def release(self) -> list[tuple[str, bool, str]]:
        runtime = Runtime(MemoryClient(self.fake))
        fates = await release(self.ledger, runtime, ALL, report=self.fates.append)
        return [(fate.container.name, fate.gone, fate.error) for fate in fates]


@pytest.fixture
def node() -> Node:
    return Node()


async def test_what_was_asked_comes_back_and_what_was_not_asked_is_everything(node):
    one = node.run("a", cpu_shares=512, cpuset_cpus="1", memory_limit_in_bytes=1 << 30)
    other = node.run("b")
    assert await node.release() == [("a", False, ""), ("b", False, "")]
    assert node.has(one) == resources(cpu_shares=512, cpuset_cpus="1", cpuset_mems="0-1", memory_limit_in_bytes=1 << 30)
    assert node.has(other) == resources(cpu_shares=1024, cpuset_cpus="0-7", cpuset_mems="0-1")


async def test_what_was_decided_is_forgotten_and_what_was_asked_is_not(node):
    container = node.run("a", cpu_shares=512)
    await node.release()
    left = node.ledger.containers[container.key]
    assert (left.given, left.told, left.holding, left.candidates) == (NOTHING, NOTHING, HOLDING_NOTHING, ())
    assert (left.asked, left.reasons) == (container.asked, ("released: the kubelet's own values",))
    assert holders(node.ledger) == ()


async def test_those_about_whom_nothing_was_decided_are_left_alone(node):
    free = replace(node.run("a", NOTHING, cpu_shares=512), holding=HOLDING_NOTHING)
    node.ledger.put(free)
    assert await node.release() == []
    assert node.fake.calls[UPDATE] == 0
    assert node.ledger.containers[free.key] == free


async def test_the_second_time_there_is_nothing_to_do(node):
    node.run("a")
    await node.release()
    assert await node.release() == []
    assert node.fake.calls[UPDATE] == 1


async def test_what_has_gone_is_dropped_and_what_has_ended_is_told_nothing(node):
    gone, ended = node.run("gone"), node.run("ended", state=State.EXITED)
    del node.fake.containers[gone.id]
    assert await node.release() == [("gone", True, ""), ("ended", False, "")]
    assert node.fake.calls[UPDATE] == 0
    assert list(node.ledger.containers) == [ended.key]
    assert holders(node.ledger) == ()


async def test_one_that_was_being_made_when_the_daemon_died_is_found_by_its_name(node):
    container = node.run("a", state=State.CREATED, cpu_shares=512)
    node.ledger.put(replace(container, id="", state=State.CREATING))
    assert await node.release() == [("a", False, "")]
    assert node.has(container).cpu_shares == 512


async def test_what_the_runtime_was_told_comes_back_even_if_the_last_decision_did_not_reach_it(node):
    container = node.run("a", cpu_shares=512)
    node.ledger.put(replace(container, given=Assignment(cpu_quota_us=1000), told=GIVEN))
    await node.release()
    assert node.has(container) == resources(cpu_shares=512, cpuset_cpus="0-7", cpuset_mems="0-1", cpu_quota=-1)


async def test_a_failure_costs_one_container_and_is_told(node):
    bad, good = node.run("bad"), node.run("good")
    update = node.fake._UpdateContainerResources

    def refuse(asked):
        if asked.container_id == bad.id:
            raise StatusError(2, "device or resource busy")
        return update(asked)

    node.fake._UpdateContainerResources = refuse
    assert await node.release() == [("bad", False, "device or resource busy"), ("good", False, "")]
    assert holders(node.ledger) == (node.ledger.containers[bad.key],)
    assert node.has(good).cpuset_cpus == "0-7"
    assert {(fate.container.key, fate.error) for fate in node.fates} == {
        (bad.key, "device or resource busy"),
        (good.key, ""),
    }


async def test_one_that_ends_under_our_hands_is_no_failure(node):
    container = node.run("a")

    def end(_asked):
        node.fake.containers[container.id].state = api.CONTAINER_EXITED
        raise StatusError(2, "container is not running")

    node.fake._UpdateContainerResources = end
    assert await node.release() == [("a", False, "")]


async def test_a_runtime_that_goes_away_in_the_middle_is_a_failure_of_those_that_are_left(node):
    node.run("a")

    def die(_asked):
        node.fake.refused = dict.fromkeys([methods.LIST_CONTAINERS, UPDATE], StatusError(14, "gone"))
        raise StatusError(14, "gone")

    node.fake._UpdateContainerResources = die
    assert await node.release() == [("a", False, "gone")]
    assert len(holders(node.ledger)) == 1


async def test_without_a_runtime_nothing_is_forgotten(node):
    node.run("a")
    node.fake.refused[methods.LIST_CONTAINERS] = StatusError(14, "no such file")
    with pytest.raises(CallError, match="no such file"):
        await node.release()
    assert len(holders(node.ledger)) == 1


sets = st.sampled_from(["0", "1-3", "4,6"])
assignments = st.builds(
    Assignment,
    cpuset_cpus=st.none() | sets,
    cpuset_mems=st.none() | st.sampled_from(["0", "1"]),
    cpu_shares=st.none() | st.integers(2, 10_000),
    cpu_quota_us=st.none() | st.integers(1000, 10**6),
    cpu_period_us=st.none() | st.integers(1000, 10**6),
)
wishes = st.builds(
    Resources,
    cpu_period_us=st.sampled_from([0, 100_000]),
    cpu_quota_us=st.sampled_from([0, -1, 50_000]),
    cpu_shares=st.sampled_from([0, 2, 512]),
    memory_limit_bytes=st.sampled_from([0, 1 << 30]),
    cpuset_cpus=st.just("") | sets,
)


@given(wishes, assignments, assignments)
def test_only_what_was_ever_decided_is_set_back(asked, told, given_):
    container = Container("p", "c", 0, asked=asked, given=given_, told=told)
    back = given_back(container, ALL)
    for name in Assignment.__dataclass_fields__:
        owned = getattr(told, name) is not None or getattr(given_, name) is not None
        wish = getattr(asked, name) or getattr(UNSET, name)
        assert getattr(back, name) == (wish if owned else getattr(Resources(), name))
    assert (back.memory_limit_bytes, back.oom_score_adj) == (0, 0)


@given(st.lists(st.tuples(assignments, st.sampled_from([State.CREATED, State.RUNNING])), max_size=20))
def test_however_many_there_are_each_has_its_own_again(containers):
    async def check() -> None:
        node = Node()
        made = [node.run(f"c{n}", given_, state, cpu_shares=512 + n) for n, (given_, state) in enumerate(containers)]
        await node.release()
        assert holders(node.ledger) == ()
        for number, container in enumerate(made):
            has, had = node.has(container), container.given
            assert has.cpu_shares == 512 + number
            assert has.cpuset_cpus == ("" if had.cpuset_cpus is None else "0-7")
            assert has.cpuset_mems == ("" if had.cpuset_mems is None else "0-1")

    asyncio.run(check())
