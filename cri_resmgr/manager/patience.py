"""How long a call may wait for us, all in all."""

import asyncio

from cri_resmgr.relay.hooks import Call


class Patience:
    """The time that is left of a call's budget: never past the kubelet's own deadline."""

    __slots__ = ("_end_s", "_loop")

    def __init__(self, call: Call, budget_s: float) -> None:
        remaining_s = call.remaining_s
        self._loop = asyncio.get_running_loop()
        self._end_s = self._loop.time() + (budget_s if remaining_s is None else min(budget_s, remaining_s))

    @property
    def left_s(self) -> float:
        """Seconds, 0 when it is used up."""
        return max(0.0, self._end_s - self._loop.time())
