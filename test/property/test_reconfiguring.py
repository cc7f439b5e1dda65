"""However policies are switched, break and are refused while containers come and go: in the end all say the same.

Switches and calls are begun and go on as they like, a policy may break whenever it is asked, the runtime may refuse
updates for a while, and the daemon may crash.  At the end nothing fails any more, and then ledger, store, runtime and
the policy's own state agree, on a regime that was in use.
"""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from google.protobuf.message import Message
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from structlog.testing import capture_logs

from cri_resmgr.cri import api_pb2 as api
from cri_resmgr.cri import methods
from cri_resmgr.errors import Degraded
from cri_resmgr.manager import owing
from cri_resmgr.manager.reconfiguring import Reconfigurer, Regime
from cri_resmgr.policies.none import NonePolicy
from cri_resmgr.relay.hooks import Refused
from cri_resmgr.state.store import Store
from cri_resmgr.values import cpusets
from cri_resmgr.values.workloads import State
from cri_resmgr.wire.grpc import UNAVAILABLE
from doubles.calls import accepting
from doubles.policies import PrivatePolicy
from doubles.runtime import FakeRuntime, StatusError
from unit.manager.managers import Manager, create_request

NEVER_S = 1e6
PLACES = st.integers(0, 1 << 16)
NAMES = st.sampled_from(["s", "x"])


@dataclass
class Mood:
    """How often a policy still breaks."""

    times: int = 0

    def swing(self) -> None:
        if self.times:
            self.times -= 1
            raise ZeroDivisionError("by design")


@dataclass(frozen=True)
class Moody(PrivatePolicy):
    """Breaks when its mood says so, whatever it is asked."""

    mood: Mood = field(default_factory=Mood)

    def restore(self, running):
        self.mood.swing()
        return super().restore(running)

    def create(self, state, container, pod):
        self.mood.swing()
        return super().create(state, container, pod)

    def release(self, state, key):
        self.mood.swing()
        return super().release(state, key)


