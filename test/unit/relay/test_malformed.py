"""Malformed input: each kind is refused with its code, wherever it comes from, and ends only its own link."""

from collections.abc import Callable

import pytest

from cri_resmgr.relay.direction import MAX_BLOCK_BYTES
from cri_resmgr.relay.flow import MAX_UNACKNOWLEDGED
from cri_resmgr.relay.link import Link
from cri_resmgr.relay.opening import opener
from cri_resmgr.wire import frames
from cri_resmgr.wire.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    PREFACE,
    PRIORITISED,
    PUSH_PROMISE,
    SETTINGS,
    WINDOW_UPDATE,
    ProtocolError,
    frame,
    window_update,
)
from cri_resmgr.wire.hpack import encode
from relay.conversation import Conversation, request_fields
from relay.hooks import HOOKS
from relay.raw import ANSWERED, GREETING, Reader, opening, reply, request, settings

PROTOCOL, FLOW, SIZE, COMPRESSION = 1, 3, 6, 9
BLOCK = encode(request_fields(b"/same"))
HEAD = frame(HEADERS, END_HEADERS, 1, BLOCK)


def fresh() -> Link:
    link = Link(opener(HOOKS))
    link.from_client(GREETING)
    link.from_runtime(settings() + ANSWERED)
    link.from_client(ANSWERED)
    return link


def feed(take: Callable[[bytes], None], data: bytes, cut: int) -> None:
    for at in range(0, len(data), cut):
        take(data[at : at + cut])


