"""Whatever a kubelet does, and whenever calls are cut off or the daemon crashes: in the end the ledger is what runs.

The hooks, the ledger, the store, the reconciler and the taps are real; kubelet and runtime are models.  Each step of a
call (forwarded, done by the runtime, answered) is a step of the machine, as is each answer to our own calls, so that
everything may happen in between.
"""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from structlog.testing import capture_logs

from cri_resmgr.cri import api_pb2 as api
from cri_resmgr.cri import methods
from cri_resmgr.cri.runtime import Runtime
from cri_resmgr.manager.reconciling import UNBORN_S, Reconciler
from cri_resmgr.manager.tapping import ListTap, ListTaps
from cri_resmgr.relay.hooks import Failed
from cri_resmgr.state.store import Store
from cri_resmgr.values.decisions import Decision
from cri_resmgr.values.resources import Assignment, Resources
from cri_resmgr.values.workloads import State
from cri_resmgr.wire.client import CallError
from doubles.calls import FakeCall
from doubles.runtime import FakeRuntime, MemoryClient, StatusError, resources
from unit.manager.managers import Manager, create_request, run_request

NEVER_S = 1e6
NAMES = st.sampled_from(["a", "b"])
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


class GatedClient(MemoryClient):
    """The runtime acts at once; its answer comes when the machine delivers it."""

    def __init__(self, runtime: FakeRuntime) -> None:
        super().__init__(runtime)
        self.undelivered: list[Callable[[], None]] = []

    async def call(self, method: str, message: bytes, *, deadline_s: float) -> bytes:
        answer = asyncio.get_running_loop().create_future()
        try:
            reply = await super().call(method, message, deadline_s=deadline_s)
            deliver = partial(answer.set_result, reply)
        except CallError as error:
            deliver = partial(answer.set_exception, error)
        self.undelivered.append(lambda: None if answer.done() else deliver())
        return await answer


@dataclass
class InFlight:
    """A call of the kubelet; `outcome` is what the runtime made of it, None as long as it has not acted."""

    call: FakeCall
    key: str = ""  # of the container that it creates
    resize: tuple[str, int] | None = None  # container id and shares
    outcome: bytes | StatusError | None = None


