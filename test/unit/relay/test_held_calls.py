"""Intercepted calls between strict HTTP/2 endpoints: what client and runtime get."""

import asyncio

import pytest

from cri_resmgr.relay.held import Limits
from cri_resmgr.relay.hooks import Call, Failed, Gone, Refused
from cri_resmgr.wire.frames import reset
from relay.conversation import REPLY_HEAD, Conversation
from relay.hooks import DETAILS, HOOKS, PATHS, REFUSAL, outcome, same

MIB = 1 << 20
CANCEL, NO_ERROR = 8, 0


@pytest.mark.parametrize("cut", [1, 7, 1 << 20])
async def test_every_kind_of_call_works_however_the_bytes_are_cut(cut):
    net = Conversation(cuts=(cut,))
    streams = {net.call(path, b"x" * 300): path for path in PATHS * 2}
    await net.settle()
    for stream, path in streams.items():
        assert net.result(stream) == outcome(path, b"x" * 300), path
    await net.check_rest()


async def test_a_reply_goes_to_the_client_with_the_runtimes_own_headers_and_trailers():
    net = Conversation()
    stream = net.call(b"/same", b"x")
    await net.settle()
    assert net.client.incoming[stream].headers == dict(REPLY_HEAD)
    assert net.client.incoming[stream].trailers[b"x-trailer-bin"] == b"AP8"


async def test_an_error_reaches_the_client_as_the_runtime_sent_it():
    net = Conversation(reply=lambda _path, _body: (b"bad!" * 9000, 5))
    streams = [net.call(path, b"x") for path in (b"/same", b"/pass")]
    await net.settle()
    for stream in streams:
        fields = net.client.incoming[stream].headers
        assert (fields[b"grpc-status"], fields[b"grpc-status-details-bin"]) == (b"5", b"CAUS")
        assert fields[b"grpc-message"] == b"bad!" * 9000  # 36 KB: CONTINUATION frames
    net.check_balance()
    net.check_nothing_kept()


async def test_an_error_after_headers_and_message_reaches_the_client_whole():
    net = Conversation()
    stream = net.call(b"/same", b"x")
    net.silent.add(stream)
    await net.settle()
    trailers = [(b"grpc-status", b"13"), (b"grpc-message", b"t" * 36_000)]
    net.runtime.answer(stream, [*REPLY_HEAD, (b"x-early", b"1")], b"\0\0\0\0\2hi", trailers)
    await net.settle()
    got = net.client.incoming[stream]
    assert (got.headers[b"x-early"], got.message, got.trailers) == (b"1", b"hi", dict(trailers))
    await net.check_rest()


async def test_a_refusal_carries_status_text_and_details():
    net = Conversation()
    stream = net.call(b"/refuse", b"x")
    await net.settle()
    fields = net.client.incoming[stream].headers
    assert (fields[b":status"], fields[b"content-type"]) == (b"200", b"application/grpc")
    assert fields[b"grpc-message"] == b"no: %E2%82%AC 100%25%0A"
    assert fields[b"grpc-status-details-bin"] == b"CAn/"
    assert (REFUSAL, DETAILS) == ("no: \u20ac 100%\n", b"\x08\x09\xff")
    assert stream not in net.requests
    assert net.runtime.incoming[stream].reset == CANCEL


async def test_a_refusal_with_text_that_is_no_unicode_is_still_an_answer():
    async def hook(call: Call) -> bytes:
        raise Refused(9, "no such file: \udcff")

    net = Conversation({"/x": hook})
    stream = net.call(b"/x")
    await net.settle()
    assert net.result(stream) == (b"", 9)


async def test_1500_refusals_leave_a_right_link_and_a_bounded_table():
    net = Conversation()
    for _ in range(1500):
        net.call(b"/refuse", b"z" * 50)
        net.move()
    await net.settle()
    assert len(net.link.watchers) <= 1000
    assert len(net.link.dead) <= 1000
    await net.check_rest()


