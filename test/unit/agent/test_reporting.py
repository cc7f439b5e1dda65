"""Events are written once, counted when told again, wait while nobody takes them, and are never too many."""

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from cri_resmgr.agent import reporting, reports
from cri_resmgr.agent.reporting import Allowance, Reporter
from cri_resmgr.agent.reports import Report, Subject, node
from cri_resmgr.kube.backoff import Backoff
from cri_resmgr.kube.errors import Forbidden, NotFound, Unavailable
from unit.agent.keeping import Keeper

REJECTED = Report(node("node-1"), "ConfigRejected", "policy.Active: ballons: unknown")
POD = Subject("Pod", "web", "u-1", namespace="shop", container="app")
NOW_S = 1_700_000_000.25


@pytest.fixture(name="keeper")
def _keeper() -> Keeper:
    return Keeper()


@asynccontextmanager
async def reporting_to(keeper, **options):
    options = {"instance": "node-1", "backoff": Backoff(0.01, 0.02), "clock": lambda: NOW_S} | options
    reporter = Reporter(keeper, **options)
    task = asyncio.create_task(reporter.run())
    try:
        yield reporter
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


async def told(reporter, *tell):
    for report in tell:
        reporter.report(report)
        await until(lambda: reporter.idle)


async def test_an_event_of_the_node_is_where_kubectl_describe_looks_for_it(keeper):
    async with reporting_to(keeper) as reporter:
        await told(reporter, REJECTED)
    ((name, event),) = keeper.events.items()
    assert event == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": "default"},
        "eventTime": "2023-11-14T22:13:20.250000Z",
        "type": "Warning",
        "reason": "ConfigRejected",
        "action": "Configure",
        "note": "policy.Active: ballons: unknown",
        "regarding": {"apiVersion": "v1", "kind": "Node", "name": "node-1", "uid": "node-1"},
        "reportingController": "cri-resmgr-agent",
        "reportingInstance": "node-1",
    }


async def test_an_event_of_a_container_is_beside_its_pod(keeper):
    async with reporting_to(keeper) as reporter:
        await told(reporter, Report(POD, "PolicyRefused", "too large", count=3, first_s=NOW_S - 60))
    (event,) = keeper.events.values()
    assert event["metadata"]["namespace"] == "shop"
    assert event["regarding"] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": "web",
        "uid": "u-1",
        "namespace": "shop",
        "fieldPath": "spec.containers{app}",
    }
    assert event["eventTime"] == "2023-11-14T22:12:20.250000Z"
    assert event["series"] == {"count": 3, "lastObservedTime": "2023-11-14T22:13:20.250000Z"}


async def test_what_is_told_again_is_one_event_with_a_count(keeper):
    async with reporting_to(keeper) as reporter:
        await told(reporter, REJECTED, REJECTED, replace(REJECTED, note="other"), REJECTED)
    assert keeper.counts() == {REJECTED.note: 3, "other": 1}
    assert (reporter.counters.written, reporter.counters.repeated) == (2, 2)


async def test_a_count_that_is_known_already_costs_no_request(keeper):
    async with reporting_to(keeper) as reporter:
        seen = replace(REJECTED, count=2, first_s=5.0)
        await told(reporter, seen, seen, replace(seen, count=4), seen)
    assert keeper.counts() == {REJECTED.note: 2}
    assert [verb for verb, _ in keeper.requests] == ["create", "patch", "patch"]


async def test_the_next_agent_tells_nothing_twice(keeper):
    seen, once = replace(REJECTED, count=7, first_s=5.0), Report(POD, "PolicyPassed", "broke", count=1, first_s=6.0)
    for _ in range(2):
        async with reporting_to(keeper) as reporter:
            await told(reporter, seen, once)
    assert keeper.counts() == {seen.note: 7, once.note: 1}


async def test_what_the_agent_itself_tells_again_after_a_restart_counts_on(keeper):
    for _ in range(2):
        async with reporting_to(keeper) as reporter:
            await told(reporter, REJECTED)
    assert keeper.counts() == {REJECTED.note: 2}


