"""Whatever a kubelet does, and whenever calls are cut off or the daemon crashes: in the end the ledger is what runs.

And at no moment do two containers run that have one CPU for themselves each, nor does anybody start on CPUs of his own
on which somebody else still is.

The hooks, the ledger, the store, the enforcer, the reconciler and the taps are real; kubelet and runtime are models.
Each step of a call (forwarded, done by the runtime, answered) is a step of the machine, as is each answer to our own
calls, so that everything may happen in between.
"""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

from google.protobuf.message import Message
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from structlog.testing import capture_logs

from cri_resmgr.cri import api_pb2 as api
from cri_resmgr.cri import methods
from cri_resmgr.cri.messages import container_of_create
from cri_resmgr.manager import owing
from cri_resmgr.manager.reconciling import UNBORN_S
from cri_resmgr.manager.tapping import ListTap, ListTaps
from cri_resmgr.relay.hooks import Failed, Refused
from cri_resmgr.state.store import Store
from cri_resmgr.values import cpusets
from cri_resmgr.values.resources import Resources
from cri_resmgr.values.workloads import State
from cri_resmgr.wire.client import CallError
from cri_resmgr.wire.grpc import UNKNOWN
from doubles.calls import FakeCall
from doubles.policies import PrivatePolicy
from doubles.runtime import FakeContainer, FakeRuntime, MemoryClient, StatusError, resources
from unit.manager.managers import Manager, create_request, run_request

NEVER_S = 1e6
NAMES = st.sampled_from(["s", "x", "x2"])
PLACES = st.integers(0, 1 << 16)
STATES = {
    api.CONTAINER_CREATED: State.CREATED,
    api.CONTAINER_RUNNING: State.RUNNING,
    api.CONTAINER_EXITED: State.EXITED,
}
IDS = {
    methods.START_CONTAINER: api.StartContainerRequest,
    methods.STOP_CONTAINER: api.StopContainerRequest,
    methods.REMOVE_CONTAINER: api.RemoveContainerRequest,
}
POD_IDS = {
    methods.STOP_POD_SANDBOX: api.StopPodSandboxRequest,
    methods.REMOVE_POD_SANDBOX: api.RemovePodSandboxRequest,
}
LISTS = {methods.LIST_CONTAINERS: "containers", methods.LIST_POD_SANDBOX: "pods"}


@dataclass(eq=False)
class OurCall:
    """A call of ours: first the runtime acts, later we hear of it."""

    method: str
    message: bytes
    answer: "asyncio.Future[bytes]"
    outcome: bytes | CallError | None = None


class GatedClient(MemoryClient):
    """The runtime acts when the machine wants it, and its answer comes when the machine delivers it."""

    def __init__(self, runtime: FakeRuntime, sent: Callable[[OurCall], None]) -> None:
        super().__init__(runtime)
        self.calls: list[OurCall] = []
        self._sent = sent

    async def call(self, method: str, message: bytes, *, deadline_s: float) -> bytes:
        call = OurCall(method, message, asyncio.get_running_loop().create_future())
        self.calls.append(call)
        self._sent(call)
        return await call.answer

    def act(self, call: OurCall) -> None:
        try:
            call.outcome = self.runtime.answer(call.method, call.message)
        except StatusError as error:
            call.outcome = CallError(call.method, error.code, str(error))

    def deliver(self, call: OurCall) -> None:
        self.calls.remove(call)
        if call.answer.done():
            return
        if isinstance(call.outcome, CallError):
            call.answer.set_exception(call.outcome)
        else:
            call.answer.set_result(call.outcome)


@dataclass
class InFlight:
    """A call of the kubelet; `outcome` is what the runtime made of it, None as long as it has not acted."""

    call: FakeCall
    key: str = ""  # of the container that it creates
    container_id: str = ""  # of the container that it starts or resizes
    resize: tuple[str, int] | None = None  # container id and shares
    alone: bool = True  # there was no other resize of the container at the same time
    outcome: bytes | StatusError | None = None