async def test_dead_streams_are_forgotten_when_the_runtime_ends_them():
    net = Conversation(HOOKS)
    for stream in [net.call(b"/refuse") for _ in range(5)]:
        net.silent.add(stream)
    while net.link.holding or not net.link.dead:
        net.move()
    streams = list(net.link.dead)
    assert set(net.link.watchers) == set(streams)
    for number, watcher in list(net.link.watchers.items()):
        assert watcher.reply_headers([], end=number % 4 == 1)
        if number % 4 == 3:
            assert watcher.reply_data(b"late", 4, end=True)
    assert not net.link.watchers


async def test_a_refusal_while_the_reply_arrives_swallows_the_rest_of_it():
    gate = asyncio.get_running_loop().create_future()

    async def hook(call: Call) -> bytes:
        await gate
        raise Refused(10, "late")

    net = Conversation({"/x": hook})
    stream = net.call(b"/x", b"q")
    await net.settle()
    gate.set_result(None)
    # The runtime has begun to answer, before it learns of the refusal.
    net.runtime.answer(stream, REPLY_HEAD, b"r" * 50_000, [(b"grpc-status", b"0")])
    early = net.runtime.output()
    await asyncio.sleep(0)
    await net.settle()
    net.link.from_runtime(early)
    await net.settle()
    assert net.result(stream) == (b"", 10)
    await net.check_rest()


async def test_the_runtimes_answer_before_the_request_ends_the_call():
    gate = asyncio.get_running_loop().create_future()
    ended = []

    async def hook(call: Call) -> bytes:
        try:
            await gate
        except asyncio.CancelledError:
            ended.append(call.method)
            raise
        return await call.forward(call.request)

    net = Conversation({"/x": hook})
    stream = net.call(b"/x", b"x")
    await net.settle()
    net.runtime.status_only(stream, [*REPLY_HEAD, (b"grpc-status", b"4")])
    await net.settle()
    assert net.result(stream) == (b"", 4)
    assert ended == ["/x"]
    assert net.runtime.incoming[stream].reset == NO_ERROR
    assert stream not in net.requests
    await net.check_rest()


async def test_an_answer_while_the_request_still_arrives_ends_the_call_and_swallows_the_rest():
    net = Conversation()
    stream = net.call(b"/held-overloaded", b"q" * 60_000)
    first = net.client.output()
    net.link.from_client(first[:20_000])
    net.runtime.receive(b"".join(net.link.runtime.out))
    net.link.runtime.out.clear()
    net.runtime.status_only(stream, [*REPLY_HEAD, (b"grpc-status", b"8")])
    net.link.from_runtime(net.runtime.output())
    sent_before = len(net.link.runtime.out)
    net.link.from_client(first[20_000:])
    late = b"".join(net.link.runtime.out[sent_before:])
    assert b"q" not in late, "nothing of a request follows its reset"
    await net.settle()
    assert net.result(stream) == (b"", 8)
    await net.check_rest()


async def test_an_answer_before_all_of_the_forwarded_request_drops_what_is_left_of_it():
    net = Conversation({"/x": same})
    await net.settle()
    net.runtime.announce(window=1000)
    await net.settle()
    net.runtime.reading = False
    stream = net.call(b"/x", b"q" * 5000)
    await net.settle()
    assert net.link.runtime.waiting
    net.runtime.status_only(stream, [*REPLY_HEAD, (b"grpc-status", b"8")])
    net.runtime.reading = True
    await net.settle()
    assert net.result(stream) == (b"", 8)
    assert net.runtime.incoming[stream].reset == NO_ERROR
    await net.check_rest()


