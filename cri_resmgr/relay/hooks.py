"""The contract between the relay and those who look into calls: plain bytes in, plain bytes out.

A *hook* answers an intercepted call.  It may read `call.request`, forward a message at most once, change either
message, or refuse.  A lock, a roll-back or a follow-up call is ordinary control flow around `forward`.

Hooks are stepped by the relay, without a task (see `stepping`).

A *tap* watches a call that is not intercepted: it gets copies of whole messages and can change nothing.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from cri_resmgr.wire.grpc import status_in
from cri_resmgr.wire.hpack import Field


class Refused(Exception):  # noqa: N818 - the field's word, and no failure of ours
    """Raised by a hook: the client gets this gRPC status; `details` is a serialised google.rpc.Status."""

    def __init__(self, code: int, message: str, details: bytes = b"") -> None:
        super().__init__(message)
        self.code, self.details = code, details


class Failed(Exception):  # noqa: N818
    """The runtime answered with an error; unless a hook catches it, the client gets that answer untouched."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Gone(Exception):  # noqa: N818
    """The runtime reset the stream: outcome unknown; unless a hook catches it, the client gets that reset."""

    def __init__(self, frame: bytes) -> None:
        super().__init__("the runtime has reset the stream")
        self.frame = frame


class Answered(Exception):  # noqa: N818
    """Raised by a hook: the client gets this whole answer of another server, instead of the runtime's.

    `body` is what the DATA frames hold, gRPC's length prefixes included; without `head` it is an answer of status only.
    """

    def __init__(self, head: list[Field], body: bytes, trailers: list[Field]) -> None:
        self.code, text = status_in(trailers)
        super().__init__(text)
        self.head, self.body, self.trailers = head, body, trailers


class Call(Protocol):
    """An intercepted unary call whose request has arrived completely."""

    @property
    def method(self) -> str:
        """The full path, `/runtime.v1.RuntimeService/CreateContainer`."""

    @property
    def request(self) -> bytes:
        """The message as the client sent it, without gRPC's length prefix."""

    @property
    def fields(self) -> list[Field]:
        """The header fields of the request, gRPC's own among them; not to be changed."""

    @property
    def remaining_s(self) -> float | None:
        """Seconds until the client's own deadline; None if it set none."""

    async def forward(self, message: bytes) -> bytes:
        """Send `message` to the runtime as the request and return its reply; at most once.

        Raises `Failed` for a status other than OK and `Gone`.  Cancellation after this was called means: outcome
        unknown.  To be awaited by the hook itself, not in a task of its own.
        """


Hook = Callable[[Call], Awaitable[bytes]]


class Tap(Protocol):
    """Watches one call.  Exceptions are logged and end the tap, never the call."""

    def request(self, message: bytes) -> None:
        """One request message."""

    def reply(self, message: bytes) -> None:
        """One reply message; a stream has many."""

    def ended(self, code: int | None, message: str) -> None:
        """The call is over; `code` is None when it was reset or the connection was lost."""


TapFor = Callable[[str], Tap | None]
