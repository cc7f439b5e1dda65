"""Calls on one container keep their order; nobody waits for another container, and nobody for ever."""

import asyncio

from cri_resmgr.manager.turns import Turns, within

LONG_S, NOT_AT_ALL_S = 60.0, 0.001


async def test_the_first_turn_comes_at_once():
    turns = Turns()
    assert await turns.take("a").come(NOT_AT_ALL_S)


async def test_turns_on_one_key_come_in_the_order_in_which_they_were_taken():
    turns, order = Turns(), []

    async def use(turn, name):
        await turn.come(LONG_S)
        order.append(name)
        await asyncio.sleep(0)
        turn.end()

    taken = [(turns.take("a"), name) for name in "123456"]
    async with asyncio.TaskGroup() as group:
        for turn, name in reversed(taken):
            group.create_task(use(turn, name))
    assert order == list("123456")


async def test_a_turn_on_another_key_waits_for_nobody():
    turns = Turns()
    turns.take("a")
    assert await turns.take("b").come(NOT_AT_ALL_S)


async def test_whoever_waits_too_long_goes_on_and_the_next_still_waits_for_the_first():
    turns = Turns()
    first, second, third = (turns.take("a") for _ in range(3))
    assert not await second.come(NOT_AT_ALL_S)
    second.end()
    assert not await third.come(NOT_AT_ALL_S)
    first.end()
    assert await third.come(NOT_AT_ALL_S)


async def test_one_who_gives_up_waiting_does_not_let_later_ones_overtake_the_first():
    turns = Turns()
    first, second = turns.take("a"), turns.take("a")
    second.end()
    late = turns.take("a")
    assert not await late.come(NOT_AT_ALL_S)
    first.end()
    assert await late.come(LONG_S)


async def test_ending_twice_passes_the_turn_on_once():
    turns = Turns()
    first, second, third = (turns.take("a") for _ in range(3))
    first.end()
    first.end()
    assert await second.come(NOT_AT_ALL_S)
    assert not await third.come(NOT_AT_ALL_S)


async def test_a_key_costs_nothing_once_everybody_has_ended_in_whatever_order():
    turns = Turns()
    taken = [turns.take("a") for _ in range(4)]
    assert turns.taken("a")
    for place in (2, 0, 3, 1):
        taken[place].end()
    for _ in taken:  # each passes it on to the next in a callback
        await asyncio.sleep(0)
    assert (len(turns), turns.taken("a")) == (0, False)


async def test_waiting_for_what_is_done_takes_no_time():
    done = asyncio.get_running_loop().create_future()
    done.set_result(None)
    assert await within(done, 0)


async def test_waiting_ends_when_the_future_does():
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, None)
    assert await within(future, LONG_S)


async def test_a_future_that_fails_is_over_as_well():
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_exception, ValueError("boom"))
    assert await within(future, LONG_S)
    assert isinstance(future.exception(), ValueError)


async def test_a_deadline_leaves_the_future_as_it_is_and_nothing_hanging_on_it():
    future = asyncio.get_running_loop().create_future()
    assert not await within(future, NOT_AT_ALL_S)
    assert not future.done()
    assert not future._callbacks


async def test_one_who_is_cancelled_while_waiting_leaves_the_future_to_the_others():
    future = asyncio.get_running_loop().create_future()
    waiting = [asyncio.create_task(within(future, LONG_S)) for _ in range(2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    assert waiting[0].cancelled()
    future.set_result(None)
    assert await waiting[1]
