"""A link under everything that can arrive: valid frames in any order, real conversations damaged, plain noise.

Valid frames are never refused, and the balance of windows holds after each.  Whatever else comes, nothing but
`ProtocolError` comes out, little is kept, and a link that goes on still serves a call in step with its tables.
`hacks/fuzz` runs these for as long as it is told.
"""

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from structlog.testing import capture_logs

from cri_resmgr.relay.direction import MAX_BLOCK_BYTES
from cri_resmgr.relay.flow import MAX_UNACKNOWLEDGED
from cri_resmgr.relay.hooks import Call
from cri_resmgr.relay.link import MAX_DEAD, Link
from cri_resmgr.relay.opening import opener
from cri_resmgr.wire import frames
from cri_resmgr.wire.frames import ProtocolError, frame
from cri_resmgr.wire.grpc import prefixed
from cri_resmgr.wire.hpack import MAX_CAPACITY
from relay import hooks
from relay.effort import examples
from relay.model import INITIAL, End, Model, Stream
from relay.raw import ANSWERED, GREETING, Reader, opening, reply
from relay.raw import settings as settings_frame

RECORDING = Path(__file__).parent.parent / "relay" / "recordings" / "grpc-core.json"
WINDOWS = st.sampled_from([0, 1, 100, 1_000, 16_384, 65_535, 200_000])
CHUNKS = st.sampled_from([0, 1, 5, 100, 5_000, 16_384, 65_535])
HEAD = [(b":status", b"200"), (b"content-type", b"application/grpc")]
WAIT = b"/wait"
PATHS = st.sampled_from(
    [
        b"/pass",
        b"/same",
        b"/grow",
        b"/shrink",
        b"/refuse",
        b"/refuse-late",
        b"/own",
        b"/own-large",
        b"/recover",
        b"/tapped",
        WAIT,
    ]
)
SHORT = st.sampled_from([0, 0, 0, 1, 3])
OTHER_SETTINGS = st.sampled_from([[], [(3, 100)], [(5, 1 << 15)], [(99, 1)]])


class Onlooker:
    """A tap that stumbles over some messages."""

    def request(self, message: bytes) -> None:
        assert len(message) != 5

    def reply(self, message: bytes) -> None:
        assert len(message) != 5

    def ended(self, code: int | None, message: str) -> None:
        assert code != 5


