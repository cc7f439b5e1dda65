"""One log line when things begin to fail, and one when all is well again, however many notice and try.

An API server that is away fails everybody who asks it: the first to notice says so, the last to recover says that it
is over.  A refusal (403, 404) is the matter of the one who got it, and is told for each, once until its text changes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

import structlog

from cri_resmgr.kube.errors import ApiError, Unavailable

log = structlog.get_logger("kube")


@dataclass(frozen=True, slots=True)
class _Outage:
    text: str
    begun_s: float
    shared: bool


class Outages:
    """What fails now; `failing` is a text for each, for whoever reports health."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._now: dict[str, _Outage] = {}

    @property
    def failing(self) -> dict[str, str]:
        """What went wrong last, by what was tried."""
        return {what: outage.text for what, outage in self._now.items()}

    def failed(self, what: str, error: ApiError) -> None:
        """`what` has failed, perhaps again."""
        shared, text = isinstance(error, Unavailable), str(error)
        before = self._now.get(what)
        if before and before.shared and not shared:  # it answers again, if only to refuse
            self.over(what)
            before = None
        known = self._shared if shared else before is not None and before.text == text
        begun_s = before.begun_s if before else self._clock()
        self._now[what] = _Outage(text, begun_s, shared)
        if not known:
            log.warning("api.unavailable" if shared else "api.refused", what=what, error=text)

    def over(self, what: str) -> None:
        """`what` has succeeded."""
        before = self._now.pop(what, None)
        if before and not (before.shared and self._shared):
            log.info("api.recovered", what=what, after_s=round(self._clock() - before.begun_s, 1))

    def forget(self, what: str) -> None:
        """Nobody tries `what` any more."""
        self._now.pop(what, None)

    @property
    def _shared(self) -> bool:
        return any(outage.shared for outage in self._now.values())
