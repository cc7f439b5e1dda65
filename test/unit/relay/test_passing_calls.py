"""Calls that nobody holds: every byte as it was, and only the counters know of them."""

import pytest

from cri_resmgr.relay.link import Link
from cri_resmgr.relay.opening import opener
from cri_resmgr.wire.frames import ACK, DATA, END_STREAM, PADDED, PING, frame, goaway, reset, window_update
from relay.conversation import Conversation
from relay.raw import ANSWERED, GREETING, Reader, opening, reply, request, settings


def link_of_nobody() -> Link:
    link = Link(opener({}))
    link.from_client(GREETING)
    link.from_runtime(settings())
    link.from_client(ANSWERED)
    link.from_runtime(ANSWERED)
    return link


def test_what_a_client_sends_goes_on_byte_for_byte():
    data = (
        GREETING
        + ANSWERED
        + opening(1, b"/pass", [(b"x-bin", b"\xff\0")])
        + frame(DATA, PADDED, 1, b"\3hello" + b"\0" * 3)
        + frame(DATA, END_STREAM, 1)
        + opening(3, b"/pass", end=True)
        + reset(3, 8)
        + window_update(5, 100)
        + frame(99, 0x55, 7, b"of the future")
        + goaway(0, 0)
    )
    for cut in (1, 2, 13, len(data)):
        link = Link(opener({}))
        link.from_runtime(settings())
        for at in range(0, len(data), cut):
            link.from_client(data[at : at + cut])
        assert b"".join(link.runtime.out) == data


def test_one_read_of_many_frames_is_one_slice():
    """Batching is where the speed is."""
    link = link_of_nobody()
    link.from_client(opening(1, b"/pass"))
    link.runtime.out.clear()
    data = b"".join(frame(DATA, 0, 1, b"x" * size) for size in range(100))
    link.from_client(data)
    assert link.runtime.out == [data]


def test_the_tail_of_a_read_waits_until_its_frame_is_complete():
    link = link_of_nobody()
    link.from_client(opening(1, b"/pass"))
    link.runtime.out.clear()
    one, two = frame(DATA, 0, 1, b"one"), frame(DATA, 0, 1, b"two")
    link.from_client(one + two[:10])
    assert link.runtime.out == [one]
    link.from_client(two[10:])
    assert b"".join(link.runtime.out) == one + two


def test_answers_are_written_anew_without_a_table():
    link = link_of_nobody()
    reader = Reader(from_client=False)
    reader.read(link.client.out)
    for stream in range(1, 21, 2):
        link.from_client(request(stream, b"/pass"))
        link.from_runtime(reply(stream, b"r"))
    reader.read(link.client.out)
    assert all(got.ended for stream, got in reader.streams.items() if stream)
    assert not reader.decoder.header_table.dynamic_entries
    assert reader.decoder.header_table_size == 0


async def test_an_error_with_36_kb_of_trailers_passes():
    net = Conversation(reply=lambda _path, _body: (b"bad!" * 9000, 5))
    stream = net.call(b"/pass", b"x")
    await net.settle()
    assert net.client.incoming[stream].headers[b"grpc-message"] == b"bad!" * 9000


async def test_resets_pass_in_both_directions():
    net = Conversation()
    by_client, by_runtime = net.call(b"/pass", b"x"), net.call(b"/pass", b"x")
    net.silent |= {by_client, by_runtime}
    await net.settle()
    net.client.reset(by_client, 7)
    net.runtime.reset(by_runtime, 11)
    await net.settle()
    assert net.runtime.incoming[by_client].reset == 7
    assert net.client.incoming[by_runtime].reset == 11
    await net.check_rest()


async def test_a_reset_behind_a_complete_reply_does_not_overtake_it():
    """As Go servers send it to clients that have not ended their request."""
    net = Conversation(cuts=(100_000,))
    held = net.call(b"/grow", b"x" * 60_000)  # spends window of ours, so that what passes has to wait
    net.client.reading = False
    await net.settle()
    stream = net.call(b"/pass", None)
    net.silent.add(stream)
    await net.settle()
    body = b"\0" + (20_000).to_bytes(4, "big") + b"r" * 20_000
    net.runtime.answer(stream, [(b":status", b"200")], body, [(b"grpc-status", b"0")])
    net.move()
    net.runtime.h2.reset_stream(stream, 0)
    net.move()
    waits = stream in net.link.client.waiting
    net.client.reading = True
    await net.settle()
    assert waits, "the reply had to wait, or this test shows nothing"
    assert net.result(stream) == (b"r" * 20_000, 0)
    assert net.result(held)[1] == 0


async def test_settings_pass_and_count_when_they_are_acknowledged():
    net = Conversation()
    await net.settle()
    net.runtime.announce(window=1_000)
    net.link.from_runtime(net.runtime.output())
    assert net.link.runtime.initial == 65_535
    await net.settle()
    assert net.link.runtime.initial == 1_000
    await net.check_rest()


