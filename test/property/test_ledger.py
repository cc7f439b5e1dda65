"""Whatever happens to the ledger, it says the same as a list of records searched from end to end."""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cri_resmgr.state.ledger import Changes, Ledger
from cri_resmgr.values.decisions import HOLDING_NOTHING, Change, Decision, Holding
from cri_resmgr.values.resources import Assignment, Resources
from cri_resmgr.values.workloads import Container, Pod, State

POD_IDS = st.sampled_from(["pod-1", "pod-2", "pod-22"])
HOLDING = Holding("policy", exclusive="0")
CONTAINER_IDS = st.sampled_from(["", "id-1", "id-2", "id-3", "id-4"])
CONTAINERS = st.builds(
    Container,
    POD_IDS,
    st.sampled_from(["a", "b"]),
    st.integers(0, 2),
    id=CONTAINER_IDS,
    state=st.sampled_from(State),
    told=st.sampled_from([Assignment(), Assignment("0")]),
)


class LedgerAgainstModel(RuleBasedStateMachine):
    """`pods` and `containers` are the model; `stored` is what a store would hold that is told the changes."""

    def __init__(self):
        super().__init__()
        self.ledger = Ledger()
        self.pods: list[Pod] = []
        self.containers: list[Container] = []
        self.stored: dict[str, Pod | Container] = {}
        self.in_flight: Changes | None = None

    def change(self, key: str, **fields):
        self.containers = [replace(c, **fields) if c.key == key else c for c in self.containers]
        return next((c for c in self.containers if c.key == key), None)

    @rule(pod_id=POD_IDS, name=st.sampled_from("xy"))
    def put_pod(self, pod_id, name):
        pod = Pod(pod_id, name, "ns", "uid")
        before = next((p for p in self.pods if p.id == pod_id), None)
        assert self.ledger.put_pod(pod) == before
        self.pods = [p for p in self.pods if p.id != pod_id] + [pod]

    @rule(pod_id=POD_IDS)
    def drop_pod(self, pod_id):
        gone = {c.key: c for c in self.containers if c.pod_id == pod_id}
        assert {c.key: c for c in self.ledger.drop_pod(pod_id)} == gone
        self.pods = [p for p in self.pods if p.id != pod_id]
        self.containers = [c for c in self.containers if c.pod_id != pod_id]

    @rule(container=CONTAINERS)
    def put(self, container):
        before = next((c for c in self.containers if c.key == container.key), None)
        assert self.ledger.put(container) == before
        namesakes = [c for c in self.containers if c.id and c.id == container.id]
        self.containers = [c for c in self.containers if c.key != container.key and c not in namesakes] + [container]

    @rule(container=CONTAINERS)
    def drop(self, container):
        before = next((c for c in self.containers if c.key == container.key), None)
        assert self.ledger.drop(container.key) == before
        self.containers = [c for c in self.containers if c.key != container.key]

    @rule(container=CONTAINERS, number=st.integers(0, 10**6))
    def created(self, container, number):
        container_id = f"new-{number}-{container.key}"
        before = self.change(container.key)
        state = State.CREATED if before and before.state is State.CREATING else before and before.state
        changed = self.change(container.key, id=container_id, state=state)
        assert self.ledger.created(container.key, container_id) == changed

    @rule(container=CONTAINERS, state=st.sampled_from(State))
    def moved(self, container, state):
        ended = {"holding": HOLDING_NOTHING} if state is State.EXITED else {}
        assert self.ledger.moved(container.key, state) == self.change(container.key, state=state, **ended)

    @rule(container=CONTAINERS, cpus=st.sampled_from(["0", "0-3", None]))
    def decided(self, container, cpus):
        changed = self.change(container.key, given=Assignment(cpus), holding=HOLDING, reasons=("because",))
        assert self.ledger.decided(container.key, Decision(Assignment(cpus), HOLDING, ("because",))) == changed

    @rule(container=CONTAINERS, cpus=st.sampled_from(["0", "0-3", None]))
    def placed(self, container, cpus):
        changed = self.change(container.key, given=Assignment(cpus), holding=HOLDING_NOTHING)
        assert self.ledger.placed(container.key, Change(Assignment(cpus), HOLDING_NOTHING)) == changed

    @rule(container=CONTAINERS, cpus=st.sampled_from(["0", "0-3", None]))
    def told(self, container, cpus):
        changed = self.change(container.key, told=Assignment(cpus))
        assert self.ledger.told(container.key, Assignment(cpus)) == changed

    @rule(container=CONTAINERS, shares=st.integers(0, 3))
    def asked(self, container, shares):
        changed = self.change(container.key, asked=Resources(cpu_shares=shares))
        assert self.ledger.asked(container.key, Resources(cpu_shares=shares)) == changed

    @precondition(lambda self: self.in_flight is None)
    @rule()
    def a_write_begins(self):
        self.in_flight = self.ledger.take_changes()

    @precondition(lambda self: self.in_flight is not None)
    @rule()
    def the_write_fails(self):
        self.ledger.put_back(self.in_flight)
        self.in_flight = None

    @precondition(lambda self: self.in_flight is not None)
    @rule()
    def the_write_succeeds(self):
        self.tell(self.in_flight)
        self.in_flight = None

    @precondition(lambda self: self.in_flight is None)
    @rule()
    def everything_is_written(self):
        self.tell(self.ledger.take_changes())
        assert self.stored == dict(self.ledger.pods) | dict(self.ledger.containers)

    @precondition(lambda self: self.in_flight is None)
    @rule()
    def the_store_loses_everything(self):
        self.ledger.take_back_all()
        self.stored.clear()

    def tell(self, changes: Changes):
        for pending in (changes.pods, changes.containers):
            assert not {key for key in pending.unstored if key in self.stored}
            for key, row in pending.rows.items():
                if row is None:
                    self.stored.pop(key, None)
                else:
                    self.stored[key] = row

    @invariant()
    def the_ledger_says_what_the_model_says(self):
        assert dict(self.ledger.pods) == {p.id: p for p in self.pods}
        assert dict(self.ledger.containers) == {c.key: c for c in self.containers}
        holders = {c.key: c for c in self.containers if c.state is not State.EXITED}
        assert dict(self.ledger.holders) == holders
        assert dict(self.ledger.owed) == {key: c for key, c in holders.items() if c.given != c.told}
        assert {c.key for c in self.ledger.running()} == {c.key for c in self.containers if c.state is State.RUNNING}
        for pod_id in ("pod-1", "pod-2", "pod-22"):
            of_pod = {c.key for c in self.ledger.of_pod(pod_id)}
            assert of_pod == {c.key for c in self.containers if c.pod_id == pod_id}

    @invariant()
    def an_id_leads_to_its_own_container(self):
        for container in self.containers:
            assert self.ledger.by_id(container.id) == (container if container.id else None)
        assert set(self.ledger._keys_by_id) == {c.id for c in self.containers if c.id}
        assert set(self.ledger._keys_of_pod) == {c.pod_id for c in self.containers}


TestLedger = LedgerAgainstModel.TestCase
TestLedger.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