async def test_a_grown_request_of_8_mib_leaves_room_for_90_others():
    net = Conversation(cuts=(100_000,))
    bodies = {net.call(b"/same" if i % 2 else b"/pass", b"%d" % i * 500): b"%d" % i * 500 for i in range(90)}
    large = net.call(b"/grow", b"B" * (8 * MIB))
    await net.settle()
    for stream, body in bodies.items():
        assert net.result(stream) == (b"echo:" + body, 0)
    assert net.result(large) == outcome(b"/grow", b"B" * (8 * MIB))
    await net.check_rest()


@pytest.mark.parametrize("shrunk_to", [100, 1000])
async def test_a_request_goes_on_when_the_runtimes_initial_window_shrinks_under_it(shrunk_to):
    """What was collected is less than half of the old window, but more than all of the new one."""
    net = Conversation()
    stream = net.call(b"/same", None)
    net.move()
    body = b"\0" + (100_000).to_bytes(4, "big") + b"q" * 100_000
    net.client.h2.send_data(stream, body[:16_000])
    await net.settle()
    net.runtime.announce(window=shrunk_to)
    await net.settle()
    net.client.send(stream, body[16_000:])
    await net.settle()
    assert net.result(stream) == (b"echo:" + b"q" * 100_000, 0)
    await net.check_rest()


async def test_a_reply_goes_on_when_the_clients_initial_window_shrinks_under_it():
    net = Conversation()
    stream = net.call(b"/same", b"q")
    net.silent.add(stream)
    await net.settle()
    body = b"\0" + (100_000).to_bytes(4, "big") + b"r" * 100_000
    net.runtime.h2.send_headers(stream, REPLY_HEAD)
    net.runtime.h2.send_data(stream, body[:16_000])
    await net.settle()
    net.client.announce(window=100)
    await net.settle()
    net.runtime.send(stream, body[16_000:], [(b"grpc-status", b"0")])
    await net.settle()
    assert net.result(stream) == (b"r" * 100_000, 0)
    await net.check_rest()


async def test_a_client_that_gives_up_cancels_the_hook_and_tells_the_runtime():
    seen = []

    async def hook(call: Call) -> bytes:
        try:
            return await call.forward(call.request)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    net = Conversation({"/x": hook})
    stream = net.call(b"/x", b"x")
    net.silent.add(stream)
    await net.settle()
    net.client.reset(stream)
    await net.settle()
    assert seen == ["cancelled"]
    assert net.runtime.incoming[stream].reset == CANCEL
    await net.check_rest()


async def test_a_client_that_gives_up_after_the_runtimes_answer_is_not_the_runtimes_business():
    gate = asyncio.get_running_loop().create_future()

    async def hook(call: Call) -> bytes:
        reply = await call.forward(call.request)
        await gate
        return reply

    net = Conversation({"/x": hook})
    stream = net.call(b"/x", b"x")
    await net.settle()
    net.client.reset(stream)
    await net.settle()
    assert net.runtime.incoming[stream].reset is None
    assert gate.cancelled() is False
    await net.check_rest()


async def test_a_hook_that_goes_on_after_its_end_can_forward_nothing():
    raised = []

    async def hook(call: Call) -> bytes:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            try:
                await call.forward(b"undo")
            except RuntimeError as error:
                raised.append(str(error))
        return b"ignored"

    net = Conversation({"/x": hook})
    stream = net.call(b"/x", b"x")
    await net.settle()
    net.client.reset(stream)
    await net.settle()
    assert stream not in net.requests
    assert len(raised) == 1
    assert "/x" in raised[0]
    await net.check_rest()


async def test_a_call_is_forwarded_once():
    async def hook(call: Call) -> bytes:
        await call.forward(b"one")
        return await call.forward(b"two")

    net = Conversation({"/x": hook})
    stream = net.call(b"/x", b"x")
    await net.settle()
    assert net.result(stream) == (b"", 13)
    assert net.requests[stream] == (b"/x", b"one")
    await net.check_rest()


