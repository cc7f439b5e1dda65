"""What gRPC peers see through the relay, compared with what they see without it."""

import asyncio
import json
import os

import grpc
import pytest

from relay.conftest import DEADLINE_S, OPTIONS, eventually
from relay.served import GROWTH

MIB = 1 << 20
HELD_OR_NOT = pytest.mark.parametrize("service", ["t", "hook"])


@HELD_OR_NOT
def test_metadata_reaches_the_runtime_and_comes_back(wire, service):
    metadata = (("x-a", "b"), ("x-a", "c"), ("y-bin", b"\x01\x02\xff"), ("x-long", "v" * 5000))
    with wire.channel() as channel, wire.channel(direct=True) as direct:
        reply, call = channel.unary_unary(f"/{service}/Echo").with_call(b"hello", metadata=metadata)
        assert reply == b"echo:hello"
        assert {("x-initial", "i"), ("initial-bin", b"\0\1")} <= set(call.initial_metadata())
        assert {("x-trailing", "t"), ("trailing-bin", b"\x00\xff")} <= set(call.trailing_metadata())
        through, past = (
            json.loads(one.unary_unary(f"/{service}/Meta")(b"", metadata=metadata)) for one in (channel, direct)
        )
        assert through == past
        assert ["y-bin", "0102ff"] in through


@HELD_OR_NOT
def test_an_error_is_the_runtimes_own(wire, service):
    with wire.channel() as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(f"/{service}/Fail")(b"thing", timeout=DEADLINE_S)
    error = caught.value
    assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, "no \u20ac such thing")
    assert {("grpc-status-details-bin", b"\x08\x05det\xff"), ("x-trailing", "t")} <= set(error.trailing_metadata())


@HELD_OR_NOT
def test_an_unknown_method_is_unknown_to_the_runtime(wire, service):
    with wire.channel() as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(f"/{service}/Nope")(b"", timeout=DEADLINE_S)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


@HELD_OR_NOT
def test_a_deadline_ends_a_call_in_the_runtime(wire, service):
    before = wire.stats()["cancelled"]
    with wire.channel() as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(f"/{service}/Slow")(b"1000", timeout=0.3)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    eventually(lambda: wire.stats()["cancelled"] > before, "the runtime to stop working on it")


def test_a_deadline_ends_a_call_in_its_hook_and_the_runtime_never_sees_it(wire):
    before = wire.stats()["calls"]
    with wire.channel() as channel:
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary("/wait/Echo")(b"1", timeout=0.2)
        assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert channel.unary_unary("/wait/Echo")(b"2") == b"echo:2"  # as long as the first would have waited
    assert wire.stats()["calls"] == before + 1


@HELD_OR_NOT
def test_cancellations_reach_the_runtime(wire, service):
    before = wire.stats()
    with wire.channel() as channel:
        calls = [channel.unary_unary(f"/{service}/Slow").future(b"1000") for _ in range(20)]
        eventually(lambda: wire.stats()["started"] == before["started"] + 20, "all to start")
        for call in calls:
            call.cancel()
        eventually(lambda: wire.stats()["cancelled"] == before["cancelled"] + 20, "all to be cancelled")
        assert channel.unary_unary("/hook/Echo")(b"z") == b"echo:z"


def test_an_endless_stream_passes_until_it_is_cancelled(wire):
    before = wire.stats()["streams_ended"]
    with wire.channel() as channel:
        stream = channel.unary_stream("/t/Events")(b"")
        assert [next(stream) for _ in range(500)] == [b"e%d" % number for number in range(500)]
        stream.cancel()
        eventually(lambda: wire.stats()["streams_ended"] > before, "the runtime to see it")


def test_a_stream_both_ways_passes(wire):
    with wire.channel() as channel:
        sent = [b"%d" % number * 1000 for number in range(200)]
        assert list(channel.stream_stream("/t/Chat")(iter(sent))) == [b"echo:" + message for message in sent]


@HELD_OR_NOT
def test_large_replies_and_requests_pass(wire, service):
    with wire.channel() as channel:
        assert channel.unary_unary(f"/{service}/Large")(b"%d" % (20 * MIB)) == bytes(20 * MIB)
        for size in (8, 32):
            body = os.urandom(MIB) * size
            assert channel.unary_unary(f"/{service}/Echo")(body) == b"echo:" + body


def test_messages_grow_and_shrink_around_the_windows(wire):
    with wire.channel() as channel:
        for size in (0, 1, 16_379, 16_384, 65_530, 65_535, 65_536, 300_000, 5 * MIB):
            body = b"q" * size
            grown = channel.unary_unary("/grow/Echo")(body)
            assert grown == b"echo:" + body + b"+" * GROWTH + b"-" * GROWTH
            assert channel.unary_unary("/shrink/Echo")(body) == b"echo:" + body[: size // 10]
            assert channel.unary_unary("/t/Echo")(body) == b"echo:" + body


async def mixed_call(channel: grpc.aio.Channel, number: int) -> None:
    """One call of the mix."""
    service = ("t", "hook", "grow", "shrink", "refuse", "fail", "cancel")[number % 7]
    if service == "refuse":
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/refuse/Echo")(b"%d" % number, timeout=DEADLINE_S)
        assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert caught.value.details() == f"no: \u20ac {number}"
        assert ("grpc-status-details-bin", b"\x08\x09") in tuple(caught.value.trailing_metadata())
    elif service == "fail":
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/hook/Fail")(b"%d" % number, timeout=DEADLINE_S)
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    elif service == "cancel":
        call = channel.unary_unary(f"/{('t', 'hook', 'wait')[number % 3]}/Slow")(b"1000", timeout=DEADLINE_S)
        await asyncio.sleep(number % 10 / 1000)
        call.cancel()
    else:
        await sized_call(channel, service, number)


async def sized_call(channel: grpc.aio.Channel, service: str, number: int) -> None:
    size = number * 997 % 90_000
    metadata = ((f"x-k{number % 40}", f"v{number}"),)
    timeout = DEADLINE_S + number / 1000
    reply = await channel.unary_unary(f"/{service}/Echo")(b"q" * size, metadata=metadata, timeout=timeout)
    body = {"grow": b"q" * size + b"+" * GROWTH + b"-" * GROWTH, "shrink": b"q" * (size // 10)}
    assert reply == b"echo:" + body.get(service, b"q" * size)


async def test_200_callers_mix_all_of_it_on_one_connection(wire):
    async with grpc.aio.insecure_channel(f"unix:{wire.path}", options=OPTIONS) as channel:
        for turn in range(4):
            await asyncio.gather(*[mixed_call(channel, turn * 200 + number) for number in range(200)])


def test_a_hook_that_waits_holds_up_no_other_call(wire):
    with wire.channel() as channel:
        waiting = channel.unary_unary("/wait/Echo").future(b"1")
        done = 0
        while not waiting.done():
            channel.unary_unary("/hook/Echo")(b"2")
            done += 1
        assert waiting.result() == b"echo:1"
        assert done > 1
