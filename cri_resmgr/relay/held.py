"""An intercepted unary call: its request is held for a hook, which forwards it, changes either message or refuses.

The request is collected to its end, then the hook runs.  The reply is held to its trailers, then headers, message
and trailers go out together.  Both peers' stream windows are ours from the start; window is granted to a sender once
half an initial window has come.  A held request is never forwarded after the runtime has answered it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from cri_resmgr.relay.bodies import Body
from cri_resmgr.relay.dead import Dead
from cri_resmgr.relay.flow import Side
from cri_resmgr.relay.hooks import Answered, Failed, Gone, Hook, Refused
from cri_resmgr.relay.reply_headers import Rewritten, made
from cri_resmgr.relay.stepping import Answer, Stepper
from cri_resmgr.wire import grpc
from cri_resmgr.wire.frames import CANCEL, NO_ERROR, header_frames, reset, window_update
from cri_resmgr.wire.hpack import Field, encode

if TYPE_CHECKING:
    from cri_resmgr.relay.link import Link

log = structlog.get_logger("relay")

REPLY_HEAD = encode(grpc.REPLY_HEAD)
OK_TRAILERS = made(grpc.OK_TRAILERS)
NO_STATUS = made([])  # a reply that ends without one: UNKNOWN, as gRPC clients see it


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be held.  None may be below what the runtime accepts (16 MiB for containerd and CRI-O)."""

    message_bytes: int = 64 << 20  # one request or one reply
    link_bytes: int = 128 << 20  # all requests and replies of one link


