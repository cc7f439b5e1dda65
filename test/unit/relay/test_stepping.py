"""Coroutines stepped without a task."""

import asyncio

from cri_resmgr.relay.stepping import Answer, Stepper


class Steps:
    """A stepper and what it says."""

    def __init__(self, coroutine) -> None:
        self.results: list[bytes | None] = []
        self.errors: list[BaseException | None] = []
        self.woken = 0
        self.stepper = Stepper(coroutine, outcome=self._ended, woken=self._woke)

    def _ended(self, result, error) -> None:
        self.results.append(result)
        self.errors.append(error)

    def _woke(self) -> None:
        self.woken += 1


async def test_what_waits_for_nothing_ends_at_once():
    async def hook() -> bytes:
        return b"done"

    steps = Steps(hook())
    steps.stepper.start()
    assert (steps.results, steps.errors, steps.woken) == ([b"done"], [None], 0)


async def test_an_answer_resumes_in_the_same_callback():
    answer = Answer()

    async def hook() -> bytes:
        await answer
        return b"done"

    steps = Steps(hook())
    steps.stepper.start()
    assert steps.results == []
    answer.come()
    steps.stepper.resume()
    assert (steps.results, steps.woken) == ([b"done"], 0)


async def test_an_answer_that_has_come_is_not_waited_for():
    answer = Answer()
    answer.come()

    async def hook() -> bytes:
        await answer
        await answer
        return b"done"

    steps = Steps(hook())
    steps.stepper.start()
    assert steps.results == [b"done"]


async def test_a_future_resumes_through_the_loop_and_says_so():
    future = asyncio.get_running_loop().create_future()

    async def hook() -> bytes:
        return await future

    steps = Steps(hook())
    steps.stepper.start()
    future.set_result(b"done")
    assert steps.results == []
    await asyncio.sleep(0)
    assert (steps.results, steps.woken) == ([b"done"], 1)


async def test_a_task_of_its_own_may_sleep_and_use_timeouts():
    async def pause() -> bytes:
        async with asyncio.timeout(10):
            await asyncio.sleep(0)
        return b"done"

    async def hook() -> bytes:
        return await asyncio.create_task(pause())

    steps = Steps(hook())
    steps.stepper.start()
    for _ in range(10):
        await asyncio.sleep(0)
    assert steps.results == [b"done"]


async def test_errors_come_out_and_those_of_futures_go_in():
    future = asyncio.get_running_loop().create_future()

    async def hook() -> bytes:
        try:
            await future
        except KeyError as error:
            raise ValueError("other") from error
        return b""

    steps = Steps(hook())
    steps.stepper.start()
    future.set_exception(KeyError("one"))
    await asyncio.sleep(0)
    assert steps.results == [None]
    assert isinstance(steps.errors[0], ValueError)


async def test_cancelling_raises_where_the_coroutine_waits_and_leaves_the_future_to_others():
    future = asyncio.get_running_loop().create_future()

    async def hook() -> bytes:
        return await future

    steps = Steps(hook())
    steps.stepper.start()
    steps.stepper.cancel()
    assert isinstance(steps.errors[0], asyncio.CancelledError)
    future.set_result(b"late")
    await asyncio.sleep(0)
    assert (len(steps.errors), steps.woken) == (1, 0)


async def test_a_cancelled_coroutine_may_clean_up_and_wait_for_that():
    loop = asyncio.get_running_loop()
    first, second = loop.create_future(), loop.create_future()

    async def hook() -> bytes:
        try:
            await first
        finally:
            await second
        return b""

    steps = Steps(hook())
    steps.stepper.start()
    steps.stepper.cancel()
    assert steps.errors == []
    second.set_result(None)
    await asyncio.sleep(0)
    assert isinstance(steps.errors[0], asyncio.CancelledError)


async def test_cancelling_what_has_ended_does_nothing():
    async def hook() -> bytes:
        return b"done"

    steps = Steps(hook())
    steps.stepper.start()
    steps.stepper.cancel()
    assert steps.results == [b"done"]


async def test_waiting_for_what_nobody_resumes_is_an_error_not_a_hang():
    async def hook() -> bytes:
        await asyncio.sleep(0)
        return b"never"

    steps = Steps(hook())
    steps.stepper.start()
    assert isinstance(steps.errors[0], TypeError)
    assert "futures and tasks" in str(steps.errors[0])
