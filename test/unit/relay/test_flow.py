"""One side's windows: what is sent now, what waits, in which order, and who is given window for it."""

import pytest

from cri_resmgr.relay.flow import RETURN_AT, UNBOUNDED, Side
from cri_resmgr.wire import frames
from cri_resmgr.wire.frames import CHUNK, DATA, END_STREAM, HEADER, HEADER_SIZE, ProtocolError, frame, window_update

ACKNOWLEDGEMENT = frame(frames.SETTINGS, frames.ACK, 0)
INITIAL = frames.SETTINGS_INITIAL_WINDOW_SIZE


def sides() -> tuple[Side, Side]:
    """A side, and that of the other peer, who is given window."""
    side, other = Side(), Side()
    side.other, other.other = other, side
    return side, other


def sent(side: Side) -> list[tuple[int, int, int]]:
    """(stream, size, flags) of each DATA frame, in order."""
    data, at, found = b"".join(side.out), 0, []
    side.out.clear()
    while at < len(data):
        high, low, kind, flags, stream = HEADER.unpack_from(data, at)
        size = high << 16 | low
        if kind == DATA:
            found.append((stream, size, flags))
        at += HEADER_SIZE + size
    return found


def test_data_of_ours_goes_at_once_if_the_windows_allow():
    side, _ = sides()
    side.send(1, b"x" * 100, 65_535, end=True, trailers=b"")
    assert sent(side) == [(1, 100, END_STREAM)]
    assert (side.window, side.lead) == (65_435, 100)
    assert not side.waiting


def test_data_of_ours_is_paid_for_by_withholding_window_from_the_sender():
    side, other = sides()
    side.send(1, b"x" * 10_000, 65_535)
    side.grow(4_000)
    assert other.out == []
    assert side.lead == 6_000
    side.grow(10_000)
    assert other.out == [window_update(0, 4_000)]
    assert (side.lead, side.window) == (0, 69_535)


def test_what_is_swallowed_is_given_back_in_lots():
    side, other = sides()
    side.swallow(RETURN_AT - 1)
    assert other.out == []
    side.swallow(1)
    assert other.out == [window_update(0, RETURN_AT)]
    assert side.lead == 0


def test_what_is_swallowed_first_covers_what_was_sent():
    side, other = sides()
    side.send(1, b"x" * 1_000, 65_535)
    side.swallow(1_000)
    assert (other.out, side.lead) == ([], 0)
    side.swallow(500)
    side.grow(100)
    assert other.out == [window_update(0, 600)]


def test_more_than_a_chunk_goes_in_chunks():
    side, _ = sides()
    side.send(1, b"x" * (2 * CHUNK + 5), 65_535, end=True, trailers=b"")
    assert sent(side) == [(1, CHUNK, 0), (1, CHUNK, 0), (1, 5, END_STREAM)]


def test_the_smallest_of_both_windows_counts():
    side, _ = sides()
    side.send(1, b"x" * 30_000, 1_000, end=True)
    assert sent(side) == [(1, 1_000, 0)]
    side.waiting[1].window += 64_000
    side.window = 700
    side.pump()
    assert sent(side) == [(1, 700, 0)]
    side.grow(65_535)
    assert sum(size for _, size, _ in sent(side)) == 28_300


def test_trailers_wait_behind_their_data():
    side, _ = sides()
    side.send(1, b"x" * 2_000, 1_500, trailers=b"TRAILERS")
    assert b"TRAILERS" not in b"".join(side.out)
    side.waiting[1].window += 500
    side.pump()
    assert side.out[-1] == b"TRAILERS"
    assert not side.waiting


def test_streams_take_turns_even_if_each_grant_is_one_chunk():
    side, _ = sides()
    side.window = 0
    for stream in (1, 3, 5):
        side.send(stream, b"x" * (4 * CHUNK), 1 << 20)
    order = []
    for _ in range(9):
        side.grow(CHUNK)
        order += [stream for stream, _, _ in sent(side)]
    assert order == [1, 3, 5] * 3


def test_relayed_data_that_waits_was_paid_for_by_its_sender():
    side, other = sides()
    side.send(1, b"x" * 65_535, 1 << 20)
    sent(side)
    side.hold(3, b"y" * 1_000, end=False)
    side.hold(3, b"y" * 500, end=True)
    assert (side.lead, side.relayed_bytes) == (65_535, 1_500)
    side.grow(1_200)
    assert sent(side) == [(3, 1_200, 0)]
    side.grow(1_200)
    assert sent(side) == [(3, 300, END_STREAM)]
    assert (side.lead, side.window, side.relayed_bytes) == (65_535 - 2_400, 900, 0)
    assert other.out == []


def test_an_end_without_data_waits_for_the_data_before_it():
    side, _ = sides()
    side.send(1, b"x" * 65_535, 1 << 20)
    sent(side)
    side.hold(3, b"y", end=False)
    side.hold(3, b"", end=True)
    assert sent(side) == []
    side.grow(10)
    assert sent(side) == [(3, 1, END_STREAM)]


