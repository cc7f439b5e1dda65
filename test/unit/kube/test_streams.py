"""Events are the same however the bytes arrive."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.kube.errors import Expired, Forbidden, Unavailable
from cri_resmgr.kube.requests import Request
from cri_resmgr.kube.streams import Event, events

REQUEST = Request("GET", "/things")
LONG_S = 60.0

EVENTS = st.lists(
    st.builds(Event, st.sampled_from(["ADDED", "BOOKMARK"]), st.dictionaries(st.text(), st.text(), max_size=3)),
    max_size=6,
)


class Content:
    """Gives one chunk at a time, and then the end."""

    def __init__(self, chunks):
        self.chunks = list(chunks)

    async def readany(self):
        return self.chunks.pop(0) if self.chunks else b""


async def read(chunks, silence_s=LONG_S):
    return [event async for event in events(Content(chunks), REQUEST, silence_s=silence_s)]


def written(happened):
    return b"".join(json.dumps({"type": event.kind, "object": event.object}).encode() + b"\n" for event in happened)


@given(EVENTS, st.data())
def test_events_may_be_cut_anywhere(happened, data):
    text = written(happened)
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(text) - 1)), max_size=8)))
    chunks = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert asyncio.run(read(chunk for chunk in chunks if chunk)) == happened


async def test_an_object_may_be_larger_than_any_buffer():
    large = Event("ADDED", {"data": 3_000_000 * "x"})
    text = written([large, large])
    chunks = [text[start : start + 65_536] for start in range(0, len(text), 65_536)]
    assert await read(chunks) == [large, large]


async def test_half_an_event_at_the_end_is_none():
    assert await read([written([Event("ADDED", {})]), b'{"type":']) == [Event("ADDED", {})]


async def test_what_is_no_event_is_told_and_not_swallowed():
    with pytest.raises(Unavailable, match="GET /things"):
        await read([b"<html>\n"])


@pytest.mark.parametrize(("code", "kind"), [(410, Expired), (500, Unavailable), (403, Forbidden)])
async def test_an_error_among_the_events_is_one(code, kind):
    text = written([Event("ADDED", {}), Event("ERROR", {"kind": "Status", "code": code, "message": "too old"})])
    with pytest.raises(kind, match=f"GET /things: {code} too old"):
        await read([text])


async def test_silence_is_an_end_and_no_error():
    class Silent:
        async def readany(self):
            await asyncio.sleep(LONG_S)

    assert [event async for event in events(Silent(), REQUEST, silence_s=0.001)] == []
