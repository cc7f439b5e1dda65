"""Whatever happens on a node, and from whenever on it is recorded: the replay makes each decision as it was made."""

import asyncio
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from hypothesis import event as seen
from hypothesis import given, settings
from hypothesis import strategies as st

from cri_resmgr.cli.replaying import reading
from cri_resmgr.cli.replaying.comparing import Comparison, summed
from cri_resmgr.cli.replaying.running import Replayed
from cri_resmgr.config.settings import Settings
from cri_resmgr.manager.deciding import Decider
from cri_resmgr.manager.events import Events
from cri_resmgr.manager.placing import Placing
from cri_resmgr.manager.unplaced import Unplaced
from cri_resmgr.observe import recording_lines
from cri_resmgr.observe.recording import Recorder
from cri_resmgr.observe.recording_events import FORMAT, Header, There
from cri_resmgr.policies.contract import Policy
from cri_resmgr.relay.hooks import Refused
from cri_resmgr.state.ledger import Ledger
from cri_resmgr.values import machine_texts
from cri_resmgr.values.machines import Machine
from cri_resmgr.values.workloads import Container, Pod, State
from property.test_topology_aware import BYTES, MILLICPU, WISHES, asked, machines, policies
from unit.policies.topology_aware.nodes import BEST_EFFORT, BURSTABLE, GUARANTEED

SECRET = "correct horse battery"  # noqa: S105 - so that one can look for it


class NobodyToTell:
    """In place of the enforcer: there is no runtime."""

    def changed(self, keys: object) -> None: ...

    def begin(self) -> None: ...


@dataclass
class Node:
    """The manager's own placing, without a runtime; what it is told to do comes from hypothesis."""

    placing: Placing
    ledger: Ledger
    decider: Decider
    attempts: int = 0

    @classmethod
    def of(cls, policy: Policy) -> "Node":
        ledger = Ledger()
        decider = Decider(policy, budget_s=10, events=Events(lambda _: None, pods=ledger.pods))
        placing = Placing(
            ledger,
            decider,
            enforcer=NobodyToTell(),  # type: ignore[arg-type]
            unplaced=Unplaced(ledger, cpus=0),
            exported=lambda _: None,
        )
        placing.begin()
        return cls(placing, ledger, decider)

    def create(self, pod: Pod, millicpu: int, memory: int, *, runtime_refuses: bool) -> None:
        pod = self.ledger.pods.get(pod.id, pod)
        self.ledger.put_pod(pod)
        self.attempts += 1
        try:
            plan = self.placing.create(Container(pod.id, "x", self.attempts, asked=asked(pod, millicpu, memory)))
        except Refused:
            seen("refused")
            return
        if runtime_refuses:
            seen("undone")
            self.placing.discard(plan, plan.step)
        else:
            self.ledger.created(plan.container.key, f"id-{self.attempts}")

    def resize(self, container: Container, millicpu: int, memory: int, *, runtime_refuses: bool) -> None:
        wish = replace(container, asked=asked(self.placing.pod_of(container), millicpu, memory))
        try:
            step = self.placing.update(wish)
        except Refused:
            return
        if runtime_refuses:
            self.placing.take_back(step)
        else:
            self.ledger.asked(wish.key, wish.asked)

    def exit(self, container: Container) -> None:
        self.ledger.moved(container.key, State.EXITED)
        self.placing.release(container.key)


POD = st.builds(
    lambda name, qos, wishes: Pod(
        name, name, "default", name, f"/kubepods/{qos}pod{name}", "", {"app": name}, {**wishes, "secret": SECRET}
    ),
    st.sampled_from("abcd"),
    st.sampled_from([GUARANTEED, GUARANTEED, BURSTABLE, BEST_EFFORT]),
    st.fixed_dictionaries({}, optional=WISHES),
)
ACT = st.one_of(
    st.tuples(st.just("create"), POD, MILLICPU, BYTES, st.booleans()),
    st.tuples(st.just("create"), POD, MILLICPU, BYTES, st.just(value=False)),
    st.tuples(st.just("resize"), st.integers(0, 9), MILLICPU, BYTES, st.booleans()),
    st.tuples(st.sampled_from(["exit", "revisit"]), st.integers(0, 9)),
    st.tuples(st.sampled_from(["rebalance", "begin", "record", "record"])),
    st.tuples(st.just("configure"), st.integers(0, 2)),
)


def act(node: Node, policy_at: Callable[[int], Policy], what: str, *how: object) -> None:
    """One thing happens."""
    match what, *how:
        case "create", Pod() as pod, int(millicpu), int(memory), bool(refuses):
            node.create(pod, millicpu, memory, runtime_refuses=refuses)
        case "rebalance" | "begin", *_:
            getattr(node.placing, what)()
        case "configure", int(number):
            policy = policy_at(number)
            node.placing.switch(policy, node.placing.planned(policy), cpus=0)
        case _, int(number), *more if node.ledger.holders:
            container = list(node.ledger.holders.values())[number % len(node.ledger.holders)]
            if what == "resize":
                node.resize(container, *more[:2], runtime_refuses=more[2])
            elif what == "exit":
                node.exit(container)
            else:
                node.placing.revisit(container.key)


async def recorded(acts: list[tuple], node: Node, chosen: list[Policy]) -> list[str]:
    """The lines of a recording that begins when that is among the acts, at the latest at the end."""

    def regime_of(policy: Policy) -> tuple[dict, dict]:
        return json.loads(Settings(source=str(chosen.index(policy))).to_json()), {}

    recorder = None
    for what, *how in (*acts, ("record",)):
        if what != "record":
            act(node, chosen.__getitem__, what, *how)
        elif recorder is None:
            recorder = node.decider.recorder = Recorder(node.ledger.holders, node.ledger.pods, regime_of=regime_of)
            beginning = regime_of(node.decider.policy)
    assert recorder is not None
    recorder.end("enough")
    lines = list(map(recording_lines.line, recorder.fetched(len(recorder))))
    return [json.dumps(beginning[0]), *lines]


@settings(deadline=None)
@given(st.data(), machines(), st.lists(ACT, min_size=15, max_size=40))
def test_a_replay_repeats_every_decision_and_shows_no_secret(data: st.DataObject, machine: Machine, acts: list[tuple]):
    chosen = [data.draw(policies(machine)) for _ in range(3)]

    async def run() -> list[str]:
        return await recorded(acts, Node.of(chosen[0]), chosen)

    beginning, *lines = asyncio.run(run())
    begun_with = json.loads(beginning)
    header = Header(FORMAT, "0", 0.0, json.loads(machine_texts.written(machine)), begun_with, {})
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "recording")
        path.write_text("\n".join([recording_lines.header(header), *lines, ""]))
        assert SECRET not in path.read_text()
        recording = reading.read(str(path))
    there = tuple(event for event in recording.events if isinstance(event, There))
    replayed = Replayed(
        chosen[int(begun_with["source"])], there, policy_of=lambda event: chosen[int(event.settings["source"])]
    )
    comparison = Comparison(recording, replayed, exact=True)
    count = len(list(comparison.entries()))
    seen(f"{min(count // 10, 3) * 10} events and more")
    said = summed(comparison)
    assert (said["different"], said["refused"]) == ([], [])