class KubeletAndCrashes(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.directory = Path(tempfile.mkdtemp(prefix="cri-resmgr-test-"))
        self.logs = contextlib.ExitStack()
        self.logs.enter_context(capture_logs())
        self.runtime = FakeRuntime()
        self.calls: list[InFlight] = []
        self.orphans: list[tuple[str, bytes]] = []  # forwarded by a call that was cut off: the runtime may still act
        self.lists: list[tuple[str, ListTap, bytes | None]] = []
        self.attempts: dict[tuple[str, str], int] = {}
        self.asked: dict[str, set[Resources]] = {}  # by key: more than one where a resize was cut off
        self.pods: list[str] = []  # ids that the kubelet knows
        self.containers: list[str] = []
        self.store = Store.open(self.directory)
        self.boot()

    # ---- how things move

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(coroutine)

    def spin(self) -> None:
        """Everything that can go on by itself goes on."""

        async def turns() -> None:
            for _ in range(12):
                await asyncio.sleep(0)

        self.run(turns())

    def boot(self) -> None:
        """A daemon starts on what the store has."""

        async def make() -> None:
            self.manager = Manager(self.store, self.runtime, budget_s=NEVER_S, write_interval_s=NEVER_S)
            self.manager.policy.answer = lambda *_: Decision(Assignment(cpuset_cpus="4-5"), ("pinned",))
            self.clock_s = 0.0
            self.client = GatedClient(self.runtime)
            runtime = Runtime(self.client)  # type: ignore[arg-type]
            self.reconciler = Reconciler(self.manager.book, runtime, clock=lambda: self.clock_s)
            self.taps = ListTaps(self.reconciler, clock=lambda: self.clock_s)
            self.reconciling = asyncio.create_task(self.reconciler.run())

        self.run(make())
        self.spin()

    def begin(self, method: str, request: Message, **fields: Any) -> None:
        async def make() -> FakeCall:
            return FakeCall(method, request).begin(self.manager.hooks[method])

        self.calls.append(InFlight(self.run(make()), **fields))
        self.spin()

    def act(self, flight: InFlight) -> None:
        assert flight.call.forwarded is not None
        try:
            flight.outcome = self.runtime.answer(flight.call.method, flight.call.forwarded)
        except StatusError as error:
            flight.outcome = error
        if flight.resize and not isinstance(flight.outcome, StatusError):
            self.resized(*flight.resize, certain=False)

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

    def drop(self, flight: InFlight) -> None:
        self.calls.remove(flight)
        if flight.call.forwarded is not None and flight.outcome is None:
            self.orphans.append((flight.call.method, flight.call.forwarded))

    def ready(self, *, acted: bool) -> list[InFlight]:
        return [f for f in self.calls if f.call.forwarded is not None and (f.outcome is not None) == acted]

    # ---- what a kubelet does

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
        self.asked.setdefault(key, {original})
        request = create_request(pod_id, name, attempt, cpu_shares=100 + attempt, memory_limit_in_bytes=1 << 20)
        self.begin(methods.CREATE_CONTAINER, request, key=key)
        flight = self.calls[-1]
        if flight.call.forwarded is not None:
            assert key in self.manager.stored(), "a decision is stored before it has an effect"

    @precondition(lambda self: self.containers)
    @rule(place=PLACES, method=st.sampled_from(sorted(IDS)))
    def about_container(self, place: int, method: str) -> None:
        container_id = self.containers[place % len(self.containers)]
        self.begin(method, IDS[method](container_id=container_id))

    @precondition(lambda self: self.containers)
    @rule(place=PLACES, shares=st.integers(2, 5000))
    def resize(self, place: int, shares: int) -> None:
        container_id = self.containers[place % len(self.containers)]
        request = api.UpdateContainerResourcesRequest(container_id=container_id, linux=resources(cpu_shares=shares))
        self.begin(methods.UPDATE_CONTAINER_RESOURCES, request, resize=(container_id, shares))

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

    @precondition(lambda self: self.client.undelivered)
    @rule()
    def runtime_answers_us(self) -> None:
        self.client.undelivered.pop(0)()
        self.spin()

    @precondition(lambda self: self.orphans)
    @rule(place=PLACES, acts=st.booleans())
    def end_of_an_orphan(self, place: int, acts: bool) -> None:  # noqa: FBT001
        method, message = self.orphans.pop(place % len(self.orphans))
        if acts:
            if method == methods.UPDATE_CONTAINER_RESOURCES:
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

    # ---- what goes wrong

    @precondition(lambda self: self.calls)
    @rule(place=PLACES, reset=st.booleans())
    def call_is_cut_off(self, place: int, reset: bool) -> None:  # noqa: FBT001
        flight = self.calls[place % len(self.calls)]
        self.drop(flight)
        if reset and flight.call.forwarded is not None:
            flight.call.reset()
        else:
            flight.call.cancel()
        self.spin()
        assert flight.call.done

    @rule(written=st.booleans())
    def daemon_crashes(self, written: bool) -> None:  # noqa: FBT001
        """At any moment; the batch of the last milliseconds may be lost."""
        if written:
            self.run(self.manager.writer.now())
        self.reconciling.cancel()
        for flight in list(self.calls):
            self.drop(flight)
        self.lists.clear()
        self.spin()
        self.store.close()
        self.store = Store.open(self.directory)
        self.boot()

    # ---- in the end

    @rule()
    def everything_comes_to_rest(self) -> None:
        self.deliver_all()
        for _ in range(len(self.calls)):
            flight = self.calls[0]
            if flight.outcome is None:
                self.act(flight)
            self.answer(flight)
            self.deliver_all()
        self.orphans.clear()
        self.lists.clear()
        for _ in range(3):
            self.clock_s += UNBORN_S + 1
            self.manager.book.doubted.set()
            self.deliver_all()
        self.check_truth()
        self.check_nothing_leaks()

    def deliver_all(self) -> None:
        self.spin()
        while self.client.undelivered:
            self.runtime_answers_us()

    def check_truth(self) -> None:
        ledger = self.manager.ledger
        assert set(ledger.pods) == set(self.runtime.pods)
        there = {container.key: container for container in self.runtime.containers.values()}
        assert {key: c.id for key, c in ledger.containers.items()} == {key: c.id for key, c in there.items()}
        for key, mine in ledger.containers.items():
            pod_id, name, attempt = key.split("/")
            superseded = int(attempt) < self.attempts[pod_id, name]
            assert mine.state is STATES[there[key].state] or (superseded and mine.state is State.EXITED), mine
            assert mine.asked in self.asked[key], "original resources survive"
            assert mine.given.cpuset_cpus == "4-5"
            assert not mine.adopted

    def check_nothing_leaks(self) -> None:
        assert self.reconciler.healthy
        assert not self.manager.book.creating
        assert not len(self.manager.containers._turns)
        assert not self.reconciler._unborn
        self.run(self.manager.writer.now())
        assert self.manager.stored() == dict(self.manager.ledger.containers)
        assert {pod.id for pod in self.store.load()[0]} == set(self.manager.ledger.pods)

    def teardown(self) -> None:
        try:
            self.everything_comes_to_rest()
        finally:
            self.reconciling.cancel()
            self.spin()
            self.loop.close()
            self.store.close()
            self.logs.close()
            shutil.rmtree(self.directory)


KubeletAndCrashes.TestCase.settings = settings(max_examples=60, stateful_step_count=50)
test_in_the_end_the_ledger_is_what_runs = KubeletAndCrashes.TestCase