async def test_a_reset_by_the_runtime_is_the_clients_reset():
    net = Conversation()
    stream = net.call(b"/same", b"x")
    net.silent.add(stream)
    await net.settle()
    net.runtime.reset(stream, 7)
    await net.settle()
    assert net.client.incoming[stream].reset == 7
    await net.check_rest()


async def test_a_reset_by_the_runtime_before_the_call_is_forwarded_ends_the_hook():
    gate = asyncio.get_running_loop().create_future()

    async def hook(call: Call) -> bytes:
        await gate
        return await call.forward(call.request)

    net = Conversation({"/x": hook})
    stream = net.call(b"/x", b"x")
    await net.settle()
    net.runtime.reset(stream, 7)
    await net.settle()
    assert net.client.incoming[stream].reset == 7
    assert not gate.done()
    assert stream not in net.requests
    await net.check_rest()


async def test_a_hook_may_make_good_a_reset_and_the_runtime_hears_no_more_of_it():
    async def hook(call: Call) -> bytes:
        try:
            return await call.forward(call.request)
        except Gone:
            return b"made good"

    net = Conversation({"/x": hook})
    stream = net.call(b"/x", b"x")
    net.silent.add(stream)
    await net.settle()
    net.runtime.reset(stream, 7)
    net.link.from_runtime(net.runtime.output())
    assert net.link.runtime.out == [], "no reset answers a reset"
    await net.settle()
    assert net.result(stream) == (b"made good", 0)
    assert not net.link.watchers
    await net.check_rest()


@pytest.mark.parametrize("message", [b"", b"made good"])
async def test_a_hook_that_makes_good_a_failure_answers_with_a_message_and_ok(message):
    codes = []

    async def hook(call: Call) -> bytes:
        try:
            return await call.forward(call.request)
        except Failed as failed:
            codes.append((failed.code, str(failed)))
            return message

    net = Conversation({"/x": hook}, reply=lambda _path, _body: (b"no %E2%82%AC", 5))
    stream = net.call(b"/x", b"x")
    await net.settle()
    got = net.client.incoming[stream]
    assert bytes(got.body) == b"\0" + len(message).to_bytes(4, "big") + message
    assert got.status == 0
    assert codes == [(5, "no \u20ac")]
    assert b"grpc-status-details-bin" not in got.trailers


@pytest.mark.parametrize("wrong", [None, "text", 1.5])
async def test_a_hook_that_returns_no_bytes_has_crashed(wrong):
    async def hook(call: Call) -> bytes:
        return wrong

    net = Conversation({"/x": hook})
    stream = net.call(b"/x", b"x")
    await net.settle()
    assert net.result(stream) == (b"", 13)
    await net.check_rest()


async def test_a_hook_that_awaits_what_nobody_can_resume_has_crashed():
    async def hook(call: Call) -> bytes:
        await asyncio.sleep(0)
        return b"never"

    net = Conversation({"/x": hook})
    stream = net.call(b"/x", b"x")
    await net.settle()
    assert net.result(stream) == (b"", 13)
    await net.check_rest()


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"", 13), (b"\0\0\0\0", 13), (b"\0\0\0\0\2x", 13), (b"\0\0\0\0\1xx", 13), (b"\1\0\0\0\1x", 12)],
    ids=["empty", "short-prefix", "too-short", "too-long", "compressed"],
)
async def test_a_request_that_is_not_one_plain_message_is_refused(body, code):
    net = Conversation()
    stream = net.call(b"/same", None)
    net.client.h2.send_data(stream, body, end_stream=True)
    await net.settle()
    assert net.result(stream) == (b"", code)
    assert stream not in net.requests


async def test_a_compressed_reply_is_refused_not_misread():
    net = Conversation()
    stream = net.call(b"/same", b"x")
    net.silent.add(stream)
    await net.settle()
    net.runtime.answer(stream, REPLY_HEAD, b"\1\0\0\0\1z", [(b"grpc-status", b"0")])
    await net.settle()
    assert net.client.incoming[stream].status == 12
    await net.check_rest()