ANYBODYS = {
    "padding beyond its frame": (HEAD + frame(DATA, PADDED, 1, b"\5abc"), PROTOCOL),
    "padding in an empty frame": (HEAD + frame(DATA, PADDED, 1, b""), PROTOCOL),
    "padded headers": (frame(HEADERS, PADDED | END_HEADERS, 1, b"\xff" + BLOCK), PROTOCOL),
    "headers shorter than their priority": (frame(HEADERS, PRIORITISED | END_HEADERS, 1, b"abc"), SIZE),
    "padding over the priority": (frame(HEADERS, PADDED | PRIORITISED | END_HEADERS, 1, b"\4abcdef"), SIZE),
    "continuation of nothing": (frame(CONTINUATION, END_HEADERS, 1, BLOCK), PROTOCOL),
    "block interrupted by data": (frame(HEADERS, 0, 1, BLOCK) + frame(DATA, 0, 1, b"x"), PROTOCOL),
    "block interrupted by a ping": (frame(HEADERS, 0, 1, BLOCK) + frame(6, 0, 0, b"12345678"), PROTOCOL),
    "block continued elsewhere": (frame(HEADERS, 0, 1, BLOCK[:5]) + frame(CONTINUATION, 4, 3, BLOCK[5:]), PROTOCOL),
    "block cut short": (frame(HEADERS, END_HEADERS, 1, b"\x40\x05ab"), COMPRESSION),
    "index outside the tables": (frame(HEADERS, END_HEADERS, 1, b"\xff\xff\x7f"), COMPRESSION),
    "size update beyond what was announced": (frame(HEADERS, END_HEADERS, 1, b"\x3f\xff\xff\x03"), COMPRESSION),
    "huge block": (
        frame(HEADERS, 0, 1, b"") + frame(CONTINUATION, 0, 1, b"\0" * 16_384) * (MAX_BLOCK_BYTES // 16_384 + 1),
        COMPRESSION,
    ),
    "endless empty continuations": (frame(HEADERS, 0, 1, BLOCK) + frame(CONTINUATION, 0, 1) * 40_000, COMPRESSION),
    "push promise": (frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2" + BLOCK), PROTOCOL),
    "window update by 0": (frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\0"), PROTOCOL),
    "window update of a stream by 0": (frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\0"), PROTOCOL),
    "window update of 3 bytes": (frame(WINDOW_UPDATE, 0, 0, b"abc"), SIZE),
    "window too large": (window_update(0, frames.MAX_WINDOW), FLOW),
    "settings of 5 bytes": (frame(SETTINGS, 0, 0, b"abcde"), SIZE),
    "acknowledgement of nothing": (frame(SETTINGS, ACK, 0), PROTOCOL),
    "too many settings": (settings() * (MAX_UNACKNOWLEDGED + 1), PROTOCOL),
    "frame larger than allowed": (b"\0\x40\x01\0\0\0\0\0\1", SIZE),
    "enormous frame": (b"\xff\xff\xff\0\0\0\0\0\1", SIZE),
}
CLIENTS = {
    "headers on an even stream": (frame(HEADERS, END_HEADERS, 2, BLOCK), PROTOCOL),
    "headers on no stream": (frame(HEADERS, END_HEADERS, 0, BLOCK), PROTOCOL),
}


@pytest.mark.parametrize("cut", [1, 1 << 20])
@pytest.mark.parametrize("name", [*ANYBODYS, *CLIENTS])
def test_what_a_client_may_not_send_is_refused(name, cut):
    data, code = (ANYBODYS | CLIENTS)[name]
    link = fresh()
    with pytest.raises(ProtocolError) as caught:
        feed(link.from_client, data, cut)
    assert caught.value.code == code
    assert str(caught.value)
    link.closed()
    assert not link.watchers


@pytest.mark.parametrize("cut", [1, 1 << 20])
@pytest.mark.parametrize("name", ANYBODYS)
def test_what_a_runtime_may_not_send_is_refused(name, cut):
    data, code = ANYBODYS[name]
    link = fresh()
    link.from_client(request(1, b"/same"))
    with pytest.raises(ProtocolError) as caught:
        feed(link.from_runtime, data, cut)
    assert caught.value.code == code


@pytest.mark.parametrize("junk", [b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/1.0\r\n", b"\0", PREFACE[:-1] + b"x"])
def test_what_does_not_begin_like_http2_is_refused_at_once(junk):
    link = Link(opener(HOOKS))
    with pytest.raises(ProtocolError, match="not HTTP/2"):
        feed(link.from_client, junk, 1)
    assert not link.runtime.out


def test_an_initial_window_out_of_range_is_refused_when_it_comes_into_force():
    link = fresh()
    link.from_client(settings((frames.SETTINGS_INITIAL_WINDOW_SIZE, 1 << 31)))
    with pytest.raises(ProtocolError, match="initial window"):
        link.from_runtime(ANSWERED)


def test_a_peer_that_sends_more_than_its_window_is_refused_when_it_would_have_to_wait():
    """Else a peer that minds no window could make us keep any amount."""
    link = fresh()
    data = opening(1, b"/pass") + frame(DATA, 0, 1, b"x" * 16_000) * 4
    link.from_client(data)
    with pytest.raises(ProtocolError, match="window") as caught:
        link.from_client(frame(DATA, 0, 1, b"x" * 16_000))
    assert caught.value.code == FLOW
    assert not link.runtime.waiting[1].data or len(link.runtime.waiting[1].data) <= 16_000


def test_the_reserved_bit_of_a_stream_is_ignored():
    """Else the bit would carry a request past its hook."""
    link = fresh()
    reader = Reader(from_client=True)
    link.from_client(opening(1, b"/refuse"))
    link.from_client(frame(DATA, END_STREAM, 1 | 1 << 31, b"\0\0\0\0\0"))
    reader.read(link.runtime.out)
    assert not reader.streams[1].data
    assert not reader.streams.get(1 | 1 << 31)
    assert reader.streams[1].reset
    link.from_client(opening(3 | 1 << 31, b"/same") + frame(DATA, END_STREAM, 3, b"\0\0\0\0\0"))
    assert link.requests.last_stream == 3
    assert 3 in link.watchers


@pytest.mark.parametrize("kind", [2, 6, 7, 10, 20, 255])
def test_frames_that_concern_nobody_pass_as_they_are(kind):
    link = fresh()
    link.runtime.out.clear()
    odd = frame(kind, 0xFF & ~PADDED, 0, b"12345678")
    link.from_client(odd)
    assert b"".join(link.runtime.out) == odd
    link.client.out.clear()
    link.from_runtime(odd)
    assert b"".join(link.client.out) == odd


async def test_a_broken_link_leaves_other_links_alone():
    net = Conversation()
    stream = net.call(b"/same", b"x")
    broken = fresh()
    with pytest.raises(ProtocolError):
        broken.from_client(frame(CONTINUATION, 0, 1, b""))
    await net.settle()
    assert net.result(stream) == (b"echo:x", 0)


def test_answers_for_streams_that_nobody_opened_are_relayed_not_kept():
    link = fresh()
    link.from_runtime(b"".join(reply(stream) for stream in range(1, 4000, 2)))
    assert (link.live, link.watchers, link.client.waiting) == ({}, {}, {})
