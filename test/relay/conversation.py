"""A client and a runtime, strict both, with a link in between: bytes cut anywhere, nothing waits for a clock."""

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping
from itertools import cycle

from h2.events import RequestReceived

from cri_resmgr.relay.counters import Counters
from cri_resmgr.relay.dead import Dead
from cri_resmgr.relay.held import Limits
from cri_resmgr.relay.hooks import Hook, TapFor
from cri_resmgr.relay.link import Link
from cri_resmgr.relay.opening import opener
from cri_resmgr.wire.grpc import prefixed
from relay.hooks import HELD_OVERLOADED, HOOKS, OVERLOADED, Outcome, reply_of
from relay.peers import Fields, Peer

REPLY_HEAD: Fields = [(b":status", b"200"), (b"content-type", b"application/grpc")]
OK_TRAILERS: Fields = [(b"grpc-status", b"0"), (b"grpc-message", b""), (b"x-trailer-bin", b"AP8")]
IDLE_ROUNDS = 25  # more than the slowest hook waits
SMALLEST_WINDOW = 16_000  # what a peer has at rest, whatever has gone through

Reply = Callable[[bytes, bytes], Outcome]


def request_fields(path: bytes, extra: Fields = []) -> Fields:  # noqa: B006 - never changed
    return [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path),
        (b":authority", b"localhost"),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
        *extra,
    ]


class Conversation:
    """`cuts` are the sizes of what is fed at a time, in turn; `reply` is what the runtime says to (path, request)."""

    def __init__(
        self,
        hooks: Mapping[str, Hook] = HOOKS,
        *,
        cuts: tuple[int, ...] = (1 << 20,),
        limits: Limits = Limits(),  # noqa: B008 - frozen
        tap_for: TapFor = lambda _path: None,
        reply: Reply = reply_of,
        seed: int = 0,
        clock: Callable[[], float] = lambda: 0.0,
        endless: tuple[str, ...] = (),
    ) -> None:
        self.link = Link(opener(hooks, tap_for, limits=limits), clock=clock, counters=Counters(endless=endless))
        self.dice = random.Random(seed)
        self.client, self.runtime = (Peer(client=client, dice=self.dice) for client in (True, False))
        self.silent: set[int] = set()  # streams that the runtime does not answer by itself
        self.requests: dict[int, Outcome] = {}  # stream -> path and message, as the runtime got them
        self._reply = reply
        self._cuts = cycle(cuts)

    def call(self, path: bytes, body: bytes | None = b"", extra: Fields = []) -> int:  # noqa: B006 - never changed
        """Begin a call; without a body only its headers go."""
        return self.client.open(request_fields(path, extra), None if body is None else prefixed(body))

    def result(self, stream: int) -> Outcome:
        """Message and status as the client has them."""
        got = self.client.incoming[stream]
        assert got.ended, f"stream {stream} has no end: {got}"
        assert got.whole
        return got.message, got.status

    def move(self) -> bool:
        """Everything that is ready goes one hop in each direction; False if there was nothing."""
        moved = self._feed(self.client, self.link.from_client)
        moved = self._deliver(self.link.runtime.out, self.runtime) or moved
        self._answer()
        if self.dice.random() < 0.7 or not moved:
            self.runtime.grant()
        moved = self._feed(self.runtime, self.link.from_runtime) or moved
        moved = self._deliver(self.link.client.out, self.client) or moved
        if self.dice.random() < 0.7 or not moved:
            self.client.grant()
        return moved

    async def settle(self, rounds: int = 100_000) -> None:
        """Go on until nothing moves any more."""
        idle = 0
        for _ in range(rounds):
            idle = 0 if self.move() else idle + 1
            await asyncio.sleep(0)
            if idle > IDLE_ROUNDS:
                return
        raise AssertionError("the conversation never comes to rest")

    async def check_rest(self) -> None:
        """Everything is accounted for, nothing is kept, and one more call of each kind works."""
        self.check_balance()
        self.check_nothing_kept()
        streams = {self.call(path, b"last"): path for path in (b"/pass", b"/same")}
        await self.settle()
        for stream in streams:
            assert self.result(stream) == self._reply(b"/pass", b"last")
        self.check_balance()

    def check_balance(self) -> None:
        """At rest each sender's window is ours and `lead`, and each receiver's is ours."""
        link = self.link
        assert not self.client.sending
        assert not self.runtime.sending
        for sender, side, receiver in (
            (self.client, link.runtime, self.runtime),
            (self.runtime, link.client, self.client),
        ):
            assert not side.waiting
            assert sender.h2.outbound_flow_control_window - side.window == side.lead
            assert receiver.h2.inbound_flow_control_window == side.window
            assert sender.h2.outbound_flow_control_window > SMALLEST_WINDOW

    def check_nothing_kept(self) -> None:
        """No call is left, but for the streams that the runtime has never ended."""
        link = self.link
        assert not link.live
        assert (link.holding, link.held_bytes, link.counters.calls_held) == (0, 0, 0)
        assert {type(watcher) for watcher in link.watchers.values()} <= {Dead}
        assert len(link.watchers) <= len(link.dead)
        assert not link.busy

    def _feed(self, peer: Peer, feed: Callable[[bytes], None]) -> bool:
        data = peer.output()
        for piece in self._pieces(data):
            feed(piece)
        return bool(data)

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        at = 0
        while at < len(data):
            size = next(self._cuts)
            yield data[at : at + size]
            at += size

    def _deliver(self, out: list[bytes], peer: Peer) -> bool:
        data = b"".join(out)
        out.clear()
        if data:
            opened = [event.stream_id for event in peer.receive(data) if isinstance(event, RequestReceived)]
            for stream in opened:
                self._answer_early(stream)
        return bool(data)

    def _answer_early(self, stream: int) -> None:
        got = self.runtime.incoming[stream]
        if got.headers[b":path"] in (OVERLOADED, HELD_OVERLOADED) and got.reset is None:
            self.silent.add(stream)
            self.runtime.status_only(stream, [*REPLY_HEAD, (b"grpc-status", b"8")])

    def _answer(self) -> None:
        for stream, got in self.runtime.incoming.items():
            if got.ended and got.reset is None and stream not in self.requests:
                path = got.headers[b":path"]
                self.requests[stream] = path, got.message
                assert got.whole, "a request arrives as one message or not at all"
                if stream not in self.silent:
                    self.answer(stream, *self._reply(path, got.message))

    def answer(self, stream: int, message: bytes, code: int = 0) -> None:
        """The runtime's answer: a message, or with a code an error with that text."""
        if code:
            status = [(b"grpc-status", b"%d" % code), (b"grpc-message", message)]
            self.runtime.status_only(stream, [*REPLY_HEAD, *status, (b"grpc-status-details-bin", b"CAUS")])
        else:
            self.runtime.answer(stream, REPLY_HEAD, prefixed(message), OK_TRAILERS)