async def test_request_trailers_go_to_the_runtime_which_fails_the_call():
    net = Conversation()
    stream = net.call(b"/same", None)
    net.client.send(stream, b"\0\0\0\0\1x", [(b"x-odd", b"1")])
    net.silent.add(stream)
    await net.settle()
    assert net.runtime.incoming[stream].trailers == {b"x-odd": b"1"}
    assert not net.runtime.incoming[stream].body
    net.runtime.status_only(stream, [*REPLY_HEAD, (b"grpc-status", b"13")])
    await net.settle()
    assert net.client.incoming[stream].status == 13
    await net.check_rest()


async def test_a_request_over_the_limit_is_refused_while_it_arrives():
    net = Conversation(limits=Limits(message_bytes=100_000))
    refused, passing = net.call(b"/same", b"z" * 500_000), net.call(b"/pass", b"z" * 500_000)
    await net.settle()
    assert net.result(refused) == (b"", 8)
    assert b"request larger than the 100000 bytes" in net.client.incoming[refused].headers[b"grpc-message"]
    assert net.result(passing) == (b"echo:" + b"z" * 500_000, 0)
    assert refused not in net.requests
    await net.check_rest()


async def test_a_reply_over_the_limit_is_refused_while_it_arrives():
    net = Conversation(limits=Limits(message_bytes=100_000), reply=lambda _path, _body: (b"r" * 500_000, 0))
    refused, passing = net.call(b"/same", b"x"), net.call(b"/pass", b"x")
    await net.settle()
    assert net.result(refused) == (b"", 8)
    assert b"reply larger" in net.client.incoming[refused].headers[b"grpc-message"]
    assert net.result(passing) == (b"r" * 500_000, 0)
    assert net.runtime.incoming[refused].reset == CANCEL
    net.check_balance()
    net.check_nothing_kept()


async def test_all_held_calls_of_a_link_together_are_limited():
    net = Conversation(limits=Limits(message_bytes=100_000, link_bytes=250_000))
    streams = [net.call(b"/same", None) for _ in range(5)]
    for stream in streams:
        net.client.h2.send_data(stream, b"\0" + (90_000).to_bytes(4, "big") + b"z" * 15_995)
        await net.settle()
        for _ in range(4):
            net.client.h2.send_data(stream, b"z" * 16_000)
            await net.settle()
            if net.client.incoming[stream].ended:
                break
    refused = [stream for stream in streams if net.client.incoming[stream].ended]
    assert len(refused) == 2
    assert all(b"250000 bytes" in net.client.incoming[stream].headers[b"grpc-message"] for stream in refused)
    assert net.link.held_bytes == 3 * 80_000
    for stream in streams:
        net.client.reset(stream)
    await net.settle()
    await net.check_rest()


async def test_replies_that_a_client_does_not_take_count_as_held():
    """Else a client that grants a connection window but none to its streams could make us keep any number of them."""
    limits = Limits(message_bytes=100_000, link_bytes=250_000)
    net = Conversation(limits=limits, reply=lambda _path, _body: (b"r" * 90_000, 0))
    net.client.reading = False
    net.client.h2.increment_flow_control_window(1 << 30)
    await net.settle()
    streams = [net.call(b"/same", b"x") for _ in range(8)]
    await net.settle()
    kept = sum(len(entry.data) for entry in net.link.client.waiting.values())
    assert kept + net.link.held_bytes <= limits.link_bytes
    net.client.reading = True
    await net.settle()
    statuses = [net.client.incoming[stream].status for stream in streams]
    assert set(statuses) == {0, 8}
    net.check_balance()
    net.check_nothing_kept()


