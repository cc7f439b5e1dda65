"""Runtimes that come and go, relays that are replaced, peers that misbehave."""

import asyncio
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import psutil
import pytest

from cri_resmgr.wire.frames import (
    DATA,
    END_STREAM,
    PREFACE,
    SETTINGS,
    SETTINGS_INITIAL_WINDOW_SIZE,
    frame,
    window_update,
)
from cri_resmgr.wire.grpc import prefixed
from relay.conftest import DEADLINE_S, OPTIONS, eventually
from relay.raw import opening, settings

MIB = 1 << 20


def connected(path: str) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(DEADLINE_S)
    client.connect(path)
    return client


def read_to_the_end(client: socket.socket) -> bytes:
    parts = []
    while data := client.recv(1 << 16):
        parts.append(data)
    return b"".join(parts)


def test_a_runtime_that_is_away_is_unavailable_and_its_return_is_noticed(own_wire):
    away = Path(own_wire.runtime_path + ".away")
    Path(own_wire.runtime_path).rename(away)
    with own_wire.channel() as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/t/Echo")(b"", timeout=5)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert own_wire.relay.kept()["links_refused"] >= 1
    away.rename(own_wire.runtime_path)
    with own_wire.channel() as channel:
        assert channel.unary_unary("/t/Echo")(b"k", timeout=DEADLINE_S, wait_for_ready=True) == b"echo:k"


def test_a_runtime_that_dies_takes_its_calls_with_it_and_no_others(own_wire):
    with own_wire.channel() as channel:
        calls = [channel.unary_unary(f"/{service}/Slow").future(b"1000") for service in ("t", "hook") for _ in range(5)]
        eventually(lambda: own_wire.stats()["started"] == 10, "all to start")
        own_wire.runtime.stop(signal.SIGKILL)
        for call in calls:
            assert call.exception(DEADLINE_S).code() == grpc.StatusCode.UNAVAILABLE
        own_wire.restart_runtime()
        assert channel.unary_unary("/hook/Echo")(b"k", timeout=DEADLINE_S, wait_for_ready=True) == b"echo:k"
    eventually(lambda: own_wire.relay.kept()["links_open"] == 0, "links to end")
    assert own_wire.relay.kept()["calls_held"] == 0


def test_a_runtime_that_stops_gracefully_finishes_its_calls(own_wire):
    with own_wire.channel() as channel:
        calls = [channel.unary_unary(f"/{service}/Slow").future(b"1") for service in ("t", "hook") for _ in range(5)]
        eventually(lambda: own_wire.stats()["started"] == 10, "all to start")
        own_wire.runtime.tell(signal.SIGTERM)
        assert [call.result(DEADLINE_S) for call in calls] == [b"slept"] * 10
        assert own_wire.runtime.wait() == 0
        own_wire.restart_runtime()
        assert channel.unary_unary("/hook/Echo")(b"k", timeout=DEADLINE_S, wait_for_ready=True) == b"echo:k"


async def test_a_relay_is_replaced_under_load_without_a_failed_call(own_wire):
    """16 callers that repeat nothing; three successors take over the path."""
    done, stop = 0, False

    async def caller(channel: grpc.aio.Channel, number: int) -> None:
        nonlocal done
        service = ("t", "hook", "grow", "shrink")[number % 4]
        while not stop:
            await channel.unary_unary(f"/{service}/Echo")(b"q" * (number * 1000), timeout=DEADLINE_S)
            done += 1

    # At a GOAWAY C-core ends calls that it has not sent yet, and sends them elsewhere unless that is forbidden.
    async with grpc.aio.insecure_channel(f"unix:{own_wire.path}", options=OPTIONS) as channel:
        callers = [asyncio.create_task(caller(channel, number)) for number in range(16)]
        slow = [asyncio.create_task(one_slow(channel, service)) for service in ("t", "hook")]
        for _ in range(3):
            await asyncio.sleep(0.5)
            before, old = done, own_wire.relay
            await asyncio.to_thread(own_wire.restart_relay)
            old.tell(signal.SIGTERM)
            assert await asyncio.to_thread(old.wait) == 0

            assert done > before
        stop = True
        await asyncio.gather(*callers, *slow)


async def one_slow(channel: grpc.aio.Channel, service: str) -> None:
    assert await channel.unary_unary(f"/{service}/Slow")(b"2", timeout=DEADLINE_S) == b"slept"


def test_a_drain_waits_for_large_replies_and_not_for_endless_streams(own_wire):
    with own_wire.channel() as channel:
        stream = channel.unary_stream("/t/Events")(b"")
        next(stream)
        slow = channel.unary_unary("/hook/Slow").future(b"1")
        large = channel.unary_unary("/hook/Large").future(b"%d" % (20 * MIB))
        eventually(lambda: own_wire.stats()["started"] == 1, "the slow one to start")
        own_wire.relay.tell(signal.SIGTERM)
        assert slow.result(DEADLINE_S) == b"slept"
        assert large.result(DEADLINE_S) == bytes(20 * MIB)
        with pytest.raises(grpc.RpcError) as caught:
            list(stream)
        assert caught.value.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}
    assert own_wire.relay.wait() == 0