async def test_an_event_that_has_expired_is_made_anew(keeper):
    async with reporting_to(keeper) as reporter:
        await told(reporter, REJECTED)
        keeper.events.clear()
        await told(reporter, REJECTED)
    assert keeper.counts() == {REJECTED.note: 2}


async def test_while_nobody_takes_them_they_wait_and_the_last_word_is_written(keeper):
    async with reporting_to(keeper) as reporter:
        keeper.broken = Unavailable("down")
        reporter.report(replace(REJECTED, count=1, first_s=5.0))
        await until(lambda: len(keeper.requests) > 2)
        reporter.report(Report(POD, "PolicyRefused", "too large"))
        reporter.report(replace(REJECTED, count=9, first_s=5.0))
        assert not reporter.idle
        keeper.broken = None
        await until(lambda: reporter.idle)
    assert keeper.counts() == {REJECTED.note: 9, "too large": 1}
    assert not keeper.outages.failing


async def test_what_is_refused_is_let_go_and_said_once(keeper):
    with capture_logs() as logs:
        async with reporting_to(keeper) as reporter:
            keeper.broken = Forbidden("403")
            await told(reporter, REJECTED, replace(REJECTED, note="other"))
            keeper.broken = NotFound("no such namespace")
            await told(reporter, Report(POD, "PolicyRefused", "too large"))
            keeper.broken = None
            await told(reporter, REJECTED)
    assert reporter.counters.refused == 3
    assert keeper.counts() == {REJECTED.note: 1}
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("event.refused", "warning"),
        ("event.refused", "info"),
    ]


async def test_too_many_at_once_are_written_one_after_another(keeper):
    async with reporting_to(keeper, allowance=Allowance(burst=3, every_s=3600.0)) as reporter:
        for number in range(5):
            reporter.report(replace(REJECTED, note=str(number)))
        await until(lambda: len(keeper.events) == 3)
        for _ in range(20):
            await asyncio.sleep(0)
    assert sorted(keeper.counts()) == ["0", "1", "2"]
    assert not reporter.idle


def test_an_allowance_grows_again_with_time():
    allowance, now_s, taken = Allowance(burst=3, every_s=10.0), 100.0, []
    for _ in range(6):
        now_s += allowance.wait_s(now_s)
        allowance.take(now_s)
        taken.append(now_s)
    assert taken == [100.0, 100.0, 100.0, 110.0, 120.0, 130.0]
    assert allowance.wait_s(1000.0) == 0.0


async def test_the_oldest_are_dropped_and_counted_when_too_many_wait(keeper, monkeypatch):
    monkeypatch.setattr(reporting, "WAITING_LIMIT", 2)
    reporter = Reporter(keeper, instance="node-1")
    for number in range(5):
        reporter.report(replace(REJECTED, note=str(number)))
    assert reporter.counters.dropped == 3


async def test_what_is_known_has_a_limit(keeper, monkeypatch):
    monkeypatch.setattr(reporting, "KNOWN_LIMIT", 1)
    other = replace(REJECTED, note="other")
    async with reporting_to(keeper) as reporter:
        await told(reporter, REJECTED, other, REJECTED)
    assert keeper.counts() == {REJECTED.note: 2, "other": 1}


@pytest.mark.parametrize("name", ["a" * 253, "a" * 229 + "." + "b" * 20, "a" * 229 + "-" + "b" * 20])
def test_an_events_name_is_a_name_whatever_its_subjects(name):
    made = Report(node(name), "R", "n").name
    assert len(made) <= 253
    assert ".." not in made
    assert "-." not in made


def test_a_note_has_at_most_a_kilobyte_and_no_half_letters():
    assert reports.limited("é" * 512, 1024) == "é" * 512
    limited = reports.limited("é" * 513, 1024)
    assert limited == "é" * 510 + "…"
    assert reports.limited("a\udc80", 10) == "a?"


@pytest.mark.parametrize("first_s", [float("nan"), float("inf"), -1.0, 1e30])
def test_a_clock_may_say_anything(first_s):
    made = reports.event(replace(REJECTED, first_s=first_s), instance="n", count=1, now_s=NOW_S)
    assert made["eventTime"].endswith("Z")