async def test_empty_frames_of_a_held_request_take_no_memory():
    net = Conversation()
    stream = net.call(b"/same", None)
    for _ in range(1000):
        net.client.h2.send_data(stream, b"")
    await net.settle()
    held = net.link.watchers[stream]
    assert (held._request.size, len(held._request.data)) == (0, 0)
    net.client.send(stream, b"\0\0\0\0\2hi")
    await net.settle()
    assert net.result(stream) == (b"echo:hi", 0)


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [(b"2S", 2.0), (b"1500m", 1.5), (b"3H", 10800.0), (b"99999999u", 99.999999), (b"7n", 7e-9), (b"1M", 60.0)],
)
async def test_a_hook_knows_how_long_its_client_will_wait(timeout, seconds):
    now, seen = [100.0], []

    async def hook(call: Call) -> bytes:
        seen.append(call.remaining_s)
        now[0] += 0.5
        seen.append(call.remaining_s)
        return b""

    net = Conversation({"/x": hook}, clock=lambda: now[0])
    net.call(b"/x", b"x", [(b"grpc-timeout", timeout)])
    await net.settle()
    assert seen == [pytest.approx(seconds), pytest.approx(seconds - 0.5)]


@pytest.mark.parametrize(
    "timeout", [b"", b"S", b"2", b"2x", b"-2S", b"1.5S", b"9" * 9 + b"S", b"9" * 400 + b"H", b"9" * 5000 + b"H"]
)
async def test_a_deadline_that_nobody_can_read_is_none(timeout):
    seen = []

    async def hook(call: Call) -> bytes:
        seen.append(call.remaining_s)
        return b""

    net = Conversation({"/x": hook})
    stream = net.call(b"/x", b"x", [(b"grpc-timeout", timeout)])
    await net.settle()
    assert seen == [None]
    assert net.result(stream) == (b"", 0)


async def test_hooks_are_cancelled_when_a_connection_is_lost():
    seen = []

    async def hook(call: Call) -> bytes:
        try:
            return await call.forward(call.request)
        finally:
            seen.append(call.request)

    net = Conversation({"/x": hook})
    for number in range(3):
        net.silent.add(net.call(b"/x", b"%d" % number))
    net.call(b"/x", None)
    net.silent.add(net.call(b"/pass", b"x"))
    await net.settle()
    net.link.closed()
    assert sorted(seen) == [b"0", b"1", b"2"]
    net.check_nothing_kept()
    assert not net.link.watchers


async def test_what_a_call_has_cost_is_counted():
    now = [0.0]

    async def hook(call: Call) -> bytes:
        now[0] += 0.003
        reply = await call.forward(call.request)
        now[0] += 0.004
        return reply

    def reply(path: bytes, body: bytes) -> tuple[bytes, int]:
        now[0] += 0.2
        return b"", 0

    net = Conversation({"/x": hook, "/refuse": HOOKS["/refuse"]}, clock=lambda: now[0], reply=reply)
    net.call(b"/x", b"x")
    await net.settle()
    net.call(b"/refuse", b"x")
    await net.settle()
    counted = net.link.counters.methods["/x"]
    assert (counted.calls, counted.failed, counted.refused) == (1, 0, 0)
    assert counted.added_s.total_s == pytest.approx(0.007)
    assert counted.runtime_s.total_s == pytest.approx(0.2)
    assert sum(counted.runtime_s.counts) == sum(counted.added_s.counts) == 1
    assert net.link.counters.methods["/refuse"].refused == 1


async def test_window_that_the_runtime_gives_early_is_for_us_and_not_for_the_client():
    gate = asyncio.get_running_loop().create_future()

    async def hook(call: Call) -> bytes:
        await gate
        return await call.forward(call.request)

    net = Conversation({"/x": hook})
    await net.settle()
    net.runtime.announce(window=1_000)
    await net.settle()
    net.runtime.reading = False
    stream = net.call(b"/x", b"q" * 400)
    await net.settle()
    net.runtime.h2.increment_flow_control_window(500, stream)
    await net.settle()
    assert net.client.h2.streams[stream].outbound_flow_control_window == 1_000 - 405
    gate.set_result(None)
    await net.settle()
    assert net.requests[stream] == (b"/x", b"q" * 400)
    net.runtime.reading = True