class KubeletAndCrashes(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.directory = Path(tempfile.mkdtemp(prefix="cri-resmgr-test-"))
        self.logs = contextlib.ExitStack()
        self.logs.enter_context(capture_logs())
        self.logs.enter_context(mock.patch.object(owing, "FIRST_RETRY_S", 0.0))
        self.runtime = FakeRuntime()
        self.calls: list[InFlight] = []
        self.orphans: list[tuple[str, bytes]] = []  # forwarded by a call that was cut off: the runtime may still act
        self.lists: list[tuple[str, ListTap, bytes | None]] = []
        self.attempts: dict[tuple[str, str], int] = {}
        self.asked: dict[str, set[Resources]] = {}  # by key: more than one where a resize was cut off
        self.pods: list[str] = []  # ids that the kubelet knows
        self.containers: list[str] = []
        self.unstored: list[Any] = []
        self.tainted: set[str] = set()  # ids of containers that a forgotten call of the kubelet's has changed
        self.store = Store.open(self.directory)
        self.boot()

    # ---- how things move

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(coroutine)

    def boot(self) -> None:
        """A daemon starts on what the store has."""

        async def make() -> None:
            self.client = GatedClient(self.runtime, self.note_what_is_not_stored)
            self.manager = Manager(
                self.store,
                self.runtime,
                budget_s=NEVER_S,
                write_interval_s=NEVER_S,
                policy=PrivatePolicy(),
                client=self.client,
            )
            self.reconciler = self.manager.reconciler
            self.taps = ListTaps(self.reconciler, clock=lambda: self.manager.clock_s)
            self.reconciling = asyncio.create_task(self.reconciler.run())

        self.run(make())
        self.spin()

    def begin(self, method: str, request: Message, **fields: Any) -> None:
        async def make() -> FakeCall:
            return FakeCall(method, request).begin(self.manager.hooks[method])

        self.calls.append(InFlight(self.run(make()), **fields))
        self.spin()

    def spin(self) -> None:
        """Everything that can go on by itself goes on; what is refused by us has ended."""

        async def turns() -> None:
            for _ in range(12):
                await asyncio.sleep(0)

        self.run(turns())
        for flight in [f for f in self.calls if f.call.done and f.call.forwarded is None]:
            assert isinstance(flight.call._outcome.exception(), Refused)
            self.calls.remove(flight)

    def note_what_is_not_stored(self, call: OurCall) -> None:
        """We tell the runtime something, which the store must know already."""
        if call.method == methods.UPDATE_CONTAINER_RESOURCES:
            told = api.UpdateContainerResourcesRequest.FromString(call.message)
            container, stored = self.manager.ledger.by_id(told.container_id), self.manager.stored()
            if container is None or stored[container.key].given.cpuset_cpus != told.linux.cpuset_cpus:
                self.unstored.append((told, container, stored))

    def act_for_us(self, call: OurCall) -> None:
        before = {c.id: cpusets.parse(c.has.cpuset_cpus) for c in self.runtime.containers.values()}
        self.client.act(call)
        if call.method == methods.UPDATE_CONTAINER_RESOURCES and not isinstance(call.outcome, CallError):
            container_id = api.UpdateContainerResourcesRequest.FromString(call.message).container_id
            self.check_room_for(container_id, had=before[container_id])

    def act(self, flight: InFlight) -> None:
        assert flight.call.forwarded is not None
        try:
            flight.outcome = self.runtime.answer(flight.call.method, flight.call.forwarded)
        except StatusError as error:
            flight.outcome = error
            return
        if flight.resize:
            self.resized(*flight.resize, certain=False)
        if flight.container_id and flight.alone:
            self.check_room_for(flight.container_id)

    def answer(self, flight: InFlight) -> None:
        """The kubelet learns what the runtime said, and nothing else."""
        self.calls.remove(flight)
        if isinstance(flight.outcome, StatusError):
            flight.call.fail(flight.outcome.code, str(flight.outcome))
            self.spin()
            assert isinstance(flight.call._outcome.exception(), Failed)
            return
        assert flight.outcome is not None
        flight.call.answer(flight.outcome)
        self.spin()
        assert flight.call._outcome.result() == flight.outcome
        self.learn(flight, flight.outcome)

    def learn(self, flight: InFlight, reply: bytes) -> None:
        if flight.call.method == methods.RUN_POD_SANDBOX:
            self.pods.append(api.RunPodSandboxResponse.FromString(reply).pod_sandbox_id)
        elif flight.call.method == methods.CREATE_CONTAINER:
            self.containers.append(api.CreateContainerResponse.FromString(reply).container_id)
        elif flight.resize:
            self.resized(*flight.resize, certain=True)

    def resized(self, container_id: str, shares: int, *, certain: bool) -> None:
        """What may now count as asked for."""
        container = self.runtime.containers.get(container_id)
        if container is not None:
            known = self.asked[container.key]
            new = {replace(asked, cpu_shares=shares) for asked in known}
            concurrent = any(f.resize and f.resize[0] == container_id for f in self.calls)
            self.asked[container.key] = new if certain and not concurrent else known | new

    def note_orphan(self, flight: InFlight) -> None:
        if flight.call.forwarded is not None and flight.outcome is None:
            self.orphans.append((flight.call.method, flight.call.forwarded))

    def ready(self, *, acted: bool) -> list[InFlight]:
        return [f for f in self.calls if f.call.forwarded is not None and (f.outcome is not None) == acted]

    # ---- what a kubelet does

    @initialize()
    def a_pod_runs(self) -> None:
        self.run_pod("web")
        self.quiet_down()
        for name in ("s", "x"):
            self.create(0, name, again=False)
            self.quiet_down()
            self.about_container(-1, methods.START_CONTAINER)
        self.quiet_down()

    @rule()
    def quiet_down(self) -> None:
        """All that has begun is finished."""
        self.deliver_all()
        while self.calls:
            flight = next((f for f in self.calls if f.call.forwarded is not None), None)
            assert flight is not None, "somebody can always go on"
            if flight.outcome is None:
                self.act(flight)
            self.answer(flight)
            self.deliver_all()

    @precondition(lambda self: len(self.runtime.pods) < 4)
    @rule(name=NAMES)
    def run_pod(self, name: str) -> None:
        self.begin(methods.RUN_POD_SANDBOX, run_request(name))

    @precondition(lambda self: self.pods)
    @rule(place=PLACES, name=NAMES, again=st.booleans())
    def create(self, place: int, name: str, again: bool) -> None:  # noqa: FBT001
        pod_id = self.pods[place % len(self.pods)]
        attempt = self.attempts.get((pod_id, name), -1)
        if attempt < 0 or not again:
            attempt += 1
        self.attempts[pod_id, name] = attempt
        key = f"{pod_id}/{name}/{attempt}"
        original = Resources(cpu_shares=100 + attempt, memory_limit_bytes=1 << 20)
        self.asked.setdefault(key, set()).add(original)
        request = create_request(pod_id, name, attempt, cpu_shares=100 + attempt, memory_limit_in_bytes=1 << 20)
        self.begin(methods.CREATE_CONTAINER, request, key=key)
        if any(flight.key == key and flight.call.forwarded is not None for flight in self.calls):
            assert key in self.manager.stored(), "a decision is stored before it has an effect"

    @precondition(lambda self: self.containers)
    @rule(place=PLACES, method=st.sampled_from(sorted(IDS)))
    def about_container(self, place: int, method: str) -> None:
        container_id = self.containers[place % len(self.containers)]
        started = container_id if method == methods.START_CONTAINER else ""
        self.begin(method, IDS[method](container_id=container_id), container_id=started)

    @precondition(lambda self: self.containers)
    @rule(place=PLACES, shares=st.integers(2, 5000))
    def resize(self, place: int, shares: int) -> None:
        container_id = self.containers[place % len(self.containers)]
        request = api.UpdateContainerResourcesRequest(container_id=container_id, linux=resources(cpu_shares=shares))
        others = [f for f in self.calls if f.resize and f.resize[0] == container_id]
        for other in others:
            other.alone = False
        fields = {"container_id": container_id, "resize": (container_id, shares), "alone": not others}
        self.begin(methods.UPDATE_CONTAINER_RESOURCES, request, **fields)

    @precondition(lambda self: self.pods)
    @rule(place=PLACES, method=st.sampled_from(sorted(POD_IDS)))
    def about_pod(self, place: int, method: str) -> None:
        pod_id = self.pods[place % len(self.pods)]
        self.begin(method, POD_IDS[method](pod_sandbox_id=pod_id))

    @rule(path=st.sampled_from(sorted(LISTS)), late=st.booleans())
    def list_begins(self, path: str, late: bool) -> None:  # noqa: FBT001
        tap = self.taps.tap_for(path)
        if tap is not None:
            tap.request(b"")
            self.lists.append((path, tap, None if late else self.runtime.answer(path, b"")))

    @precondition(lambda self: self.lists)
    @rule(place=PLACES)
    def list_ends(self, place: int) -> None:
        path, tap, reply = self.lists.pop(place % len(self.lists))
        tap.reply(self.runtime.answer(path, b"") if reply is None else reply)

        async def end() -> None:
            tap.ended(0, "")

        self.run(end())
        self.spin()

    # ---- what the runtime does

    @precondition(lambda self: self.ready(acted=False))
    @rule(place=PLACES)
    def runtime_acts(self, place: int) -> None:
        ready = self.ready(acted=False)
        self.act(ready[place % len(ready)])

    @precondition(lambda self: self.ready(acted=True))
    @rule(place=PLACES)
    def runtime_answers(self, place: int) -> None:
        ready = self.ready(acted=True)
        self.answer(ready[place % len(ready)])

    @precondition(lambda self: self.ready(acted=False))
    @rule(place=PLACES)
    def runtime_acts_and_answers(self, place: int) -> None:
        ready = self.ready(acted=False)
        self.act(ready[place % len(ready)])
        self.answer(ready[place % len(ready)])

    @precondition(lambda self: self.client.calls)
    @rule(place=PLACES, fails=st.booleans())
    def runtime_hears_us(self, place: int, fails: bool) -> None:  # noqa: FBT001
        call = self.client.calls[place % len(self.client.calls)]
        if call.outcome is None and fails and call.method == methods.UPDATE_CONTAINER_RESOURCES:
            call.outcome = CallError(call.method, UNKNOWN, "the runtime is not in the mood")
        elif call.outcome is None:
            self.act_for_us(call)

    @precondition(lambda self: self.client.calls)
    @rule(place=PLACES)
    def runtime_answers_us(self, place: int) -> None:
        call = self.client.calls[place % len(self.client.calls)]
        if call.outcome is None:
            self.act_for_us(call)
        self.client.deliver(call)
        self.spin()

    @precondition(lambda self: self.orphans)
    @rule(place=PLACES, acts=st.booleans())
    def end_of_an_orphan(self, place: int, acts: bool) -> None:  # noqa: FBT001
        method, message = self.orphans.pop(place % len(self.orphans))
        if method == methods.CREATE_CONTAINER:  # not later than everything that came after it
            acts = acts and container_of_create(message).key in self.manager.ledger.containers
        if acts:
            if method == methods.UPDATE_CONTAINER_RESOURCES:
                self.tainted.add(api.UpdateContainerResourcesRequest.FromString(message).container_id)
                asked = api.UpdateContainerResourcesRequest.FromString(message)
                self.resized(asked.container_id, asked.linux.cpu_shares, certain=False)
            with contextlib.suppress(StatusError):
                self.runtime.answer(method, message)

    @precondition(lambda self: self.runtime.containers)
    @rule(place=PLACES)
    def container_exits(self, place: int) -> None:
        container = list(self.runtime.containers.values())[place % len(self.runtime.containers)]
        if container.state == api.CONTAINER_RUNNING:
            container.state = api.CONTAINER_EXITED

    # ---- what we do on our own

    @rule()
    def rebalance(self) -> None:
        async def act() -> None:
            self.manager.placing.rebalance()

        self.run(act())
        self.spin()

    # ---- what goes wrong

    @precondition(lambda self: self.calls)
    @rule(place=PLACES, reset=st.booleans())
    def call_is_cut_off(self, place: int, reset: bool) -> None:  # noqa: FBT001
        flight = self.calls[place % len(self.calls)]
        self.calls.remove(flight)
        self.note_orphan(flight)

        async def cut_off() -> None:
            if reset and flight.call.forwarded is not None:
                flight.call.reset()
            else:
                flight.call.cancel()

        self.run(cut_off())
        self.spin()
        assert flight.call.done

    @rule(written=st.booleans(), acts=st.booleans())
    def daemon_crashes(self, written: bool, acts: bool) -> None:  # noqa: FBT001
        """At any moment; the batch of the last milliseconds may be lost, and what we were just telling the runtime."""
        for call in self.client.calls:
            if acts and call.outcome is None:
                self.act_for_us(call)
        if written:
            self.run(self.manager.writer.now())
        self.reconciling.cancel()
        for flight in self.calls:
            self.note_orphan(flight)
        self.lists.clear()
        self.run(self.manager.enforcer.close())
        self.store.close()
        self.run(self.forget_calls())
        self.store = Store.open(self.directory)
        self.boot()

    # ---- in the end

    @rule()
    def everything_comes_to_rest(self) -> None:
        self.quiet_down()
        self.orphans.clear()
        self.lists.clear()
        for _ in range(3):
            self.manager.clock_s += UNBORN_S + 1
            self.manager.book.doubted.set()
            self.deliver_all()
        self.put_right_what_drifted()
        self.check_truth()
        self.check_placement()
        self.check_nothing_leaks()

    def deliver_all(self) -> None:
        self.spin()
        while self.client.calls:
            self.runtime_answers_us(0)

    def put_right_what_drifted(self) -> None:
        """As the drift watch does it: a call that everybody has forgotten may have come last."""

        async def repair() -> None:
            ledger = self.manager.ledger
            there = [c for c in map(ledger.by_id, self.tainted) if c is not None and c.state is not State.EXITED]
            for container in there:
                task = asyncio.create_task(self.manager.enforcer.repair(container))
                while not task.done():
                    await asyncio.sleep(0)
                    for call in tuple(self.client.calls):
                        self.client.act(call)
                        self.client.deliver(call)
                await task

        self.run(repair())
        self.tainted.clear()

    def check_placement(self) -> None:
        """The runtime has what was decided, and the policy knows what the ledger says."""
        manager, holders = self.manager, self.manager.ledger.holders
        for container in holders.values():
            has = self.runtime.containers[container.id].has
            assert has.cpuset_cpus == container.given.cpuset_cpus == container.told.cpuset_cpus
        restored = PrivatePolicy().restore([(c, manager.placing.pod_of(c)) for c in holders.values()])
        assert restored.state == manager.decider.state
        assert not restored.changes

    def is_superseded(self, container: FakeContainer) -> bool:
        metadata = container.config.metadata
        return metadata.attempt < self.attempts[container.pod_id, metadata.name]

    def running(self) -> list[tuple[FakeContainer, int]]:
        """Those that run, and where; without those that count as crashed, and those of which nobody knows."""
        return [
            (c, cpusets.parse(c.has.cpuset_cpus))
            for c in self.runtime.containers.values()
            if c.state == api.CONTAINER_RUNNING and c.id not in self.tainted and not self.is_superseded(c)
        ]

    def check_room_for(self, container_id: str, *, had: int = 0) -> None:
        """Whoever has just been put on CPUs of his own, beyond those that he had, is alone there."""
        there = self.running()
        for container, cpus in there:
            if container.id == container_id and container.config.metadata.name.startswith("x"):
                assert not [other.key for other, others in there if other != container and others & cpus & ~had]

    @invariant()
    def what_the_runtime_is_told_is_stored(self) -> None:
        assert not self.unstored

    @invariant()
    def no_cpu_is_had_by_two_for_themselves(self) -> None:
        own = [cpus for container, cpus in self.running() if container.config.metadata.name.startswith("x")]
        assert sum(map(int.bit_count, own)) == self.union(own).bit_count()

    @staticmethod
    def union(sets: list[int]) -> int:
        return cpusets.of(cpu for members in sets for cpu in cpusets.ids(members))

    def check_truth(self) -> None:
        ledger = self.manager.ledger
        assert set(ledger.pods) == set(self.runtime.pods)
        there = {container.key: container for container in self.runtime.containers.values()}
        assert {key: c.id for key, c in ledger.containers.items()} == {key: c.id for key, c in there.items()}
        for key, mine in ledger.containers.items():
            pod_id, name, attempt = key.split("/")
            superseded = int(attempt) < self.attempts[pod_id, name]
            assert mine.state is STATES[there[key].state] or (superseded and mine.state is State.EXITED), mine
            if mine.state is not State.EXITED:
                assert mine.asked in self.asked[key], "original resources survive"
            assert not mine.adopted

    def check_nothing_leaks(self) -> None:
        assert self.reconciler.healthy
        assert not self.manager.book.creating
        assert not len(self.manager.containers._turns)
        assert not self.manager.containers._resizing
        assert not self.manager.containers._overlapping
        assert not len(self.manager.enforcer)
        assert not self.manager.enforcer._calls
        assert not self.manager.enforcer._telling
        assert not self.reconciler._unborn
        self.run(self.manager.writer.now())
        assert self.manager.stored() == dict(self.manager.ledger.containers)
        assert {pod.id for pod in self.store.load()[0]} == set(self.manager.ledger.pods)

    async def forget_calls(self) -> None:
        """Those of a daemon that has crashed, or of a run that went wrong."""
        for flight in self.calls:
            flight.call.cancel()
        self.calls.clear()

    def teardown(self) -> None:
        try:
            self.everything_comes_to_rest()
        finally:
            self.reconciling.cancel()
            self.run(self.forget_calls())
            self.run(self.manager.close())
            self.spin()
            self.loop.close()
            self.store.close()
            self.logs.close()
            shutil.rmtree(self.directory)


KubeletAndCrashes.TestCase.settings = settings(max_examples=60, stateful_step_count=50)
test_in_the_end_the_ledger_is_what_runs = KubeletAndCrashes.TestCase