class Links(RuleBasedStateMachine):
    """Both peers do whatever they are allowed to, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.gates: list[asyncio.Future[None]] = []
        self.logs = capture_logs()
        self.logs.__enter__()
        self.model = Model(
            {**hooks.HOOKS, WAIT.decode(): self.wait}, lambda path: Onlooker() if path == "/tapped" else None
        )

    async def wait(self, call: Call) -> bytes:
        gate = self.loop.create_future()
        self.gates.append(gate)
        await gate
        return await call.forward(call.request)

    def teardown(self) -> None:
        link = self.model.link
        link.closed()
        assert (link.live, link.watchers, link.holding, link.held_bytes) == ({}, {}, 0, 0)
        self.loop.close()
        self.logs.__exit__(None, None, None)

    def end(self, client: bool) -> End:  # noqa: FBT001
        return self.model.client if client else self.model.runtime

    def some(self, which: int, fits: Callable[[int, Stream, Stream], object]) -> int | None:
        """A stream for which `fits(number, client's, runtime's)`."""
        client, runtime = self.model.client.streams, self.model.runtime.streams
        found = [number for number in client if number in runtime and fits(number, client[number], runtime[number])]
        return found[which % len(found)] if found else None

    @initialize(client=WINDOWS, runtime=WINDOWS)
    def greet(self, client: int, runtime: int) -> None:
        self.model.client.announce([(INITIAL, client)])
        self.model.runtime.announce([(INITIAL, max(runtime, 100))])
        self.model.client.grant(0, 100_000)
        self.model.runtime.grant(0, 100_000)

    @rule(path=PATHS, number=st.integers(0, 50), end=st.sampled_from([False, False, False, True]), cut=SHORT)
    def open(self, path: bytes, number: int, end: bool, cut: int) -> None:  # noqa: FBT001
        extra = [(b"grpc-timeout", b"%du" % number), (b"x-%d" % (number % 5), b"v" * number)]
        self.model.open(path, extra, end=end, cut=cut)

    @rule(which=st.integers(0, 99), size=CHUNKS, padding=st.integers(0, 30), end=st.booleans())
    def request(self, which: int, size: int, padding: int, end: bool) -> None:  # noqa: FBT001
        """A part of a message; not all of them are whole, nor one."""
        number = self.some(which, lambda _, client, __: client.may_send)
        if number is not None:
            body = prefixed(b"q" * size) if size % 2 else b"q" * size
            self.model.client.send_data(number, body, padding=padding, end=end)

    @rule(which=st.integers(0, 99), size=CHUNKS)
    def whole_request(self, which: int, size: int) -> None:
        """One message from its beginning to its end, as far as the windows go."""
        number = self.some(which, lambda _, client, __: client.may_send and not client.request)
        if number is None:
            return
        body = prefixed(b"q" * size)
        self.model.client.streams[number].request += body[:1]
        while body:
            sent = self.model.client.send_data(number, body, padding=0, end=True)
            body = body[len(sent) :]
            if not sent:
                self.model.client.grant(0, 1)
                break

    @rule(which=st.integers(0, 99), code=st.sampled_from([None, 0, 5]), number=st.integers(0, 30))
    def reply_headers(self, which: int, code: int | None, number: int) -> None:
        """The beginning, or at once the end."""
        stream = self.some(which, lambda _, __, runtime: runtime.may_send and not runtime.headers_sent)
        if stream is not None:
            status = [] if code is None else [(b"grpc-status", b"%d" % code)]
            fields = [*HEAD, (b"x-%d" % number, b"v" * number), *status]
            self.model.runtime.send_headers(stream, fields, end=code is not None)

    @rule(which=st.integers(0, 99), size=CHUNKS, padding=st.integers(0, 30), end=st.sampled_from([False, False, True]))
    def reply_data(self, which: int, size: int, padding: int, end: bool) -> None:  # noqa: FBT001
        stream = self.some(which, lambda _, __, runtime: runtime.may_send and runtime.headers_sent)
        if stream is not None:
            self.model.runtime.send_data(stream, prefixed(b"r" * size), padding=padding, end=end)

    @rule(which=st.integers(0, 99), code=st.sampled_from([0, 0, 5]), cut=SHORT)
    def trailers(self, which: int, code: int, cut: int) -> None:
        stream = self.some(which, lambda _, __, runtime: runtime.may_send and runtime.headers_sent)
        if stream is not None:
            self.model.runtime.send_headers(stream, [(b"grpc-status", b"%d" % code)], end=True, cut=cut)

    @rule(which=st.integers(0, 99), client=st.booleans())
    def reset(self, which: int, client: bool) -> None:  # noqa: FBT001
        def fits(_number: int, one: Stream, other: Stream) -> bool:
            mine = one if client else other
            return not (mine.reset or mine.reset_by_other or (mine.ended and mine.over))

        number = self.some(which, fits)
        if number is not None:
            self.end(client).send_reset(number)

    @rule(client=st.booleans(), which=st.none() | st.integers(0, 99), size=st.integers(1, 100_000))
    def grant(self, client: bool, which: int | None, size: int) -> None:  # noqa: FBT001
        number = 0 if which is None else self.some(which, lambda *_: True)
        if number is not None:
            self.end(client).grant(number, size)

    @rule(
        client=st.booleans(),
        window=st.none() | WINDOWS,
        other=st.sampled_from([[], [(3, 100)], [(5, 1 << 15)], [(99, 1)]]),
    )
    def announce(self, client: bool, window: int | None, other: list[tuple[int, int]]) -> None:  # noqa: FBT001
        end = self.end(client)
        if len(end.announced) < MAX_UNACKNOWLEDGED:
            end.announce([*other, *([] if window is None else [(INITIAL, window)])])

    @rule(client=st.booleans())
    def acknowledge(self, client: bool) -> None:  # noqa: FBT001
        end = self.end(client)
        if end.unanswered:
            end.answer_settings()

    @rule(client=st.booleans(), kind=st.sampled_from([2, 6, 10, 77]))
    def chatter(self, client: bool, kind: int) -> None:  # noqa: FBT001
        self.end(client).feed(frame(kind, 0, 0, b"12345678"))

    @precondition(lambda self: self.gates)
    @rule(which=st.integers(0, 99))
    def finish_waiting(self, which: int) -> None:
        gate = self.gates.pop(which % len(self.gates))
        if not gate.done():
            gate.set_result(None)
        self.turn()

    @rule()
    def turn(self) -> None:
        self.loop.run_until_complete(asyncio.sleep(0))
        self.model.deliver()

    @invariant()
    def balanced(self) -> None:
        self.model.check()


Links.TestCase.settings = examples(100, steps=60)
TestValidFramesInAnyOrder = Links.TestCase


# --- What is not valid.


def fresh() -> Link:
    names = {"same": hooks.same, "grow": hooks.grow, "refuse": hooks.refuse, "slow": hooks.slow, "own": hooks.own}
    table = {f"/{name}/{method}": hook for name, hook in names.items() for method in ("Echo", "Fail", "Large", "Slow")}
    return Link(opener({**hooks.HOOKS, **table}), clock=lambda: 0.0)


def recorded() -> list[tuple[bool, bytes]]:
    return [(from_client, base64.b64decode(data)) for from_client, data in json.loads(RECORDING.read_text())]


class Watched:
    """A link, what it has said, and whether it has ended itself."""

    def __init__(self) -> None:
        self.link = fresh()
        self.to_client, self.to_runtime = bytearray(), bytearray()
        self.broken = False
        self.fed = 0

    def feed(self, from_client: bool, data: bytes) -> None:  # noqa: FBT001
        self.fed += len(data)
        try:
            (self.link.from_client if from_client else self.link.from_runtime)(data)
        except ProtocolError:
            self.broken = True
        self.collect()
        self.check_bounds()

    def collect(self) -> None:
        for side, said in ((self.link.client, self.to_client), (self.link.runtime, self.to_runtime)):
            said.extend(b"".join(side.out))
            side.out.clear()

    def check_bounds(self) -> None:
        """What the link keeps is bounded by its limits, and by what has come."""
        link = self.link
        for direction in (link.requests.direction, link.replies.direction):
            assert len(direction._tail) <= direction.target.max_frame + frames.HEADER_SIZE
            assert sum(map(len, direction.block.frames)) <= MAX_BLOCK_BYTES + 2 * direction.target.max_frame
        for side in (link.client, link.runtime):
            assert 0 <= side.relayed_bytes <= max(0, side.window + side.lead) or self.broken
            assert len(side._announced) <= MAX_UNACKNOWLEDGED
        assert len(link.dead) <= MAX_DEAD
        assert 0 <= link.held_bytes <= self.fed
        assert link.requests.decoder.size <= MAX_CAPACITY
        assert link.replies.headers.decoder.size <= MAX_CAPACITY

    async def follow_up(self, check: Callable[[int], None]) -> None:
        """If the link has not ended, a call on it works, and both header tables are in step with what went out."""
        await asyncio.sleep(0)
        link = self.link
        idle = (not direction._tail and direction.block.stream is None for direction in self.directions)
        if not self.broken and link.requests._greeting is None and all(idle) and link.requests.last_stream < 1 << 20:
            number = link.requests.last_stream + (2 if link.requests.last_stream & 1 else 1)
            for side in (link.client, link.runtime):  # whatever was damaged, there is window again
                side.window, side.lead = max(side.window, 100_000), 0
            self.feed(True, opening(number, b"/pass") + frame(frames.DATA, frames.END_STREAM, number, prefixed(b"x")))
            self.feed(False, reply(number, b"y"))
            assert not self.broken
            check(number)
        link.closed()
        assert (link.live, link.watchers, link.holding, link.held_bytes) == ({}, {}, 0, 0)

    @property
    def directions(self) -> tuple:
        return self.link.requests.direction, self.link.replies.direction

    def check_reply(self, number: int) -> None:
        """The client's table is never out of step, whatever the runtime's was like."""
        client = Reader(from_client=False, strict=False)
        client.read([bytes(self.to_client)])
        got = client.streams[number]
        assert (got.data[-6:], got.ended) == (prefixed(b"y"), True)

    def check_call(self, number: int) -> None:
        """Both peers read the call."""
        self.check_reply(number)
        runtime = Reader(from_client=True, max_table=self.link.requests.decoder.allowed)
        runtime.read([bytes(self.to_runtime)])
        assert runtime.streams[number].data == prefixed(b"x")
        table = runtime.decoder.header_table.dynamic_entries
        assert [tuple(entry) for entry in table] == list(reversed(self.link.requests.decoder.entries))


def run(conversation: Callable[[Watched], None], *, damaged: bool = False) -> None:
    """With `damaged` bytes a runtime's own tables may be wrong: it then ends the connection itself."""

    async def main() -> None:
        watched = Watched()
        conversation(watched)
        await watched.follow_up(watched.check_reply if damaged else watched.check_call)

    with capture_logs():
        asyncio.run(main())


