"""Frames as bytes, read back with the hyperframe package."""

import pytest
from hyperframe.frame import ContinuationFrame, Frame, GoAwayFrame, HeadersFrame, RstStreamFrame, WindowUpdateFrame

from cri_resmgr.wire import frames
from cri_resmgr.wire.frames import (
    CHUNK,
    PADDED,
    PRIORITISED,
    ProtocolError,
    body_of,
    fragment_of,
    frame,
    goaway,
    growth_of,
    header_frames,
    reset,
    settings_of,
    window_update,
)


def read(data: bytes) -> list[Frame]:
    found, at = [], 0
    while at < len(data):
        parsed, size = Frame.parse_frame_header(memoryview(data)[at : at + 9])
        parsed.parse_body(memoryview(data)[at + 9 : at + 9 + size])
        found.append(parsed)
        at += 9 + size
    return found


def test_small_frames_read_as_what_they_are():
    grown, gone, bye = read(window_update(3, 77) + reset(5, 8) + goaway(frames.LAST_STREAM, 2))
    assert isinstance(grown, WindowUpdateFrame)
    assert (grown.stream_id, grown.window_increment) == (3, 77)
    assert isinstance(gone, RstStreamFrame)
    assert (gone.stream_id, gone.error_code) == (5, 8)
    assert isinstance(bye, GoAwayFrame)
    assert (bye.last_stream_id, bye.error_code) == (0x7FFFFFFF, 2)


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1, 100_000])
@pytest.mark.parametrize("end", [False, True])
def test_a_header_block_is_cut_where_every_peer_can_take_it(size, end):
    block = bytes(index % 251 for index in range(size))
    first, *rest = read(header_frames(7, block, end_stream=end))
    assert isinstance(first, HeadersFrame)
    assert all(isinstance(part, ContinuationFrame) for part in rest)
    assert ("END_STREAM" in first.flags) == end
    assert ["END_HEADERS" in part.flags for part in [first, *rest]] == [False] * len(rest) + [True]
    assert b"".join(part.data for part in [first, *rest]) == block
    assert all(len(part.data) <= CHUNK and part.stream_id == 7 for part in [first, *rest])


def test_padding_is_stripped():
    payload = b"\2data\0\0"
    first, last = body_of(payload, 0, len(payload), PADDED)
    assert payload[first:last] == b"data"
    assert body_of(payload, 0, len(payload), 0) == (0, len(payload))
    assert body_of(b"\0", 0, 1, PADDED) == (1, 1)
    assert body_of(b"\3\0\0\0", 0, 4, PADDED) == (1, 1)


@pytest.mark.parametrize("payload", [b"", b"\1", b"\4\0\0\0"])
def test_padding_beyond_its_frame_is_an_error(payload):
    with pytest.raises(ProtocolError):
        body_of(payload, 0, len(payload), PADDED)


def test_priority_is_stripped_from_headers():
    payload = b"\1\0\0\0\1\7block\0"
    first, last = fragment_of(payload, 0, len(payload), PADDED | PRIORITISED)
    assert payload[first:last] == b"block"
    with pytest.raises(ProtocolError):
        fragment_of(b"1234", 0, 4, PRIORITISED)


def test_settings_and_growth_are_read_where_they_are():
    data = b"..." + frame(frames.SETTINGS, 0, 0, b"\0\4\0\0\1\0\0\1\0\0\0\0")
    assert settings_of(data, 12, len(data)) == [(4, 256), (1, 0)]
    assert growth_of(b"\x80\0\0\1", 0, 4) == 1  # the reserved bit is ignored
    for payload in (b"\0\0\0\0", b"\x80\0\0\0", b"abc", b"abcde"):
        with pytest.raises(ProtocolError):
            growth_of(payload, 0, len(payload))
