"""The kubelet lists all pods and containers each second; copies of the answers keep the ledger true for nothing.

At most one unfiltered list of a kind is looked into each second, however many are made.
"""

from collections.abc import Callable
from time import monotonic

import structlog

from cri_resmgr.cri import messages, methods
from cri_resmgr.manager.reconciling import Reconciler
from cri_resmgr.relay.hooks import Tap, TapFor
from cri_resmgr.wire.grpc import OK

log = structlog.get_logger("resource-manager")

INTERVAL_S = 1.0
Compare = Callable[[frozenset[str], bytes], None]


class ListTap:
    """Watches one list; when it is whole, `compare(known, reply)` is told what was known when it was asked for."""

    def __init__(self, path: str, *, known: Callable[[], frozenset[str]], compare: Compare) -> None:
        self._path, self._ask_known, self._compare = path, known, compare
        self._known: frozenset[str] | None = None  # None: filtered, which says nothing about what is missing
        self._parts: list[bytes] = []

    def request(self, message: bytes) -> None:
        """Only a list without a filter is interesting."""
        if messages.is_unfiltered_list(self._path, message):
            self._known = self._ask_known()

    def reply(self, message: bytes) -> None:
        """The list, or a part of it if it comes as a stream."""
        if self._known is not None:
            self._parts.append(message)

    def ended(self, code: int | None, message: str) -> None:
        """Compare, if the list is whole: parts of a repeated field read as one when put together."""
        if self._known is None or code != OK:
            return
        try:
            self._compare(self._known, b"".join(self._parts))
        except messages.Undecodable as error:
            log.warning("list.undecodable", method=self._path, error=str(error))


class ListTaps:
    """Makes a tap for a list when a second has passed since the last one of its kind."""

    def __init__(self, reconciler: Reconciler, *, clock: Callable[[], float] = monotonic) -> None:
        self._reconciler, self._clock = reconciler, clock
        self._next_s = dict.fromkeys(methods.TAPPED, 0.0)

    def tap_for(self, path: str) -> Tap | None:
        """For the relay."""
        next_s = self._next_s.get(path)
        if next_s is None or self._clock() < next_s:
            return None
        about_pods = path in {methods.LIST_POD_SANDBOX, methods.STREAM_POD_SANDBOXES}
        compare = self._pods if about_pods else self._containers
        ids = self._reconciler.known_pods if about_pods else self._reconciler.known_ids

        def known() -> frozenset[str]:
            self._next_s[path] = self._clock() + INTERVAL_S
            return ids()

        return ListTap(path, known=known, compare=compare)

    def _containers(self, known: frozenset[str], reply: bytes) -> None:
        self._reconciler.listed(known, messages.states_listed(reply))

    def _pods(self, known: frozenset[str], reply: bytes) -> None:
        self._reconciler.pods_listed(known, messages.pod_ids_listed(reply))


class Both:
    """Two taps on one call."""

    def __init__(self, first: Tap, second: Tap) -> None:
        self._taps = first, second

    def request(self, message: bytes) -> None:
        """Pass on."""
        for tap in self._taps:
            tap.request(message)

    def reply(self, message: bytes) -> None:
        """Pass on."""
        for tap in self._taps:
            tap.reply(message)

    def ended(self, code: int | None, message: str) -> None:
        """Pass on."""
        for tap in self._taps:
            tap.ended(code, message)


def either(first: TapFor, second: TapFor) -> TapFor:
    """Whoever of the two wants to watch, or both."""

    def tap_for(path: str) -> Tap | None:
        one, other = first(path), second(path)
        return Both(one, other) if one and other else one or other

    return tap_for