def test_what_is_dropped_counts_as_swallowed_if_it_was_relayed():
    side, other = sides()
    side.send(1, b"x" * 65_535, 1 << 20)
    side.hold(3, b"y" * 20_000, end=False)
    side.drop(3)
    assert (side.lead, side.relayed_bytes, side.waiting) == (45_535, 0, {})
    side.drop(3)
    side.drop(99)
    assert side.lead == 45_535
    assert other.out == []


def test_what_is_dropped_was_never_sent_if_it_is_ours():
    side, _ = sides()
    side.send(1, b"x" * 30_000, 10_000)
    assert (side.lead, side.own_bytes) == (10_000, 20_000)
    side.drop(1)
    assert (side.lead, side.own_bytes) == (10_000, 0)


def test_what_was_sent_of_a_long_stream_is_not_kept():
    side, _ = sides()
    side.send(1, b"x" * 65_535, 1 << 20)
    side.hold(3, b"y" * 1_000, end=False)
    for _ in range(200):
        side.window += 900
        side.hold(3, b"y" * 900, end=False)
        side.pump()
        side.out.clear()
    assert len(side.waiting[3].data) == side.relayed_bytes == 1_000


def test_a_sender_beyond_its_window_is_refused():
    side, _ = sides()
    side.send(1, b"x" * 65_535, 1 << 20)
    side.hold(3, b"y" * 65_535, end=False)
    with pytest.raises(ProtocolError, match="window"):
        side.hold(3, b"y", end=False)


def test_a_window_beyond_its_limit_is_refused():
    side, _ = sides()
    with pytest.raises(ProtocolError) as caught:
        side.grow(frames.MAX_WINDOW)
    assert caught.value.code == frames.FLOW_CONTROL_ERROR


def test_settings_count_once_acknowledged_and_move_every_window_of_ours():
    side, _ = sides()
    changes: list[int] = []
    side.resized = changes.append
    side.send(1, b"x" * 1_000, 400)
    sent(side)
    side.announce([(INITIAL, 65_635)])
    assert (side.initial, sent(side)) == (65_535, [])
    side.acknowledged(ACKNOWLEDGEMENT)
    assert side.out[0] == ACKNOWLEDGEMENT
    assert sent(side) == [(1, 100, 0)]
    assert (side.initial, changes) == (65_635, [100])


def test_a_window_may_become_negative():
    side, _ = sides()
    side.send(1, b"x" * 1_000, 400)
    side.announce([(INITIAL, 65_035)])
    side.acknowledged(ACKNOWLEDGEMENT)
    assert side.waiting[1].window == -500
    side.waiting[1].window += 500
    sent(side)
    side.pump()
    assert sent(side) == []


def test_acknowledgements_are_counted_one_by_one():
    side, _ = sides()
    side.announce([(INITIAL, 70_000)])
    side.announce([(1, 0)])
    side.announce([(INITIAL, 80_000)])
    initials = []
    for _ in range(3):
        side.acknowledged(ACKNOWLEDGEMENT)
        initials.append(side.initial)
    assert initials == [70_000, 70_000, 80_000]
    with pytest.raises(ProtocolError):
        side.acknowledged(ACKNOWLEDGEMENT)


def test_a_smaller_window_waits_for_data_that_was_sent_under_the_larger_one():
    side, _ = sides()
    side.send(1, b"x" * 65_535, 1 << 20)
    side.hold(3, b"y" * 1_000, end=True)
    side.out.clear()
    side.announce([(INITIAL, 100)])
    side.acknowledged(ACKNOWLEDGEMENT)
    assert (side.out, side.initial) == ([], 65_535)
    side.grow(1_000)
    assert side.out[-1] == ACKNOWLEDGEMENT
    assert side.initial == 100


def test_a_larger_window_waits_for_nothing():
    side, _ = sides()
    side.send(1, b"x" * 65_535, 1 << 20)
    side.hold(3, b"y" * 1_000, end=True)
    side.out.clear()
    side.announce([(INITIAL, 100)])
    side.announce([(INITIAL, 70_000)])
    side.acknowledged(ACKNOWLEDGEMENT)
    side.acknowledged(ACKNOWLEDGEMENT)
    assert side.out == [ACKNOWLEDGEMENT] * 2
    assert side.initial == 70_000


def test_dropped_data_lets_acknowledgements_go():
    side, _ = sides()
    side.send(1, b"x" * 65_535, 1 << 20)
    side.hold(3, b"y" * 1_000, end=True)
    side.announce([(INITIAL, 100)])
    side.acknowledged(ACKNOWLEDGEMENT)
    side.drop(3)
    assert side.out[-1] == ACKNOWLEDGEMENT


def test_relayed_data_minds_no_stream_window_of_ours():
    side, _ = sides()
    side.send(1, b"x" * 65_535, 1 << 20)
    side.hold(3, b"y", end=True)
    side.announce([(INITIAL, 1 << 20)])
    side.acknowledged(ACKNOWLEDGEMENT)
    assert side.waiting[3].window == UNBOUNDED


def test_data_of_ours_minds_a_connection_window_that_others_have_used_up():
    side, _ = sides()
    side.window = 50
    side.send(1, b"x" * 100, 65_535, end=True)
    assert sent(side) == [(1, 50, 0)]
    assert side.window == 0