def split(data: bytes, cuts: Iterator[int]) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        size = next(cuts)
        yield data[at : at + size]
        at += size


CUTS = st.lists(st.integers(1, 60) | st.integers(1, 20_000), min_size=1, max_size=30)


@examples(150)
@given(CUTS)
def test_where_the_bytes_are_cut_makes_no_difference(cuts):
    said = []
    for sizes in ([1 << 30], cuts):

        def conversation(watched: Watched, sizes: list[int] = sizes) -> None:
            endless = cycle(sizes)
            for from_client, data in recorded():
                for piece in split(data, endless):
                    watched.feed(from_client, piece)
            assert not watched.broken
            said.append((bytes(watched.to_client), bytes(watched.to_runtime)))

        run(conversation)
    assert said[0] == said[1]


DAMAGE = st.lists(
    st.tuples(
        st.integers(0, 1 << 16),
        st.sampled_from(["flip", "drop", "insert", "repeat", "swap"]),
        st.integers(0, 255),
        st.integers(1, 40),
    ),
    min_size=1,
    max_size=8,
)


def damaged(pieces: list[tuple[bool, bytes]], damage: list[tuple[int, str, int, int]]) -> list[tuple[bool, bytes]]:
    for place, how, byte, size in damage:
        which = place % len(pieces)
        from_client, data = pieces[which]
        at = place * 7919 % (len(data) + 1)
        if how == "flip":
            data = data[:at] + bytes((byte,)) + data[at + 1 :]
        elif how == "drop":
            data = data[:at] + data[at + size :]
        elif how == "insert":
            data = data[:at] + bytes((byte,)) * size + data[at:]
        elif how == "repeat":
            data = data[:at] + data[max(0, at - size) : at] + data[at:]
        pieces[which] = from_client, data
        if how == "swap":
            pieces[which], pieces[which - 1] = pieces[which - 1], pieces[which]
    return pieces