def test_a_drain_ends_although_a_call_does_not(own_wire):
    with own_wire.channel() as channel:
        call = channel.unary_unary("/hook/Slow").future(b"1000")
        eventually(lambda: own_wire.stats()["started"] == 1, "it to start")
        own_wire.relay.tell(signal.SIGTERM)
        assert call.exception(DEADLINE_S).code() == grpc.StatusCode.UNAVAILABLE
    assert own_wire.relay.wait() == 0


@pytest.mark.parametrize(
    "junk",
    [b"GET / HTTP/1.0\r\n\r\n", PREFACE + b"\xff" * 100, PREFACE + frame(SETTINGS, 0, 0, b"abc"), os.urandom(5000)],
    ids=["http1", "ones", "settings", "noise"],
)
def test_garbage_ends_its_own_connection_only(wire, junk):
    with wire.channel() as channel:
        assert channel.unary_unary("/hook/Echo")(b"k") == b"echo:k"
        broken = wire.relay.kept()["links_broken"]
        with connected(wire.path) as client:
            client.sendall(junk)
            read_to_the_end(client)
        assert wire.relay.kept()["links_broken"] == broken + 1
        assert channel.unary_unary("/hook/Echo")(b"k") == b"echo:k"


@pytest.mark.parametrize("said", [b"", b"PRI", PREFACE + settings() + opening(1, b"/hook/Echo")])
def test_a_client_that_leaves_early_leaves_nothing_behind(wire, said):
    with connected(wire.path) as client:
        client.sendall(said)
        eventually(lambda: wire.relay.kept()["links_open"] >= 1, "the link")


@pytest.mark.parametrize("said", [b"", b"PRI"])
def test_a_client_that_says_no_more_is_answered_with_the_end(wire, said):
    with connected(wire.path) as client:
        client.sendall(said)
        client.shutdown(socket.SHUT_WR)
        read_to_the_end(client)


def test_a_client_that_does_not_read_costs_a_bounded_amount(own_wire):
    """It grants any window and then does not read its socket: the relay stops reading the runtime."""
    with own_wire.channel() as channel:
        channel.unary_unary("/t/Echo")(b"warm")
    process = psutil.Process(own_wire.relay.pid)
    before = process.memory_info().rss
    size, streams = 30 * MIB, range(1, 21, 2)
    request = frame(DATA, END_STREAM, 0, prefixed(b"%d" % size))
    with connected(own_wire.path) as client:
        client.sendall(
            PREFACE + settings((SETTINGS_INITIAL_WINDOW_SIZE, 0x7FFFFFFF)) + window_update(0, 0x7FFF0000 - 65_535)
        )
        for stream in streams:
            client.sendall(opening(stream, b"/t/Large") + request[:5] + stream.to_bytes(4, "big") + request[9:])
        sizes = []
        while len(sizes) < 5 or len(set(sizes[-5:])) > 1:  # until it grows no more
            time.sleep(0.1)
            sizes.append(process.memory_info().rss)
        assert max(sizes) - before < 12 * MIB
        got = 0
        while got < len(streams) * size:
            got += len(client.recv(MIB))
    assert process.memory_info().rss - before < 12 * MIB


def test_no_descriptor_and_no_memory_is_lost(own_wire):
    def some_calls(count: int) -> None:
        for number in range(count):
            with own_wire.channel() as channel:
                assert channel.unary_unary("/hook/Echo")(b"k") == b"echo:k"
                with pytest.raises(grpc.RpcError):
                    channel.unary_unary("/refuse/Echo")(b"k")
            if number % 5 == 0:
                connected(own_wire.path).close()
        eventually(lambda: own_wire.relay.kept()["links_open"] == 0, "links to end")

    some_calls(20)
    process = psutil.Process(own_wire.relay.pid)
    descriptors, memory = process.num_fds(), process.memory_info().rss
    some_calls(150)
    assert process.num_fds() <= descriptors
    assert process.memory_info().rss - memory < 4 * MIB
    assert own_wire.relay.kept()["links"] == 0


def test_many_connections_at_once_all_get_through(wire):
    barrier = threading.Barrier(50)

    def one(number: int) -> bytes:
        barrier.wait(DEADLINE_S)
        with wire.channel() as channel:
            return channel.unary_unary("/hook/Echo")(b"%d" % number, timeout=DEADLINE_S, wait_for_ready=True)

    with ThreadPoolExecutor(50) as pool:
        assert list(pool.map(one, range(50))) == [b"echo:%d" % number for number in range(50)]
