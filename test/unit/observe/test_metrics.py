"""A scrape says what the counters say, in a form that Prometheus' own parser reads."""

import math
import os
from contextlib import closing

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from cri_resmgr.errors import Degraded
from cri_resmgr.observe.exposition import head, labels, sample
from cri_resmgr.observe.gauges import Gauge, of_pools, of_process, of_state
from cri_resmgr.observe.metrics import Metrics
from cri_resmgr.policies.contract import Pool
from cri_resmgr.relay.counters import BOUNDS_S, OTHER, Counters
from cri_resmgr.state.ledger import Ledger
from cri_resmgr.state.store import Store
from cri_resmgr.state.writer import Writer
from cri_resmgr.values.decisions import Holding
from cri_resmgr.values.workloads import Container, Pod, State

CREATE = "/runtime.v1.RuntimeService/CreateContainer"
VERSION = "/runtime.v1.RuntimeService/Version"


def scraped(metrics: Metrics) -> dict[tuple[str, frozenset], float]:
    """Every sample by name and labels; each may be there once only."""
    samples = [sample for family in text_string_to_metric_families(metrics.text()) for sample in family.samples]
    found = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
    assert len(found) == len(samples)
    return found


def key(name: str, **label_values: str) -> tuple[str, frozenset]:
    return name, frozenset(label_values.items())


def of_method(name: str, path: str, **more: str) -> tuple[str, frozenset]:
    _, service, method = path.split("/")
    return key(name, service=service, method=method, **more)


def test_calls_are_counted_by_service_and_method():
    counters = Counters()
    counters.method(CREATE).calls = 7
    counters.method(CREATE).failed = 2
    counters.method(CREATE).refused = 1
    counters.method(VERSION).calls = 3
    found = scraped(Metrics(counters))
    assert found[of_method("cri_resmgr_calls_total", CREATE)] == 7
    assert found[of_method("cri_resmgr_calls_failed_total", CREATE)] == 2
    assert found[of_method("cri_resmgr_calls_refused_total", CREATE)] == 1
    assert found[of_method("cri_resmgr_calls_total", VERSION)] == 3
    assert found[of_method("cri_resmgr_calls_failed_total", VERSION)] == 0


def test_a_histogram_counts_every_observation_up_to_each_bound():
    counters = Counters()
    for seconds in (0.00005, 0.0001, 0.003, 120.0):
        counters.method(CREATE).runtime_s.observe(seconds)
    found = scraped(Metrics(counters))

    def bucket(bound: float) -> float:
        le = "+Inf" if math.isinf(bound) else str(bound)
        return found[of_method("cri_resmgr_runtime_seconds_bucket", CREATE, le=le)]

    assert [bucket(bound) for bound in (0.0001, 0.0025, 0.005, 60.0, math.inf)] == [2, 2, 3, 3, 4]
    assert found[of_method("cri_resmgr_runtime_seconds_count", CREATE)] == 4
    assert found[of_method("cri_resmgr_runtime_seconds_sum", CREATE)] == pytest.approx(120.00315)
    assert sum(name == "cri_resmgr_runtime_seconds_bucket" for name, _ in found) == len(BOUNDS_S) + 1


def test_what_we_add_is_shown_for_methods_that_were_intercepted_only():
    counters = Counters()
    counters.method(CREATE).added_s.observe(0.001)
    counters.method(VERSION).runtime_s.observe(0.001)
    found = scraped(Metrics(counters))
    assert {dict(pairs)["method"] for name, pairs in found if name == "cri_resmgr_added_seconds_count"} == {
        "CreateContainer"
    }


def test_links_and_held_calls_are_told():
    counters = Counters(links_open=2, links_total=9, links_broken=3, links_refused=4, calls_held=5)
    found = scraped(Metrics(counters))
    assert found[key("cri_resmgr_links_open")] == 2
    assert found[key("cri_resmgr_links_total")] == 9
    assert found[key("cri_resmgr_links_broken_total")] == 3
    assert found[key("cri_resmgr_links_refused_total")] == 4
    assert found[key("cri_resmgr_calls_held")] == 5


