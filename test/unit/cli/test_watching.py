"""What an operator sees of a node: everything that can go wrong has a number, and a sentence while it lasts."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from cri_resmgr.cli import watching
from cri_resmgr.cli.flags import Flags
from cri_resmgr.cli.node import Node
from cri_resmgr.cli.site import Site
from cri_resmgr.config.settings import CpuConstraint, PolicySettings, Settings
from cri_resmgr.cri.runtime import Runtime
from cri_resmgr.errors import Degraded
from cri_resmgr.host.cgroups import Effective
from cri_resmgr.manager.drift import _Attempt
from cri_resmgr.observe.metrics import Metrics
from cri_resmgr.values.events import Kind
from cri_resmgr.values.resources import NOTHING
from doubles.runtime import FakeRuntime, MemoryClient

PINNED = Settings(policy=PolicySettings(active="topology-aware", reserved=CpuConstraint(millicpu=750)))


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[dict]]:
    with capture_logs() as records:
        yield records


@pytest.fixture
async def node(tmp_path: Path) -> Node:
    """Reconciled with an empty runtime; its policy is that of a real machine."""
    flags = Flags(relay_dir=str(tmp_path / "relay"), runtime_socket=str(tmp_path / "runtime.sock"))
    opened = Node.open(flags, PINNED, Site.survey(flags, PINNED), runtime=Runtime(MemoryClient(FakeRuntime())))
    await opened.reconciler.once()
    yield opened
    await opened.close()


def scraped(node: Node) -> dict[str, float]:
    """Every sample by name; of those with labels the sum."""
    found: dict[str, float] = {}
    text = Metrics(node.counters, gauges=watching._gauges(node)).text()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0) + sample.value
    return found


def count(node: Node) -> dict[str, float]:
    """Give each counter another value; what a scrape should say of them."""
    decisions, updates, drift = node.decider.counters, node.enforcer.counters, node.drift.counters
    expected = {}
    for number, (counters, at, name) in enumerate(
        (
            (decisions, "decided", "decisions_total"),
            (decisions, "refused", "decisions_refused_total"),
            (decisions, "failed", "decisions_failed_total"),
            (decisions, "passed", "decisions_passed_total"),
            (updates, "sent", "updates_sent_total"),
            (updates, "failed", "updates_failed_total"),
            (updates, "waited", "updates_waited_total"),
            (updates, "uncleared", "updates_uncleared_total"),
            (drift, "rounds", "drift_rounds_total"),
            (drift, "found", "drift_found_total"),
            (drift, "repaired", "drift_repaired_total"),
            (drift, "failed", "drift_failed_total"),
        ),
        start=10,
    ):
        setattr(counters, at, number)
        expected[f"cri_resmgr_{name}"] = number
    return expected


async def test_every_counter_has_its_own_metric(node):
    expected = count(node)
    assert scraped(node).items() >= expected.items()


async def test_events_are_counted_by_kind(node):
    before = scraped(node).get("cri_resmgr_events_total", 0)
    node.events.record(Kind.UPDATE_FAILED, text="x")
    node.events.record(Kind.CPUSET_DRIFT, text="y")
    assert scraped(node)["cri_resmgr_events_total"] == before + 2


async def test_the_policys_pools_are_told(node):
    found = scraped(node)
    assert found["cri_resmgr_pool_free_memory_bytes"] > 0
    assert found["cri_resmgr_pool_containers"] == found["cri_resmgr_containers_unplaced"] == 0
    assert found["cri_resmgr_updates_queued"] == found["cri_resmgr_drift_unrepaired"] == 0


async def test_before_the_policy_knows_what_runs_it_has_no_pools_to_tell_of(node, logged):
    node.decider.begun = False
    assert "cri_resmgr_pool_containers" not in scraped(node)
    assert not [entry for entry in logged if entry["event"] == "metrics.unreadable"]


async def test_a_node_where_all_is_well_has_no_complaints(node):
    assert watching.unhealthy(node) == []


async def test_what_lasts_is_said_in_a_sentence(node, monkeypatch):
    node.writer.last_error = Degraded("no space")
    node.reconciler.healthy = False
    node.decider.stale = True
    node.drift._attempts["id"] = _Attempt(NOTHING, Effective(1, 1, 2), 0, 0)
    monkeypatch.setattr(node.enforcer, "complaints", lambda: ["shop/web:c does not have what was decided: busy"])
    assert watching.unhealthy(node) == [
        "store: no space",
        "the ledger has not been compared with the runtime: it does not answer",
        "policy topology-aware: it could not begin with what runs; the log says why",
        "1 containers are not on the CPUs that were decided, though the runtime was told",
        "shop/web:c does not have what was decided: busy",
    ]