async def test_the_runtimes_goodbye_passes():
    net = Conversation()
    await net.settle()
    net.runtime.h2.close_connection(0)
    await net.settle()
    assert net.client.terminated == 0


async def test_calls_are_counted_by_method():
    now = [0.0]

    def answer(_path: bytes, _body: bytes) -> tuple[bytes, int]:
        now[0] += 0.25
        return b"", 0

    net = Conversation(clock=lambda: now[0], reply=answer)
    for _ in range(3):
        net.call(b"/pass")
        await net.settle()
    net.call(b"/overloaded")
    await net.settle()
    stream = net.call(b"/pass")
    net.silent.add(stream)
    await net.settle()
    assert net.link.busy
    net.client.reset(stream)
    await net.settle()
    passed, overloaded = net.link.counters.methods["/pass"], net.link.counters.methods["/overloaded"]
    assert (passed.calls, passed.failed, passed.refused) == (4, 1, 0)
    assert passed.runtime_s.total_s == pytest.approx(0.75)
    assert (overloaded.calls, overloaded.failed) == (1, 1)


async def test_nobody_waits_for_endless_calls():
    net = Conversation(endless=("/events",))
    stream = net.call(b"/events")
    net.silent.add(stream)
    await net.settle()
    assert net.link.live
    assert not net.link.busy
    other = net.call(b"/pass")
    net.silent.add(other)
    net.move()
    assert net.link.busy
    net.answer(other, b"")
    await net.settle()
    assert not net.link.busy


async def test_somebody_waits_for_an_answer_that_is_still_on_its_way():
    net = Conversation(reply=lambda _path, _body: (b"r" * 200_000, 0))
    net.client.reading = False
    stream = net.call(b"/same", b"x")
    await net.settle()
    assert (net.link.holding, net.link.live) == (1, {}) or net.link.client.waiting
    assert net.link.busy
    net.client.reading = True
    await net.settle()
    assert net.result(stream) == (b"r" * 200_000, 0)
    assert not net.link.busy


async def test_the_empty_end_of_a_stream_does_not_overtake_its_waiting_data():
    net = Conversation()
    net.runtime.reading = False
    net.call(b"/grow", b"")  # uses up the window of the connection
    await net.settle()
    stream = net.call(b"/pass", None)
    net.client.h2.send_data(stream, b"\0\0\0\0\5hel")
    await net.settle()
    assert net.link.runtime.waiting[stream].data == b"\0\0\0\0\5hel"
    net.client.h2.send_data(stream, b"lo")
    net.client.h2.send_data(stream, b"", end_stream=True)
    await net.settle()
    assert not net.runtime.incoming[stream].ended
    net.runtime.reading = True
    await net.settle()
    assert net.requests[stream] == (b"/pass", b"hello")
    await net.check_rest()


async def test_a_reset_in_the_middle_of_a_reply_drops_what_waits_of_it():
    net = Conversation()
    net.call(b"/grow", b"x" * 60_000)  # uses up the client's window with DATA of ours
    net.client.reading = False
    await net.settle()
    stream = net.call(b"/pass", b"")
    net.silent.add(stream)
    await net.settle()
    net.runtime.h2.send_headers(stream, [(b":status", b"200")])
    net.runtime.h2.send_data(stream, b"r" * 5_000)
    net.move()
    assert net.link.client.waiting[stream].data == b"r" * 5_000
    net.runtime.reset(stream, 7)
    await net.settle()
    assert stream not in net.link.client.waiting
    assert net.client.incoming[stream].reset == 7
    net.client.reading = True
    await net.settle()
    assert not net.client.incoming[stream].body
    await net.check_rest()


async def test_a_ping_after_data_of_ours_is_answered_here_once():
    """gRPC clients measure the line so; a runtime takes pings that follow no DATA of its own for abuse."""
    net = Conversation()
    net.call(b"/own", b"x")
    await net.settle()
    seen = [ping(net, number) for number in (b"1" * 8, b"2" * 8)]
    assert seen == [(frame(PING, ACK, 0, b"1" * 8), b""), (b"", frame(PING, 0, 0, b"2" * 8))]


async def test_a_ping_after_data_of_the_runtime_passes():
    net = Conversation()
    net.call(b"/pass", b"x")
    await net.settle()
    assert ping(net, b"1" * 8) == (b"", frame(PING, 0, 0, b"1" * 8))
    assert ping(net, b"2" * 8, flags=ACK) == (b"", frame(PING, ACK, 0, b"2" * 8))


def ping(net: Conversation, payload: bytes, *, flags: int = 0) -> tuple[bytes, bytes]:
    """What goes back to the client, and what on to the runtime."""
    net.link.from_client(frame(PING, flags, 0, payload))
    said = b"".join(net.link.client.out), b"".join(net.link.runtime.out)
    net.link.client.out.clear()
    net.link.runtime.out.clear()
    return said
