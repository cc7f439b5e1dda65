"""One line when something begins to fail and one when all is well again, however many try and however often."""

import pytest
from structlog.testing import capture_logs

from cri_resmgr.kube.errors import Forbidden, Unavailable
from cri_resmgr.kube.outages import Outages

AWAY, DENIED = Unavailable("connection refused"), Forbidden("403 no")


@pytest.fixture
def logs():
    with capture_logs() as entries:
        yield entries


@pytest.fixture
def outages():
    now = iter(range(100))
    return Outages(lambda: float(next(now)))


def told(logs):
    return [(entry["event"], entry["what"]) for entry in logs]


def test_an_outage_is_told_by_the_first_to_notice_and_its_end_by_the_last_to_recover(logs, outages):
    for _ in range(3):
        for what in "abc":
            outages.failed(what, AWAY)
    for what in "abc":
        outages.over(what)
    assert told(logs) == [("api.unavailable", "a"), ("api.recovered", "c")]
    assert logs[1]["after_s"] > 0


def test_a_second_outage_is_told_again(logs, outages):
    for _ in range(2):
        outages.failed("a", AWAY)
        outages.over("a")
    assert told(logs) == 2 * [("api.unavailable", "a"), ("api.recovered", "a")]


def test_success_without_a_failure_before_is_no_news(logs, outages):
    outages.over("a")
    assert logs == []


def test_a_refusal_is_told_by_each_once_until_its_text_changes(logs, outages):
    for error in (DENIED, DENIED, Forbidden("403 still no")):
        outages.failed("a", error)
        outages.failed("b", DENIED)
    outages.over("a")
    assert told(logs) == [("api.refused", "a"), ("api.refused", "b"), ("api.refused", "a"), ("api.recovered", "a")]


def test_a_server_that_comes_back_to_refuse_has_come_back(logs, outages):
    outages.failed("a", AWAY)
    outages.failed("a", DENIED)
    assert told(logs) == [("api.unavailable", "a"), ("api.recovered", "a"), ("api.refused", "a")]


def test_a_refusal_that_becomes_an_outage_is_part_of_it(logs, outages):
    outages.failed("a", AWAY)
    outages.failed("b", DENIED)
    outages.failed("b", AWAY)
    outages.over("a")
    outages.over("b")
    assert told(logs) == [("api.unavailable", "a"), ("api.refused", "b"), ("api.recovered", "b")]


def test_what_fails_now_is_known_with_its_last_text(outages):
    outages.failed("a", AWAY)
    outages.failed("b", DENIED)
    outages.failed("a", Unavailable("no answer"))
    assert outages.failing == {"a": "no answer", "b": "403 no"}
    outages.over("b")
    outages.forget("a")
    assert outages.failing == {}


def test_what_is_forgotten_neither_ends_an_outage_nor_hides_the_next_one(logs, outages):
    outages.failed("a", AWAY)
    outages.forget("a")
    outages.failed("b", AWAY)
    assert told(logs) == [("api.unavailable", "a"), ("api.unavailable", "b")]