class Held:
    """One intercepted call, from its header block to its status: a `Watcher` for the link, a `Call` for the hook."""

    def __init__(  # noqa: PLR0913 - all of it is what a call is
        self, link: "Link", stream: int, *, method: str, fields: list[Field], hook: Hook, limits: Limits
    ) -> None:
        self.link, self.stream, self.method, self.fields = link, stream, method, fields
        self.request = b""
        self._hook, self._limits = hook, limits
        self._windows = {link.client: link.client.initial, link.runtime: link.runtime.initial}
        self._request, self._reply = Body(), Body()
        self._head: bytes | None = None
        self._trailers: Rewritten | None = None
        self._message: bytes | None = None  # the runtime's reply
        self._answer: Answer | None = None  # None until forwarded
        self._gone: bytes | None = None  # the runtime's RST_STREAM
        self._stepper: Stepper | None = None  # None until the request is complete
        self._done = False
        timeout_s = grpc.timeout_s(fields)
        self._deadline_s = None if timeout_s is None else link.clock() + timeout_s
        self._ours_since_s: float | None = None
        self._added_s = 0.0
        self._counters = link.live[stream][0]
        link.counters.calls_held += 1
        link.holding += 1

    # What a hook uses.

    @property
    def remaining_s(self) -> float | None:
        """Seconds until the client's own deadline; None if it set none."""
        return None if self._deadline_s is None else self._deadline_s - self.link.clock()

    async def forward(self, message: bytes) -> bytes:
        """Send `message` to the runtime as the request and return its reply; at most once."""
        if self._answer is not None or self._done:
            raise RuntimeError(f"{self.method}: a call is forwarded once, and not after its end")
        self._answer = Answer()
        self._hand_over()
        body = grpc.prefixed(message)
        self.link.runtime.send(self.stream, body, self._windows[self.link.runtime], end=True)
        await self._answer
        if self._gone is not None:
            raise Gone(self._gone)
        if self._trailers is not None and not self._trailers.ok:
            raise Failed(*grpc.status_in(self._trailers.fields))
        self._message = grpc.message_in(self._reply.data)
        return self._message

    # What the link calls.

    def request_data(self, data: bytes, size: int, *, end: bool) -> bool:
        """Collect the request; at its end the hook runs."""
        if self._stepper is not None:
            return True  # after the end: nothing that a peer may send
        if self._collected(self._request, data, size) and end:
            self._start()
        else:
            self._grant(self._request, self.link.runtime)
        return True

    def reply_headers(self, again: Rewritten, *, end: bool) -> bool:
        """Keep headers; trailers complete the answer."""
        if end:
            self._answered(again)
        elif self._head is None:
            self._head = again.block
        return True

    def reply_data(self, data: bytes, size: int, *, end: bool) -> bool:
        """Collect the reply."""
        if self._collected(self._reply, data, size) and end:
            self._answered(NO_STATUS)
        else:
            self._grant(self._reply, self.link.client)
        return True

    def granted(self, side: Side, size: int) -> bool:
        """Window for what we are going to send ourselves: not relayed."""
        self._windows[side] += size
        return True

    def resized(self, side: Side, change: int) -> None:
        """A peer's initial window has changed; a smaller one may leave the sender with none but what we owe it."""
        self._windows[side] += change
        self._grant(self._request if side is self.link.runtime else self._reply, side)

    def reset_by_client(self) -> bool:
        """The client gives up: the hook is cancelled, and the runtime told unless it is through."""
        self._finish(ok=False)
        self._cancel()
        return self._trailers is not None

    def reset_by_runtime(self, frame: bytes) -> bool:
        """The runtime gives up: so does a hook that waits for it, and the client is told."""
        if self._trailers is not None:
            return True
        if self._answer is not None:
            self._gone = frame
            self._resume(self._answer)
        else:
            self._finish(ok=False)
            self._cancel()
            self.link.client.out.append(frame)
        return True

    def lost(self) -> None:
        """A connection is gone."""
        self._finish(ok=False)
        self._cancel()

    # Inside.

    def _grant(self, body: Body, receiver: Side) -> None:
        if not self._done and (grant := body.grant(receiver.initial)):
            receiver.other.out.append(window_update(self.stream, grant))

    def _collected(self, body: Body, data: bytes, size: int) -> bool:
        body.add(data, size)
        self.link.held_bytes += len(data)
        if body.size <= self._limits.message_bytes and self.link.kept_bytes <= self._limits.link_bytes:
            return True
        what = "request" if body is self._request else "reply"
        limit = self._limits.message_bytes if body.size > self._limits.message_bytes else self._limits.link_bytes
        self._refuse(Refused(grpc.RESOURCE_EXHAUSTED, f"{what} larger than the {limit} bytes that may be held"))
        self._cancel()
        return False

    def _start(self) -> None:
        self._ours_since_s = self.link.clock()
        coroutine = self._run()
        self._stepper = Stepper(coroutine, outcome=self._ended, woken=self.link.flush)
        self._stepper.start()

    async def _run(self) -> bytes:
        self.request = grpc.message_in(self._request.data)
        self._request.data.clear()
        return bytes(await self._hook(self))  # no copy of bytes, an error of the hook for anything else

    def _ended(self, reply: bytes | None, error: BaseException | None) -> None:
        """The hook has returned or raised: exactly one answer for the client."""
        if self._done:
            return
        if isinstance(error, Gone):
            self._finish(ok=False)
            self.link.client.out.append(error.frame)
        elif isinstance(error, Failed) and self._trailers is not None:
            self._reply_with(self._reply.data, self._trailers)
        elif isinstance(error, grpc.MessageError):
            self._refuse(Refused(error.code, str(error)))
        elif isinstance(error, Refused):
            self._refuse(error)
        elif isinstance(error, Answered):
            self._head = encode(error.head) if error.head else None
            self._reply_with(error.body, made(error.trailers))
        elif error is not None:
            log.error("hook.failed", method=self.method, exc_info=error)
            self._refuse(Refused(grpc.INTERNAL, f"cri-resmgr: {error!r} while handling {self.method}; see its log"))
        elif reply is not None:
            self._succeed(reply)

    def _succeed(self, reply: bytes) -> None:
        same = reply is self._message and self._trailers is not None
        body = self._reply.data if same else grpc.prefixed(reply)
        trailers = self._trailers
        if trailers is None or not trailers.ok:  # the hook answers by itself, or made good a failure
            self._head, trailers = self._head or REPLY_HEAD, OK_TRAILERS
        self._reply_with(body, trailers)

    def _answered(self, trailers: Rewritten) -> None:
        """The runtime has sent its status."""
        self._trailers = trailers
        link = self.link
        if self._answer is not None:
            if self.stream in link.runtime.waiting:  # it did not take all of the request
                link.runtime.drop(self.stream)
                link.runtime.out.append(reset(self.stream, NO_ERROR))
            link.ended(self.stream, ok=trailers.ok)
            self._ours_since_s = link.clock()
            self._resume(self._answer)
            return
        link.ended(self.stream, ok=trailers.ok)  # it did not wait for the request: a deadline, most likely
        link.runtime.out.append(reset(self.stream, NO_ERROR))
        self._reply_with(self._reply.data, trailers)
        if self._stepper is None:
            link.bury(self.stream, Dead(link, self.stream))  # what is still to come of the request
        self._cancel()

    def _reply_with(self, body: bytes | bytearray, trailers: Rewritten) -> None:
        link, stream = self.link, self.stream
        self._leave()
        if self._head is None:
            link.replies.send(stream, trailers.block, end=True)  # status only, as it came
            return
        link.replies.send(stream, self._head, end=False)
        if body:
            ending = header_frames(stream, trailers.block, end_stream=True)
            link.client.send(stream, body, self._windows[link.client], trailers=ending)
        else:
            link.replies.send(stream, trailers.block, end=True)

    def _refuse(self, refused: Refused) -> None:
        if self._done:
            return
        self._counters.refused += 1
        self._leave()
        fields = grpc.refusal(refused.code, str(refused), refused.details)
        self.link.replies.send(self.stream, encode(fields), end=True)

    def _leave(self) -> None:
        """The client gets its answer now; a runtime that goes on is told not to, and nobody listens to it any more."""
        self._finish()
        if self._trailers is not None or self._gone is not None:
            return
        self.link.runtime.drop(self.stream)
        self.link.runtime.out.append(reset(self.stream, CANCEL))
        self.link.bury(self.stream, Dead(self.link, self.stream))

    def _finish(self, *, ok: bool = True) -> None:
        """Nothing of this call is kept by the link any more."""
        if self._done:
            return
        self._done = True
        link = self.link
        link.held_bytes -= self._request.size + self._reply.size
        link.holding -= 1
        link.counters.calls_held -= 1
        link.watchers.pop(self.stream, None)
        if link.live.pop(self.stream, None) and not ok:
            self._counters.failed += 1
        self._hand_over()
        self._counters.added_s.observe(self._added_s)

    def _cancel(self) -> None:
        if self._stepper is not None:
            self._stepper.cancel()

    def _resume(self, answer: Answer) -> None:
        answer.come()
        if self._stepper is not None:
            self._stepper.resume()

    def _hand_over(self) -> None:
        """From here on the time is the runtime's."""
        now = self.link.clock()
        if self._ours_since_s is not None:
            self._added_s += now - self._ours_since_s
            self._ours_since_s = None
        if self.stream in self.link.live:
            self.link.live[self.stream] = self._counters, now