class Switching(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.directory = Path(tempfile.mkdtemp(prefix="cri-resmgr-test-"))
        self.logs = contextlib.ExitStack()
        self.logs.enter_context(capture_logs())
        self.logs.enter_context(mock.patch.object(owing, "FIRST_RETRY_S", 0.0))
        self.runtime = FakeRuntime()
        self.mood = Mood()
        self.attempt = 0
        self.calls: list[asyncio.Task[Any]] = []
        self.store = Store.open(self.directory)
        self.regimes = {"none": Regime(NonePolicy(), 0)}
        self.boot("none")
        self.pod_id = self.run(self.manager.run_pod())

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(coroutine)

    def begin(self, call: Coroutine[Any, Any, Any]) -> None:
        """A call of the kubelet's, which goes on as time passes."""

        async def begin() -> None:
            self.calls.append(asyncio.create_task(call))
            await asyncio.sleep(0)

        self.run(begin())

    async def call(self, method: str, request: Message) -> bytes:
        """A call that the runtime answers at once; a crash leaves it alone, so it is looked at and not awaited."""
        call = self.manager.begin(method, request)
        while call.forwarded is None and not call.done:
            await asyncio.sleep(0)
        if not call.done:
            accepting(self.runtime, call)
        while not call.done:
            await asyncio.sleep(0)
        return await call.result()

    def boot(self, name: str) -> None:
        """A daemon starts, with the regime that the store says."""
        self.name = name

        async def make() -> None:
            regime = self.regimes[name]
            self.manager = Manager(self.store, self.runtime, budget_s=NEVER_S, policy=regime.policy)
            self.manager.unplaced.share(regime.cpus)
            manager = self.manager
            self.reconfigurer = Reconfigurer(manager.book, manager.enforcer, manager.writer, regime=regime)
            self.reconfigurer.keep({"regime": name})
            self.reconciling = asyncio.create_task(manager.reconciler.run())
            self.switching: asyncio.Task[None] | None = None

        self.run(make())

    async def switch(self, name: str) -> None:
        """What the daemon does with a configuration; `self.name` is then what is in use."""
        values, before = {"regime": name}, {"regime": self.name}
        with contextlib.suppress(Degraded):
            await self.reconfigurer.switch(self.regimes[name], values=values, values_before=before)
            self.name = name

    @initialize()
    def some_run(self) -> None:
        for name in ("s", "x", "x"):
            self.create(name)

    @precondition(lambda self: self.switching is None)
    @rule(cpus=st.integers(0, 8))
    def switch_begins(self, cpus: int) -> None:
        name = f"private-{cpus}" if cpus else "none"
        if cpus:
            self.regimes.setdefault(name, Regime(Moody(cpus=cpus, mood=self.mood), (1 << cpus) - 1))

        async def begin() -> None:
            self.switching = asyncio.create_task(self.switch(name))

        self.run(begin())

    @precondition(lambda self: self.switching is not None)
    @rule()
    def switch_ends(self) -> None:
        self.run(asyncio.wait_for(self.switching, 60))
        self.switching = None

    @rule(turns=st.integers(1, 20))
    def time_passes(self, turns: int) -> None:
        async def pass_() -> None:
            for _ in range(turns):
                await asyncio.sleep(0)

        self.run(pass_())

    @rule(name=NAMES)
    def create(self, name: str) -> None:
        self.attempt += 1
        request = create_request(self.pod_id, f"{name}{self.attempt}", cpu_shares=100)

        async def made() -> None:
            with contextlib.suppress(Refused):
                reply = await self.call(methods.CREATE_CONTAINER, request)
                container_id = api.CreateContainerResponse.FromString(reply).container_id
                await self.call(methods.START_CONTAINER, api.StartContainerRequest(container_id=container_id))

        self.begin(made())

    @precondition(lambda self: self.runtime.containers)
    @rule(place=PLACES, method=st.sampled_from([methods.STOP_CONTAINER, methods.REMOVE_CONTAINER]))
    def end(self, place: int, method: str) -> None:
        ids = sorted(self.runtime.containers)
        types = {methods.STOP_CONTAINER: api.StopContainerRequest, methods.REMOVE_CONTAINER: api.RemoveContainerRequest}
        self.begin(self.call(method, types[method](container_id=ids[place % len(ids)])))

    @rule(times=st.integers(1, 3))
    def policies_break(self, times: int) -> None:
        self.mood.times = times

    @rule(refused=st.booleans())
    def runtime_refuses(self, refused: bool) -> None:  # noqa: FBT001
        if refused:
            self.runtime.refused[methods.UPDATE_CONTAINER_RESOURCES] = StatusError(UNAVAILABLE, "no thanks")
        else:
            self.runtime.refused.clear()

    @rule()
    def crash(self) -> None:
        """What the store has is all that is left."""
        tasks = [task for task in (self.switching, self.reconciling, *self.calls) if task is not None]
        self.calls.clear()
        kept = self.store.get("regime") or "none"
        self.manager.enforcer._begun = False

        async def die() -> None:
            for task in (*tasks, *self.manager.enforcer._tasks):
                task.cancel()
            await asyncio.gather(*tasks, *self.manager.enforcer._tasks, return_exceptions=True)
            if self.manager.writer._timer is not None:
                self.manager.writer._timer.cancel()
            self.manager.placing.close()

        with mock.patch.object(Store, "write", return_value=None):
            self.run(die())
        self.boot(kept)

    def rest(self) -> None:
        """Nothing fails any more, and all that has begun ends."""
        self.mood.times = 0
        self.runtime.refused.clear()
        if self.switching is not None:
            self.switch_ends()

        async def calm() -> None:
            async with asyncio.timeout(60):
                manager = self.manager
                while not all(call.done() for call in self.calls):
                    manager.enforcer.changed(())
                    await asyncio.sleep(0.001)
                manager.book.doubted.set()
                while manager.book.doubted.is_set() or manager.placing.stale or manager.ledger.owed or manager.enforcer:
                    manager.enforcer.changed(())
                    await asyncio.sleep(0.001)
            await asyncio.gather(*self.calls)
            await manager.writer.now()

        self.run(calm())

    def check(self) -> None:
        manager, ledger = self.manager, self.manager.ledger
        assert manager.stored() == dict(ledger.containers)
        assert self.store.get("regime") == self.name
        assert manager.decider.policy == self.regimes[self.name].policy
        alive = {c.key: c for c in self.runtime.containers.values() if c.state != api.CONTAINER_EXITED}
        assert alive.keys() == ledger.holders.keys()
        for key, container in ledger.holders.items():
            assert container.state is not State.CREATING
            if container.given.cpuset_cpus is not None:
                assert alive[key].has.cpuset_cpus == container.given.cpuset_cpus
            else:
                assert alive[key].has.cpuset_cpus in {"", "0-7"}, "given back"
        self.check_policy()

    def check_policy(self) -> None:
        """Its state is what follows from what it has given, and nobody's own CPUs are anybody else's."""
        policy, state = self.manager.decider.policy, self.manager.decider.state
        if isinstance(policy, PrivatePolicy):
            holders = self.manager.ledger.holders
            owned = {key: cpusets.parse(holders[key].holding.exclusive) for key in state}
            assert owned == dict(state)
            taken = 0
            for own in owned.values():
                assert not own & taken
                taken |= own

    def teardown(self) -> None:
        try:
            self.rest()
            self.check()
        finally:
            self.reconciling.cancel()
            self.run(self.manager.close())
            self.loop.close()
            self.store.close()
            self.logs.close()
            shutil.rmtree(self.directory)


Switching.TestCase.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
test_in_the_end_everybody_says_the_same = Switching.TestCase
