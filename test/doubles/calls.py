"""An intercepted call in a test's hand: the test is kubelet and runtime, the hook in between is the real one.

The hook is stepped as the relay steps it, without a task, so that what would not work there does not work here.
"""

import asyncio
from typing import Any

from google.protobuf.message import Message

from cri_resmgr.relay.hooks import Failed, Gone, Hook
from cri_resmgr.relay.stepping import Stepper

DEADLINE_S = 20


class FakeCall:
    """One call: `begin` it, look at `forwarded`, then `answer`, `fail`, `reset` or `cancel`, and await its `result`."""

    def __init__(self, method: str, request: Message | bytes = b"", *, remaining_s: float | None = None) -> None:
        """Nothing happens yet; `remaining_s` is the kubelet's deadline."""
        self.method, self.request, self.remaining_s = method, _bytes(request), remaining_s
        self.forwarded: bytes | None = None
        loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[bytes] = loop.create_future()
        self._outcome: asyncio.Future[bytes] = loop.create_future()
        self._stepper: Stepper | None = None

    async def forward(self, message: bytes) -> bytes:
        """What the hook calls."""
        assert self.forwarded is None, "a call is forwarded at most once"
        self.forwarded = message
        return await self._answer

    def begin(self, hook: Hook) -> "FakeCall":
        """Run the hook up to where it has to wait."""
        self._stepper = Stepper(hook(self), outcome=self._ended, woken=lambda: None)  # type: ignore[arg-type]
        self._stepper.start()
        return self

    @property
    def done(self) -> bool:
        """The kubelet has its answer."""
        return self._outcome.done()

    async def until_forwarded(self) -> bytes:
        """What the runtime is told, once it is."""
        async with asyncio.timeout(DEADLINE_S):
            while self.forwarded is None and not self.done:
                await asyncio.sleep(0)
        assert self.forwarded is not None, "the call has ended without being forwarded"
        return self.forwarded

    def answer(self, reply: Message | bytes = b"") -> "FakeCall":
        """The runtime has done it."""
        self._answer.set_result(_bytes(reply))
        return self

    def fail(self, code: int, text: str = "the runtime does not want to") -> "FakeCall":
        """The runtime refuses."""
        self._answer.set_exception(Failed(code, text))
        return self

    def reset(self) -> "FakeCall":
        """The runtime resets the stream, and nobody knows what it has done."""
        self._answer.set_exception(Gone(b"RST_STREAM"))
        return self

    def cancel(self) -> "FakeCall":
        """The kubelet gives up, or its connection is lost."""
        assert self._stepper is not None
        self._stepper.cancel()
        return self

    async def result(self) -> bytes:
        """What the kubelet gets; raises what the hook raised."""
        async with asyncio.timeout(DEADLINE_S):
            return await self._outcome

    def _ended(self, reply: bytes | None, error: BaseException | None) -> None:
        if isinstance(error, asyncio.CancelledError):
            self._outcome.cancel()
        elif error is not None:
            self._outcome.set_exception(error)
            self._outcome.exception()  # looked at: not every test asks for it
        else:
            assert isinstance(reply, bytes)
            self._outcome.set_result(reply)


def _bytes(message: Message | bytes) -> bytes:
    return message if isinstance(message, bytes) else message.SerializeToString()


def accepting(runtime: Any, call: FakeCall) -> FakeCall:
    """Let a `FakeRuntime` answer a call that has been forwarded."""
    from doubles.runtime import StatusError  # noqa: PLC0415 - the two doubles know each other here only

    assert call.forwarded is not None
    try:
        return call.answer(runtime.answer(call.method, call.forwarded))
    except StatusError as error:
        return call.fail(error.code, str(error))