@examples(150)
@given(damage=DAMAGE, cuts=CUTS)
def test_a_damaged_conversation_is_refused_or_survived(damage, cuts):
    def conversation(watched: Watched) -> None:
        endless = cycle(cuts)
        for from_client, data in damaged(recorded(), damage):
            for piece in split(data, endless):
                if not watched.broken:
                    watched.feed(from_client, piece)

    run(conversation, damaged=True)


BLOCKS = st.sampled_from(
    [b"\x83\x86\x44\x05/same", b"\x88", b"\x40\1a\1b", b"\xbe", b"\x20", b"\x0f\x21\x01\x30", b"\x82\x84"]
)
FRAMES = st.lists(
    st.tuples(
        st.booleans(),
        st.sampled_from([0, 0, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 20]),
        st.sampled_from([0, 1, 4, 5, 5, 8, 0x20]) | st.integers(0, 255),
        st.sampled_from([0, 1, 1, 3, 3, 5, 7, 9, 2, 1 << 31 | 1]),
        BLOCKS | st.binary(max_size=12) | st.integers(0, 1 << 31).map(lambda size: size.to_bytes(4, "big")),
    ),
    max_size=60,
)


@examples(150)
@given(FRAMES)
def test_any_frames_are_refused_or_survived(sequence):
    def conversation(watched: Watched) -> None:
        watched.feed(True, GREETING)
        watched.feed(False, settings_frame() + ANSWERED)
        for from_client, kind, flags, stream, payload in sequence:
            if not watched.broken:
                watched.feed(from_client, frame(kind, flags, stream, payload))

    run(conversation, damaged=True)


@examples(150)
@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=200)), max_size=10), st.booleans())
def test_noise_is_refused_or_survived(pieces, greeted):
    def conversation(watched: Watched) -> None:
        if greeted:
            watched.feed(True, GREETING)
        for from_client, data in pieces:
            if not watched.broken:
                watched.feed(from_client, data)

    run(conversation, damaged=True)
