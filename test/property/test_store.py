"""At any moment, what is reopened is what the ledger was when it was last written."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cri_resmgr.state.ledger import Ledger
from cri_resmgr.state.store import Store
from cri_resmgr.values.decisions import Candidate, Holding
from cri_resmgr.values.hints import Hint
from cri_resmgr.values.resources import Assignment, Resources
from cri_resmgr.values.workloads import Container, Pod, State

TEXT = st.text(max_size=12)
IDS = st.sampled_from(["p1", "p2", "p3"])
MAPS = st.dictionaries(TEXT, TEXT, max_size=3)
INT64 = st.integers(-(2**63), 2**63 - 1)
RESOURCES = st.builds(Resources, INT64, INT64, INT64, INT64, INT64, TEXT, TEXT)
ASSIGNMENTS = st.builds(
    Assignment, st.none() | TEXT, st.none() | TEXT, st.none() | INT64, st.none() | INT64, st.none() | INT64
)
SETS = st.integers(0, 2**8192 - 1)
SCORES = st.dictionaries(TEXT, st.integers(-9, 9) | st.floats(allow_nan=False) | TEXT, max_size=3)
PODS = st.builds(Pod, IDS, TEXT, TEXT, TEXT, TEXT, TEXT, MAPS, MAPS)
CONTAINERS = st.builds(
    Container,
    IDS,
    st.sampled_from(["a", "b"]),
    st.integers(0, 3),
    id=TEXT,
    state=st.sampled_from(State),
    labels=MAPS,
    annotations=MAPS,
    asked=RESOURCES,
    given=ASSIGNMENTS,
    reasons=st.lists(TEXT, max_size=2).map(tuple),
    adopted=st.booleans(),
    told=ASSIGNMENTS,
    holding=st.builds(Holding, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT),
    hints=st.lists(st.builds(Hint, TEXT, SETS, SETS, SETS), max_size=2).map(tuple),
    candidates=st.lists(st.builds(Candidate, TEXT, SCORES, TEXT), max_size=2).map(tuple),
    revisit_after_start_s=st.floats(0, 1e9),
)


class StoreBehindLedger(RuleBasedStateMachine):
    """`written` is what the ledger held at the last write."""

    def __init__(self):
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="cri-resmgr-test-"))
        self.written = ({}, {})

    @initialize()
    def begin(self):
        self.store = Store.open(self.directory)
        self.ledger = Ledger(*self.store.load())

    @rule(pod=PODS)
    def put_pod(self, pod):
        self.ledger.put_pod(pod)

    @rule(pod_id=IDS)
    def drop_pod(self, pod_id):
        self.ledger.drop_pod(pod_id)

    @rule(container=CONTAINERS)
    def put(self, container):
        self.ledger.put(container)

    @rule(container=CONTAINERS)
    def drop(self, container):
        self.ledger.drop(container.key)

    @rule()
    def write(self):
        self.store.write(self.ledger.take_changes())
        self.written = dict(self.ledger.pods), dict(self.ledger.containers)

    @rule()
    def reopen_without_having_written(self):
        self.store.close()
        self.begin()

    @rule()
    def reopen_a_copy_as_after_a_crash(self):
        crashed = self.directory / "crashed"
        shutil.rmtree(crashed, ignore_errors=True)
        crashed.mkdir(mode=0o710)
        for path in self.directory.glob("state.db*"):
            shutil.copy2(path, crashed)
        copy = Store.open(crashed)
        try:
            self.check(copy)
        finally:
            copy.close()

    @invariant()
    def the_store_holds_what_was_written(self):
        self.check(self.store)

    def check(self, store: Store):
        pods, containers = store.load()
        assert ({p.id: p for p in pods}, {c.key: c for c in containers}) == self.written
        assert not store.rebuilt

    def teardown(self):
        if hasattr(self, "store"):
            self.store.close()
        shutil.rmtree(self.directory)


TestStore = StoreBehindLedger.TestCase
TestStore.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=600)), max_size=4), st.floats(0.05, 1))
def test_a_file_damaged_anyhow_is_read_as_it_was_written_or_moved_aside(strokes, kept):
    with tempfile.TemporaryDirectory(prefix="cri-resmgr-test-") as name:
        directory = Path(name) / "relay"
        ledger = Ledger()
        for attempt in range(30):
            ledger.put(Container("pod", "c", attempt, annotations={"filler": "x" * 500}))
        store = Store.open(directory)
        store.write(ledger.take_changes())
        store.close()
        path = directory / "state.db"
        content = bytearray(path.read_bytes())
        for where, stroke in strokes:
            start = int(where * len(content))
            content[start : start + len(stroke)] = stroke
        content = content[: max(1, int(kept * len(content)))]
        path.write_bytes(content)

        store = Store.open(directory)
        try:
            _, containers = store.load()
            aside = list(directory.glob("state.db.corrupt-*Z"))
            assert store.rebuilt == bool(aside)
            if store.rebuilt:
                assert not containers
                assert aside[0].read_bytes() == content
            else:  # a stroke into a row's text, or into unused space, is no damage that anybody could see
                assert {c.key for c in containers} == {f"pod/c/{attempt}" for attempt in range(30)}
            store.write(Ledger([Pod("after", "n", "ns", "u")]).take_changes())
        finally:
            store.close()
