"""Random conversations through a link, between two strict HTTP/2 endpoints.

Calls of every kind at every size, cut anywhere, under windows and header tables that change meanwhile, given up by
either side at any time.  Each reply is compared, and at the end everything must be accounted for.
"""

import asyncio
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from relay.conversation import Conversation
from relay.effort import examples
from relay.hooks import PATHS, outcome

SIZES = st.one_of(
    st.sampled_from([0, 1, 16_379, 16_380, 65_530, 65_531, 200_000]), st.integers(0, 5_000), st.integers(0, 200_000)
)
WINDOWS = st.sampled_from([100, 1_000, 5_000, 16_384, 30_000, 65_535, 200_000, 1 << 20])
TABLES = st.sampled_from([0, 100, 4_096, 8_192])
CUTS = st.lists(st.sampled_from([1, 2, 7, 9, 10, 50, 1_000, 20_000, 300_000]), min_size=1, max_size=6).map(
    lambda cuts: (*cuts, 1_000)
)
CANCEL = 8


@dataclass(frozen=True)
class Call:
    path: bytes
    size: int
    metadata: int


@dataclass(frozen=True)
class Reset:
    """Of one of the calls so far, by either side."""

    by_client: bool
    which: int


@dataclass(frozen=True)
class Announce:
    by_client: bool
    window: int | None
    table: int | None


@dataclass(frozen=True)
class Move:
    times: int


STEPS = st.lists(
    st.one_of(
        st.builds(Call, st.sampled_from(PATHS), SIZES, st.integers(0, 40)),
        st.builds(Call, st.sampled_from(PATHS), SIZES, st.integers(0, 40)),
        st.builds(Reset, st.booleans(), st.integers(0, 99)),
        st.builds(Announce, st.booleans(), st.none() | WINDOWS, st.none() | TABLES),
        st.builds(Move, st.integers(1, 6)),
    ),
    min_size=1,
    max_size=40,
)


class Run:
    """Takes the steps, and knows what must come of them."""

    def __init__(self, cuts: tuple[int, ...], seed: int) -> None:
        self.net = Conversation(cuts=cuts, seed=seed)
        self.calls: dict[int, Call] = {}
        self.given_up: set[int] = set()
        self.ended_by_runtime: set[int] = set()

    async def take(self, step: Call | Reset | Announce | Move) -> None:
        net = self.net
        match step:
            case Call():
                fields = [
                    (b"grpc-timeout", b"%du" % (10_000_000 + step.size)),
                    (b"x-%d" % (step.metadata % 7), b"v" * step.metadata),
                ]
                self.calls[net.call(step.path, self.body(step), fields)] = step
            case Announce():
                peer = net.client if step.by_client else net.runtime
                if peer.acknowledged:
                    peer.announce(window=step.window, table=step.table)
            case Move():
                for _ in range(step.times):
                    net.move()
                    await asyncio.sleep(0)
            case Reset() if self.calls:
                self.reset(step)

    def reset(self, step: Reset) -> None:
        stream = list(self.calls)[step.which % len(self.calls)]
        if step.by_client:
            if self.net.client.reset(stream):
                self.given_up.add(stream)
        elif stream in self.net.runtime.incoming and self.net.runtime.reset(stream, CANCEL):
            self.ended_by_runtime.add(stream)

    @staticmethod
    def body(call: Call) -> bytes:
        return bytes([call.size % 251]) * call.size

    def check(self) -> None:
        for stream, call in self.calls.items():
            if stream in self.given_up:
                continue
            got = self.net.client.incoming[stream]
            if stream in self.ended_by_runtime and got.reset == CANCEL and not got.ended:
                continue
            assert self.net.result(stream) == outcome(call.path, self.body(call)), call


@examples(80)
@given(steps=STEPS, cuts=CUTS, seed=st.integers(0, 1 << 16))
def test_every_reply_is_right_and_everything_is_accounted_for(steps, cuts, seed):
    async def main() -> None:
        run = Run(cuts, seed)
        await run.net.settle()  # greetings
        for step in steps:
            await run.take(step)
        await run.net.settle()
        run.check()
        await run.net.check_rest()

    with capture_logs():  # of the hooks that crash
        asyncio.run(main())
