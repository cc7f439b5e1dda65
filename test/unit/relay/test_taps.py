"""Taps: copies of whole messages, of calls that pass byte for byte."""

import pytest

from cri_resmgr.relay.tapped import MAX_MESSAGE_BYTES, Messages
from cri_resmgr.wire.grpc import prefixed
from relay.conversation import OK_TRAILERS, REPLY_HEAD, Conversation


class Notes:
    """A tap that writes down what it sees, and fails where it is told to."""

    def __init__(self, fail: str = "") -> None:
        self.requests: list[bytes] = []
        self.replies: list[bytes] = []
        self.ends: list[tuple[int | None, str]] = []
        self._fail = fail

    def request(self, message: bytes) -> None:
        self._stumble("request")
        self.requests.append(message)

    def reply(self, message: bytes) -> None:
        self._stumble("reply")
        self.replies.append(message)

    def ended(self, code: int | None, message: str) -> None:
        self.ends.append((code, message))
        self._stumble("ended")

    def _stumble(self, where: str) -> None:
        if where == self._fail:
            raise ValueError("boom")


def tapped(notes: Notes, **more) -> Conversation:
    return Conversation({}, tap_for=lambda path: notes if path == "/tapped" else None, **more)


@pytest.mark.parametrize("size", [0, 1, 200_000])
@pytest.mark.parametrize("cut", [3, 1000, 1 << 20])
async def test_a_tap_gets_whole_messages_and_the_status(size, cut):
    notes = Notes()
    net = tapped(notes, cuts=(cut,))
    stream = net.call(b"/tapped", b"q" * size)
    await net.settle()
    assert net.result(stream) == (b"echo:" + b"q" * size, 0)
    assert (notes.requests, notes.replies) == ([b"q" * size], [b"echo:" + b"q" * size])
    assert notes.ends == [(0, "")]
    await net.check_rest()


async def test_a_tap_sees_an_error_as_the_client_does():
    notes = Notes()
    net = tapped(notes, reply=lambda _path, _body: (b"no %E2%82%AC", 5))
    net.call(b"/tapped")
    await net.settle()
    assert notes.ends == [(5, "no \u20ac")]
    assert not notes.replies


async def test_a_tap_gets_each_message_of_a_stream():
    notes = Notes()
    net = tapped(notes, cuts=(7, 100))
    stream = net.call(b"/tapped", b"q")
    net.silent.add(stream)
    await net.settle()
    events = [b"e%d" % number * number for number in range(50)]
    net.runtime.answer(stream, REPLY_HEAD, b"".join(map(prefixed, events)), OK_TRAILERS)
    await net.settle()
    assert notes.replies == events
    assert notes.ends == [(0, "")]


@pytest.mark.parametrize("by_client", [True, False])
async def test_a_tap_learns_of_a_reset(by_client):
    notes = Notes()
    net = tapped(notes)
    stream = net.call(b"/tapped", b"q")
    net.silent.add(stream)
    await net.settle()
    (net.client if by_client else net.runtime).reset(stream)
    await net.settle()
    assert [code for code, _ in notes.ends] == [None]
    assert ("client" if by_client else "runtime") in notes.ends[0][1]
    await net.check_rest()


async def test_a_tap_learns_of_a_lost_connection():
    notes = Notes()
    net = tapped(notes)
    net.silent.add(net.call(b"/tapped", b"q"))
    await net.settle()
    net.link.closed()
    assert notes.ends == [(None, "connection lost")]
    assert not net.link.watchers


async def test_a_reply_that_ends_without_a_status_is_an_error():
    notes = Notes()
    net = tapped(notes)
    stream = net.call(b"/tapped", b"q")
    net.silent.add(stream)
    await net.settle()
    net.runtime.h2.send_headers(stream, REPLY_HEAD)
    net.runtime.h2.send_data(stream, prefixed(b"r"), end_stream=True)
    await net.settle()
    assert notes.replies == [b"r"]
    assert [code for code, _ in notes.ends] == [2]
    await net.check_rest()


@pytest.mark.parametrize("where", ["request", "reply", "ended"])
async def test_a_tap_that_crashes_ends_the_tap_and_not_the_call(where, logged):
    notes = Notes(fail=where)
    net = tapped(notes)
    stream = net.call(b"/tapped", b"q" * 100_000)
    await net.settle()
    assert net.result(stream) == (b"echo:" + b"q" * 100_000, 0)
    assert [record["event"] for record in logged] == ["tap.failed"]
    assert not net.link.watchers
    await net.check_rest()


def test_a_message_over_the_limit_is_skipped_and_the_next_one_delivered():
    delivered: list[bytes] = []
    messages = Messages(delivered.append)
    messages.add(prefixed(b"before"))
    messages.add(b"\0" + (MAX_MESSAGE_BYTES + 1).to_bytes(4, "big"))
    left = MAX_MESSAGE_BYTES + 1
    while left:
        size = min(left, 1 << 20)
        messages.add(b"x" * size)
        assert not messages._data, "what is not delivered is not kept"
        left -= size
    messages.add(prefixed(b"after"))
    assert delivered == [b"before", b"after"]


@pytest.mark.parametrize("cut", [1, 4, 1000])
def test_a_compressed_message_is_skipped_and_the_next_one_delivered(cut):
    delivered: list[bytes] = []
    messages = Messages(delivered.append)
    data = prefixed(b"one") + b"\1\0\0\0\5zzzzz" + prefixed(b"two")
    for at in range(0, len(data), cut):
        messages.add(data[at : at + cut])
    assert delivered == [b"one", b"two"]
