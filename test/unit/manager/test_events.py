"""What an operator must know is kept, counted, bounded, and told to the store once in a while."""

import asyncio
from contextlib import closing
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.errors import Degraded
from cri_resmgr.manager import events as events_
from cri_resmgr.manager.events import LIMIT, TEXT_LIMIT_CHARS, Events
from cri_resmgr.state.store import Store
from cri_resmgr.values.events import META_KEY, Event, Kind, read, written
from cri_resmgr.values.workloads import Container, Pod

POD = Pod("p1", "web", "shop", "uid-web")
CONTAINER = Container("p1", "c", 2)


class Saved:
    """A place to save to; it fails as long as `full`."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.full = False

    def __call__(self, text: str) -> None:
        if self.full:
            raise Degraded("no space")
        self.texts.append(text)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(events_, "SAVE_AFTER_S", 0)
    monkeypatch.setattr(events_, "RETRY_AFTER_S", 0)


@pytest.fixture
def saved() -> Saved:
    return Saved()


def make(save, *, stored=None, times_s=(1.0, 2.0, 3.0, 4.0)) -> Events:
    return Events(save, pods={"p1": POD}, stored=stored, clock=partial(next, iter(times_s)))


async def until(condition) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0)


async def test_an_event_names_container_and_pod_as_people_know_them(saved):
    events = make(saved)
    events.record(Kind.POLICY_PASSED, container=CONTAINER, text="policy broke")
    assert list(events) == [Event("PolicyPassed", "policy broke", 1.0, 1.0, 1, "shop", "web", "uid-web", "c")]


async def test_an_event_may_be_about_a_pod_or_about_the_node(saved):
    events = make(saved)
    events.record(Kind.POLICY_REFUSED, pod=POD, text="x")
    events.record(Kind.POLICY_WARNING, text="y")
    assert [event.subject for event in events] == ["shop/web", ""]


async def test_a_container_of_a_pod_that_we_never_met_is_named_alone(saved):
    events = make(saved)
    events.record(Kind.CPUSET_DRIFT, container=Container("stranger", "c", 0), text="x")
    assert [(event.pod, event.container) for event in events] == [("", "c")]


async def test_what_happens_again_is_counted_and_comes_last(saved):
    events = make(saved)
    for text in ("one", "two", "one"):
        events.record(Kind.CPUSET_DRIFT, container=CONTAINER, text=text)
    assert [(e.text, e.count, e.first_s, e.last_s) for e in events] == [("two", 1, 2.0, 2.0), ("one", 2, 1.0, 3.0)]


async def test_every_event_counts_by_its_kind(saved):
    events = make(saved)
    for kind in (Kind.CPUSET_DRIFT, Kind.CPUSET_DRIFT, Kind.UPDATE_FAILED):
        events.record(kind, text="x")
    assert events.counts == {"CpusetDrift": 2, "UpdateFailed": 1}


@given(st.lists(st.integers(0, 2 * LIMIT), max_size=3 * LIMIT))
def test_of_many_events_the_last_are_kept(numbers):
    async def check() -> None:
        events = Events(lambda _: None, pods={}, clock=lambda: 0.0)
        for number in numbers:
            events.record(Kind.CPUSET_DRIFT, text=str(number))
        last = list(dict.fromkeys(reversed(numbers)))[:LIMIT]
        assert [event.text for event in events] == [str(number) for number in reversed(last)]
        assert events.counts.total() == len(numbers)

    asyncio.run(check())


async def test_a_long_text_is_cut_and_shows_that_it_was(saved):
    events = make(saved)
    events.record(Kind.UPDATE_FAILED, text="x" * TEXT_LIMIT_CHARS)
    events.record(Kind.UPDATE_FAILED, text="y" * (TEXT_LIMIT_CHARS + 1))
    whole, cut = (event.text for event in events)
    assert whole == "x" * TEXT_LIMIT_CHARS
    assert (len(cut), cut[-2:]) == (TEXT_LIMIT_CHARS, "y…")


async def test_many_events_at_once_are_saved_once(saved):
    events = make(saved)
    for text in ("a", "b", "c"):
        events.record(Kind.CPUSET_DRIFT, text=text)
    await until(lambda: saved.texts)
    await asyncio.sleep(0.01)
    assert [[event.text for event in read(text)] for text in saved.texts] == [["a", "b", "c"]]


async def test_without_a_new_event_nothing_is_saved(saved):
    make(saved, stored=written([Event("CpusetDrift", "old", 0, 0)])).close()
    assert saved.texts == []


async def test_what_could_not_be_saved_is_saved_later(saved, logged):
    events = make(saved)
    saved.full = True
    events.record(Kind.CPUSET_DRIFT, text="a")
    await until(lambda: [entry["event"] for entry in logged].count("events.unsaved") > 1)
    saved.full = False
    await until(lambda: saved.texts)
    assert [event.text for event in read(saved.texts[0])] == ["a"]


async def test_closing_saves_what_has_not_been_saved_and_nothing_comes_after_it(saved):
    events = make(saved)
    events.record(Kind.CPUSET_DRIFT, text="a")
    events.close()
    events.close()
    await asyncio.sleep(0.01)
    assert len(saved.texts) == 1


async def test_an_earlier_daemons_events_stay_and_go_on_being_counted(saved):
    before = make(saved)
    before.record(Kind.CPUSET_DRIFT, container=CONTAINER, text="again")
    before.record(Kind.UPDATE_FAILED, text="once")
    before.close()
    after = make(saved, stored=saved.texts[-1], times_s=(9.0,))
    after.record(Kind.CPUSET_DRIFT, container=CONTAINER, text="again")
    assert [(e.text, e.count, e.first_s, e.last_s) for e in after] == [("once", 1, 2.0, 2.0), ("again", 2, 1.0, 9.0)]
    assert after.counts == {"CpusetDrift": 1}
    after.close()


async def test_of_more_stored_events_than_fit_the_last_are_taken(saved):
    stored = written(Event("CpusetDrift", str(number), 0, 0) for number in range(LIMIT + 5))
    assert [event.text for event in make(saved, stored=stored)] == [str(number) for number in range(5, LIMIT + 5)]


async def test_events_go_through_a_real_store(tmp_path):
    with closing(Store.open(tmp_path / "relay")) as store:
        events = make(partial(store.set, META_KEY), stored=store.get(META_KEY))
        events.record(Kind.CPUSET_DRIFT, container=CONTAINER, text="a")
        events.close()
        assert [event.subject for event in read(store.get(META_KEY))] == ["shop/web:c"]


async def test_who_asks_again_with_the_last_number_hears_only_what_is_new(saved):
    events = make(saved)
    events.record(Kind.POLICY_PASSED, text="one")
    number, first = events.since(0)
    assert [event.text for event in first] == ["one"]
    assert events.since(number) == (number, ())
    events.record(Kind.POLICY_PASSED, text="two")
    later, new = events.since(number)
    assert later > number
    assert [event.text for event in new] == ["two"]


async def test_an_event_that_happens_again_is_new_again(saved):
    events = make(saved)
    events.record(Kind.POLICY_PASSED, text="one")
    number, _ = events.since(0)
    events.record(Kind.POLICY_PASSED, text="one")
    _, again = events.since(number)
    assert [(event.text, event.count) for event in again] == [("one", 2)]


async def test_a_number_from_the_future_is_answered_with_all(saved):
    """As after the clock was set back between two daemons."""
    events = make(saved)
    events.record(Kind.POLICY_PASSED, text="one")
    number, first = events.since(0)
    assert events.since(number + 10**6) == (number, first)


async def test_what_an_earlier_daemon_has_kept_is_told_to_who_asks_for_the_first_time(saved):
    events = make(saved, stored=written([Event("PolicyPassed", "old", 1.0, 1.0)]))
    number, first = events.since(0)
    assert [event.text for event in first] == ["old"]
    assert events.since(number) == (number, ())
