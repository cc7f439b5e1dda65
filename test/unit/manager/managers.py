"""The manager with a real ledger and store; the kubelet, the runtime and the policy are the test's."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from google.protobuf.message import Message

from cri_resmgr.cri import api_pb2 as api
from cri_resmgr.cri import messages, methods
from cri_resmgr.cri.runtime import Runtime
from cri_resmgr.manager.adjusting import Adjuster
from cri_resmgr.manager.book import Book
from cri_resmgr.manager.containers import Containers
from cri_resmgr.manager.deciding import Decider
from cri_resmgr.manager.differences import Whole
from cri_resmgr.manager.enforcing import Enforcer
from cri_resmgr.manager.events import Events
from cri_resmgr.manager.exporting import Exporter
from cri_resmgr.manager.exports import Exports
from cri_resmgr.manager.placing import Placing
from cri_resmgr.manager.pods import Pods
from cri_resmgr.manager.reconciling import Reconciler
from cri_resmgr.manager.unplaced import Unplaced
from cri_resmgr.policies.contract import Answer, Policy, Pool, Restored
from cri_resmgr.relay.hooks import Hook
from cri_resmgr.state.ledger import Ledger
from cri_resmgr.state.store import Store
from cri_resmgr.state.writer import INTERVAL_S, Writer
from cri_resmgr.values import adjustments
from cri_resmgr.values.decisions import Decision
from cri_resmgr.values.events import META_KEY
from cri_resmgr.values.resources import Resources
from cri_resmgr.values.workloads import Container, Pod
from cri_resmgr.wire.client import CallError
from cri_resmgr.wire.grpc import UNKNOWN
from doubles.calls import DEADLINE_S, FakeCall, accepting
from doubles.runtime import FakeRuntime, MemoryClient, resources

WHOLE = Whole("0-7", "0-1")
SHAREABLE = 0xFF


@dataclass
class ScriptedPolicy:
    """A policy that says what the test wants: `answer` is asked with (event, container, pod)."""

    answer: Callable[..., Decision] = lambda *_: Decision(reasons=("as asked",))
    asked: list[tuple[str, Container, Pod]] = field(default_factory=list)
    name = "scripted"

    def restore(self, running: Sequence[tuple[Container, Pod]]) -> Restored:
        return Restored("state")

    def create(self, state: object, container: Container, pod: Pod) -> Answer:
        return self._ask("create", container, pod), state

    def update(self, state: object, container: Container, pod: Pod) -> Answer:
        return self._ask("update", container, pod), state

    def release(self, state: object, key: str) -> Answer:
        return self.answer("release", key), state

    def revisit(self, state: object, container: Container, pod: Pod) -> Answer:
        return self._ask("revisit", container, pod), state

    def rebalance(self, state: object) -> Answer:
        return self.answer("rebalance"), state

    def exports(self, container: Container) -> Mapping[str, str]:
        return {}

    def pools(self, state: object) -> Sequence[Pool]:
        return ()

    def warnings(self, state: object) -> Sequence[str]:
        return ()

    def _ask(self, *question: object) -> Decision:
        self.asked.append(question)  # type: ignore[arg-type]
        return self.answer(*question)


@dataclass(eq=False)
class HeldCall:
    """A call of ours that has not reached the runtime yet."""

    id: str
    resources: Resources
    _fate: "asyncio.Future[None]"

    async def reach(self) -> None:
        """Wait until it does, or fails on the way."""
        await self._fate

    def let_go(self) -> None:
        """The runtime hears it."""
        self._fate.set_result(None)

    def fail(self, code: int = UNKNOWN, text: str = "not in the mood") -> None:
        """The runtime does not take it."""
        self._fate.set_exception(CallError(methods.UPDATE_CONTAINER_RESOURCES, code, text))


class HeldClient(MemoryClient):
    """Holds updates back while `holding`; `updates` are those that have reached the runtime, as (id, resources)."""

    def __init__(self, runtime: FakeRuntime) -> None:
        super().__init__(runtime)
        self.holding = False
        self.held: list[HeldCall] = []
        self.updates: list[tuple[str, Resources]] = []

    async def call(self, method: str, message: bytes, *, deadline_s: float) -> bytes:
        if method == methods.UPDATE_CONTAINER_RESOURCES:
            update = messages.update_of(message)
            if self.holding:
                call = HeldCall(*update, asyncio.get_running_loop().create_future())
                self.held.append(call)
                await call.reach()
            self.updates.append(update)
        return await super().call(method, message, deadline_s=deadline_s)

    def next(self) -> HeldCall:
        """The one that is held longest."""
        return self.held.pop(0)


class Manager:
    """All parts between the hooks and the store, over a runtime in memory."""

    def __init__(
        self,
        store: Store,
        runtime: FakeRuntime,
        *,
        budget_s: float,
        write_interval_s: float = INTERVAL_S,
        policy: Policy | None = None,
        client: MemoryClient | None = None,
        on_error: str = "",
    ) -> None:
        self.store, self.runtime = store, runtime
        self.policy = policy or ScriptedPolicy()
        self.client = client or MemoryClient(runtime)
        self.clock_s = 0.0
        self.calls: list[FakeCall] = []
        self.ledger = Ledger(*store.load())
        self.writer = Writer(self.ledger, store, interval_s=write_interval_s)
        self.events = Events(partial(store.set, META_KEY), pods=self.ledger.pods)
        self.decider = Decider(self.policy, budget_s=budget_s, events=self.events, on_error=on_error)
        self.exports = Exports(Exporter(store.path.parent), self.decider)
        calls = Runtime(self.client)  # type: ignore[arg-type]
        self.enforcer = Enforcer(self.ledger, self.writer, calls, events=self.events, whole=lambda: WHOLE)
        self.unplaced = Unplaced(self.ledger, cpus=SHAREABLE)
        self.placing = Placing(
            self.ledger,
            self.decider,
            enforcer=self.enforcer,
            unplaced=self.unplaced,
            exported=self.exports.changed,
        )
        self.book = Book(self.ledger, self.writer, self.placing, forgets=self.exports.gone)
        stored = store.get(adjustments.META_KEY)
        self.adjuster = Adjuster(self.book, self.decider, self.writer, events=self.events, stored=stored)
        self.containers = Containers(self.book, self.enforcer, exports=self.exports, hinter=None, budget_s=budget_s)
        self.hooks: dict[str, Hook] = Pods(self.book).hooks() | self.containers.hooks()
        self.reconciler = Reconciler(self.book, calls, ledger_was_lost=store.rebuilt, clock=lambda: self.clock_s)

    def reconciled(self) -> "Manager":
        """The first comparison with the runtime counts as done."""
        self.placing.begin()
        self.book.doubted.clear()
        self.book.reconciled.set_result(None)
        return self

    async def close(self) -> None:
        """As the daemon's end; calls that have none are cut off."""
        for call in self.calls:
            call.cancel()
        self.placing.close()
        await self.enforcer.close()
        await self.exports.close()
        self.events.close()
        await self.writer.close()

    async def told(self) -> None:
        """Until the runtime knows everything."""
        await self.until(lambda: not len(self.enforcer) and not self.enforcer._telling)

    @staticmethod
    async def until(condition: Callable[[], object]) -> None:
        """Wait for something."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                await asyncio.sleep(0)

    @staticmethod
    async def settle() -> None:
        """Everything that can go on without the test has gone on."""
        for _ in range(20):
            await asyncio.sleep(0)

    def begin(self, method: str, request: Message | bytes, *, remaining_s: float | None = None) -> FakeCall:
        """A call of the kubelet."""
        self.calls.append(FakeCall(method, request, remaining_s=remaining_s))
        return self.calls[-1].begin(self.hooks[method])

    async def do(self, method: str, request: Message | bytes) -> bytes:
        """A call that the runtime answers at once."""
        call = self.begin(method, request)
        await call.until_forwarded()
        return await accepting(self.runtime, call).result()

    async def run_pod(self, name: str = "web") -> str:
        """A pod; its id."""
        reply = await self.do(methods.RUN_POD_SANDBOX, run_request(name))
        return api.RunPodSandboxResponse.FromString(reply).pod_sandbox_id

    async def run_container(self, pod_id: str, name: str = "c", attempt: int = 0, **asked: int | str) -> str:
        """A running container; its id."""
        reply = await self.do(methods.CREATE_CONTAINER, create_request(pod_id, name, attempt, **asked))
        container_id = api.CreateContainerResponse.FromString(reply).container_id
        await self.do(methods.START_CONTAINER, api.StartContainerRequest(container_id=container_id))
        return container_id

    def container(self, pod_id: str, name: str = "c", attempt: int = 0) -> Container | None:
        """What the ledger says."""
        return self.ledger.containers.get(f"{pod_id}/{name}/{attempt}")

    def container_named(self, name: str) -> Container:
        """The one of that name, in whatever pod."""
        return next(container for container in self.ledger.containers.values() if container.name == name)

    def stored(self) -> dict[str, Container]:
        """What a daemon that starts now would read."""
        return {container.key: container for container in self.store.load()[1]}


def run_request(name: str = "web") -> api.RunPodSandboxRequest:
    metadata = api.PodSandboxMetadata(name=name, namespace="shop", uid=f"uid-{name}")
    config = api.PodSandboxConfig(metadata=metadata, labels={"app": name}, annotations={"note": "x"})
    config.linux.cgroup_parent = f"/kubepods/{name}"
    return api.RunPodSandboxRequest(config=config, runtime_handler="runc")


def create_request(pod_id: str, name: str = "c", attempt: int = 0, **asked: int | str) -> api.CreateContainerRequest:
    config = api.ContainerConfig(metadata=api.ContainerMetadata(name=name, attempt=attempt))
    config.linux.resources.CopyFrom(resources(**asked))
    return api.CreateContainerRequest(pod_sandbox_id=pod_id, config=config)
