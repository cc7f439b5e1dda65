import json
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.values.events import Event, Kind, read, written

times_s = st.floats(0, 1e10)
events = st.builds(
    Event,
    kind=st.sampled_from(sorted(Kind)).map(str),
    text=st.text(),
    first_s=times_s,
    last_s=times_s,
    count=st.integers(1, 10**9),
    namespace=st.text(),
    pod=st.text(),
    pod_uid=st.text(),
    container=st.text(),
)
ONE = Event("CpusetDrift", "is on 0", 1.0, 2.0)


@given(st.lists(events, max_size=5).map(tuple))
def test_events_come_back_from_their_text(some):
    text = written(some)
    assert "\n" not in text
    assert read(text) == some


def test_no_text_means_no_events():
    assert read(None) == read("") == read("[]") == ()


@pytest.mark.parametrize(
    "damage",
    [
        "nonsense",
        "3",
        "{}x",
        '{"kind": 1}',
        '["CpusetDrift"]',
        "[null]",
        "[" * 100_000,
        json.dumps([asdict(ONE) | {"kind": None}]),
        json.dumps([asdict(ONE) | {"count": "many"}]),
        json.dumps([asdict(ONE) | {"colour": "red"}]),
        json.dumps([{"kind": "CpusetDrift"}]),
        json.dumps([asdict(ONE), {}]),
    ],
)
def test_what_is_no_list_of_events_is_none(damage):
    assert read(damage) == ()


@pytest.mark.parametrize(
    ("fields", "subject"),
    [
        ({"namespace": "shop", "pod": "web", "container": "c"}, "shop/web:c"),
        ({"namespace": "shop", "pod": "web"}, "shop/web"),
        ({"container": "c"}, "c"),
        ({}, ""),
    ],
)
def test_an_event_names_what_it_is_about(fields, subject):
    assert Event("CpusetDrift", "x", 1, 1, **fields).subject == subject


@pytest.mark.parametrize("kind", Kind)
def test_kinds_are_written_as_kubernetes_writes_reasons(kind):
    assert kind.isalpha()
    assert kind[0].isupper()
    assert not kind.isupper()