def test_a_scrape_shows_what_is_and_not_what_was():
    counters = Counters()
    metrics = Metrics(counters)
    before = scraped(metrics)[key("cri_resmgr_links_open")]
    counters.links_open += 1
    assert scraped(metrics)[key("cri_resmgr_links_open")] == before + 1


@pytest.mark.parametrize(
    "path", [OTHER, "", "/", "//", "noslash", "/service/", "//method", 'a"b\\c\nd', "/a/b/c", "x/y"]
)
def test_a_method_of_any_name_is_one_series_that_parses(path):
    counters = Counters()
    counters.method(path).calls = 1
    counters.method(CREATE).calls = 2
    found = scraped(Metrics(counters))
    calls = {pairs: value for (name, pairs), value in found.items() if name == "cri_resmgr_calls_total"}
    assert sorted(calls.values()) == [1, 2]


@given(st.sets(st.text(alphabet='/ab"\\\n{},é', max_size=6), max_size=12))
def test_methods_of_different_names_never_share_a_series(paths):
    counters = Counters()
    for path in paths:
        counters.method(path).calls += 1
    found = scraped(Metrics(counters))
    assert sum(name == "cri_resmgr_calls_total" for name, _ in found) == len(paths)


def test_bytes_that_are_no_text_do_not_end_the_scrape():
    counters = Counters()
    counters.method("/service/\udcff").calls = 1
    assert b"udcff" in Metrics(counters).answer()[2]


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r"), max_size=30))
def test_any_label_value_survives(value):
    # The oracle takes a carriage return for the end of a line, which it is not in this format.
    text = head("m", "gauge", "Help.") + sample("m", 1, labels(name=value))
    lines = [line for line in text.split("\n") if line]
    assert len(lines) == 3
    (family,) = text_string_to_metric_families(text)
    assert family.samples[0].labels == {"name": value}


def test_help_is_one_line_whatever_it_says():
    (family,) = text_string_to_metric_families(head("m", "gauge", "one\ntwo \\ three") + sample("m", 1))
    assert family.documentation == "one\ntwo \\ three"


@pytest.mark.parametrize(("value", "read"), [(True, 1), (0, 0), (2**60, 2**60), (0.1, 0.1), (math.inf, math.inf)])
def test_any_number_survives(value, read):
    (family,) = text_string_to_metric_families(head("m", "gauge", "Help.") + sample("m", value))
    assert family.samples[0].value == read


async def test_ledger_and_store_are_told(tmp_path):
    ledger = Ledger([Pod("p", "n", "ns", "u")])
    ledger.put(Container("p", "a", 0, state=State.RUNNING))
    ledger.put(Container("p", "b", 0, state=State.RUNNING))
    ledger.put(Container("p", "c", 0, state=State.EXITED))
    with closing(Store.open(tmp_path / "relay")) as store:
        writer = Writer(ledger, store)
        await writer.now()
        found = scraped(Metrics(Counters(), gauges=of_state(ledger, store, writer)))
        on_disk = sum((tmp_path / "relay" / name).stat().st_size for name in ("state.db", "state.db-wal"))
        writer.last_error = Degraded("full")
        unhealthy = scraped(Metrics(Counters(), gauges=of_state(ledger, store, writer)))
    assert found[key("cri_resmgr_ledger_pods")] == 1
    containers = {state.value: found[key("cri_resmgr_ledger_containers", state=state.value)] for state in State}
    assert containers == {"creating": 0, "created": 0, "running": 2, "exited": 1}
    assert found[key("cri_resmgr_store_bytes")] == on_disk
    assert found[key("cri_resmgr_store_healthy")] == 1
    assert unhealthy[key("cri_resmgr_store_healthy")] == 0