async def test_a_grown_request_uses_window_that_the_runtime_gave_early():
    gate = asyncio.get_running_loop().create_future()

    async def hook(call: Call) -> bytes:
        await gate
        return await call.forward(b"g" * 1_400)

    net = Conversation({"/x": hook})
    await net.settle()
    net.runtime.announce(window=1_000)
    await net.settle()
    net.runtime.reading = False
    stream = net.call(b"/x", b"q")
    await net.settle()
    net.runtime.h2.increment_flow_control_window(500, stream)
    await net.settle()
    gate.set_result(None)
    await net.settle()
    assert net.requests[stream] == (b"/x", b"g" * 1_400)


async def test_padding_of_a_held_request_uses_up_no_window_for_good():
    net = Conversation()
    await net.settle()
    stream = net.call(b"/same", None)
    body = b"\0" + (6_000).to_bytes(4, "big") + b"q" * 6_000
    for at in range(0, len(body), 10):  # 150 KB of padding through a window of 64 KB
        if net.client.h2.local_flow_control_window(stream) < 300:
            await net.settle()
        net.client.h2.send_data(stream, body[at : at + 10], pad_length=250, end_stream=at + 10 >= len(body))
    await net.settle()
    assert net.result(stream) == (b"echo:" + b"q" * 6_000, 0)
    await net.check_rest()


async def test_a_reply_that_its_client_gave_up_is_forgotten():
    net = Conversation(reply=lambda _path, _body: (b"r" * 200_000, 0))
    net.client.reading = False
    held, passing = net.call(b"/same", b"x"), net.call(b"/pass", b"x")
    await net.settle()
    assert net.link.client.waiting
    for stream in (held, passing):
        net.client.reset(stream)
    await net.settle()
    assert not net.link.client.waiting
    net.client.reading = True
    await net.settle()
    net.check_balance()
    net.check_nothing_kept()


async def test_a_request_that_its_client_gave_up_is_not_sent_any_more():
    net = Conversation()
    net.runtime.reading = False
    held = net.call(b"/same", b"q" * 100_000)
    await net.settle()
    passing = net.call(b"/pass", b"p" * 2_000)
    await net.settle()
    assert set(net.link.runtime.waiting) == {held, passing}
    for stream in (held, passing):
        net.client.reset(stream)
    await net.settle()
    assert not net.link.runtime.waiting
    net.runtime.reading = True
    await net.settle()
    assert [net.runtime.incoming[stream].reset for stream in (held, passing)] == [CANCEL, CANCEL]
    await net.check_rest()


async def test_a_request_that_the_runtime_gave_up_is_not_sent_any_more():
    net = Conversation()
    net.runtime.reading = False
    held = net.call(b"/same", b"q" * 100_000)
    await net.settle()
    passing = net.call(b"/pass", b"p" * 2_000)
    await net.settle()
    for stream in (held, passing):
        net.runtime.reset(stream, 7)
    await net.settle()
    assert not net.link.runtime.waiting
    assert [net.client.incoming[stream].reset for stream in (held, passing)] == [7, 7]
    net.runtime.reading = True
    await net.settle()
    await net.check_rest()


async def test_a_reset_behind_the_runtimes_answer_does_not_disturb_a_hook_that_goes_on():
    """As Go servers send it when they have answered before the end of a request."""
    gate = asyncio.get_running_loop().create_future()

    async def hook(call: Call) -> bytes:
        reply = await call.forward(call.request)
        await gate
        return reply

    net = Conversation({"/x": hook})
    stream = net.call(b"/x", b"x")
    await net.settle()
    net.link.from_runtime(reset(stream, NO_ERROR))
    gate.set_result(None)
    await net.settle()
    assert net.result(stream) == (b"echo:x", 0)
    await net.check_rest()
