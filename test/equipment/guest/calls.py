"""Calls to a socket in the guest, as `equipment.cri` makes them here: one process in there makes all of a test's."""

import base64
from typing import Any

from cri_resmgr.cri import api_pb2
from equipment.guest.guest import Guest
from equipment.guest.image import CALLS, PYTHON

DEADLINE_S = 240


class CallFailed(Exception):  # noqa: N818 - an answer
    """A call ended with another status than 0."""


class Calls:
    """The runtime service at `socket`."""

    def __init__(self, guest: Guest, socket: str) -> None:
        """Connect at the first call."""
        self._guest = guest
        self._process = guest.start([*PYTHON.split(), CALLS, socket])

    def __call__(self, method: str, *, deadline_s: float = DEADLINE_S, **fields: Any) -> Any:
        """The reply of `method` to a request with these fields; raises CallFailed."""
        request: bytes = getattr(api_pb2, f"{method}Request")(**fields).SerializeToString()
        line = f"/runtime.v1.RuntimeService/{method} {deadline_s} {base64.b64encode(request).decode()}"
        answer = self._guest.ask(self._process, line, deadline_s=deadline_s + 60)
        status, _, words = answer.rstrip("\n").partition(" ")
        if status != "0":
            raise CallFailed(f"{method}: status {status}: {words}")
        return getattr(api_pb2, f"{method}Response").FromString(base64.b64decode(words))

    def close(self) -> None:
        """End the process."""
        self._guest.end(self._process)