def test_the_process_says_what_it_takes():
    metrics = Metrics(Counters(), gauges=of_process())
    before = scraped(metrics)
    assert before[key("process_resident_memory_bytes")] > 1 << 20
    assert before[key("process_cpu_seconds_total")] > 0
    descriptors = [os.open("/dev/null", os.O_RDONLY) for _ in range(3)]
    try:
        after = scraped(metrics)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    assert after[key("process_open_fds")] == before[key("process_open_fds")] + 3


def pool(name: str, **fields) -> Pool:
    empty = {"parent": "", "cpus": "", "mems": "", "shared": "", "exclusive": "", "reserved": ""}
    return Pool(name, **empty | {"free_millicpu": 0, "free_memory_bytes": 0} | fields)


def test_pools_are_told_by_name_with_what_is_taken_and_by_how_many():
    ledger = Ledger()
    for name, where, state in (
        ("a", "node #1", State.RUNNING),
        ("b", "node #1", State.EXITED),
        ("c", "", State.CREATED),
    ):
        ledger.put(Container("p", name, 0, state=state, holding=Holding(policy="x", pool=where)))
    pools = [
        pool("root", shared="0-3,8", free_millicpu=2500, free_memory_bytes=1 << 30),
        pool("node #1", exclusive="4-5"),
    ]
    found = scraped(Metrics(Counters(), gauges=of_pools(lambda: pools, ledger)))
    assert {
        (name.removeprefix("cri_resmgr_pool_"), dict(pairs)["pool"]): value
        for (name, pairs), value in found.items()
        if "_pool_" in name
    } == {
        ("shared_cpus", "root"): 5,
        ("shared_cpus", "node #1"): 0,
        ("exclusive_cpus", "root"): 0,
        ("exclusive_cpus", "node #1"): 2,
        ("free_cpus", "root"): 2.5,
        ("free_cpus", "node #1"): 0,
        ("free_memory_bytes", "root"): 1 << 30,
        ("free_memory_bytes", "node #1"): 0,
        ("containers", "root"): 0,
        ("containers", "node #1"): 1,
    }


def test_a_policy_without_pools_tells_of_none():
    found = scraped(Metrics(Counters(), gauges=of_pools(tuple, Ledger())))
    assert not any("_pool_" in name for name, _ in found)


@pytest.mark.parametrize("error", [PermissionError("no"), ZeroDivisionError("a mistake")])
def test_a_gauge_that_cannot_be_read_costs_itself_and_not_the_scrape(error):
    def broken() -> float:
        raise error

    gauges = (Gauge("broken", "Help.", broken), Gauge("fine", "Help.", lambda: 1))
    with structlog.testing.capture_logs() as events:
        found = scraped(Metrics(Counters(), gauges=gauges))
    assert key("fine") in found
    assert not any(name == "broken" for name, _ in found)
    assert [event["event"] for event in events] == ["metrics.unreadable"]


def test_every_metric_says_what_it_is_and_the_version_is_told():
    counters = Counters()
    counters.method(CREATE).runtime_s.observe(1)
    counters.method(CREATE).added_s.observe(1)
    metrics = Metrics(counters, gauges=of_process(), version="1.2.3")
    families = {family.name: family for family in text_string_to_metric_families(metrics.text())}
    assert all(family.documentation.endswith(".") for family in families.values())
    kinds = {name: family.type for name, family in families.items()}
    assert kinds["cri_resmgr_calls"] == kinds["process_cpu_seconds"] == kinds["cri_resmgr_links"] == "counter"
    assert kinds["cri_resmgr_links_open"] == kinds["process_open_fds"] == "gauge"
    assert kinds["cri_resmgr_runtime_seconds"] == kinds["cri_resmgr_added_seconds"] == "histogram"
    assert scraped(metrics)[key("cri_resmgr_build_info", version="1.2.3")] == 1


def test_the_answer_names_its_format():
    status, content_type, body = Metrics(Counters()).answer()
    assert (status, content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert body.endswith(b"\n")
