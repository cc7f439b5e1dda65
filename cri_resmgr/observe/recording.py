"""A recording: what the policy is asked and what it answers, from a moment on, for `cri-resmgr record`.

The manager tells a `Recorder` while there is one; without it nothing is done.  Values are only kept here, all of them
frozen; they become text when somebody fetches them (`recording_lines`), not while a pod waits.  Whoever fetches too
slowly loses the recording, never the node its memory: it ends, and says so.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from cri_resmgr.observe.recording_events import (
    Began,
    Configured,
    Created,
    Ended,
    Event,
    Outcome,
    PodCame,
    PodGone,
    Rebalanced,
    Released,
    Resident,
    Revisited,
    Started,
    There,
    Undone,
    Updated,
)
from cri_resmgr.policies.contract import Policy
from cri_resmgr.values.decisions import Decision
from cri_resmgr.values.workloads import Container, Pod

LIMIT_EVENTS = 20_000  # that nobody has fetched yet; those about a thousand containers are some ten megabytes

Regime = tuple[Mapping[str, Any], Mapping[str, str]]
"""Settings and the CPUs of the cgroups that they name, as `Configured` has them."""

log = structlog.get_logger("resource-manager")


class Recorder:
    """Collects events until it is ended; `running` are the containers that have not ended, live, `pods` theirs.

    `regime_of` says which configuration a policy was made from.
    """

    def __init__(
        self,
        running: Mapping[str, Container],
        pods: Mapping[str, Pod],
        *,
        regime_of: Callable[[Policy], Regime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._running, self._pods, self._regime_of, self._clock = running, pods, regime_of, clock
        self._began_s = clock()
        self._events: deque[Event] = deque()
        self.ended = ""
        for container in running.values():
            self._note(There(0.0, container, self._pod_of(container)))

    def fetched(self, count: int) -> list[Event]:
        """The next events, at most so many; they are not kept any more."""
        return [self._events.popleft() for _ in range(min(count, len(self._events)))]

    def __len__(self) -> int:
        return len(self._events)

    def end(self, reason: str) -> None:
        """Collect nothing more."""
        if not self.ended:
            self.ended = reason
            self._events.append(Ended(self._now_s(), reason))

    # ---- what the manager tells

    def asked(self, what: str, container: Container, outcome: Outcome) -> None:
        """The policy was asked about a container that is to be created or resized (`create`, `update`)."""
        if what == "create":
            self._note(Created(self._now_s(), container, self._pod_of(container), outcome))
        else:
            self._note(Updated(self._now_s(), container, outcome))

    def told(self, what: str, key: str, outcome: Outcome) -> None:
        """The policy was told of something that nobody waits for (`release`, `revisit`, `rebalance`, `update`)."""
        if what == "release":
            self._note(Released(self._now_s(), key, outcome))
        elif what == "revisit":
            self._note(Revisited(self._now_s(), key, outcome))
        elif what == "rebalance":
            self._note(Rebalanced(self._now_s(), outcome))
        elif key in self._running:
            self._note(Updated(self._now_s(), self._running[key], outcome))

    def undone(self) -> None:
        """All is as it was before the last decision."""
        self._note(Undone(self._now_s()))

    def began(self, running: Sequence[tuple[Container, Pod]], changes: Mapping[str, Decision] | None) -> None:
        """The policy has begun with what runs, or could not."""
        self._note(Began(self._now_s(), tuple(Resident(*one) for one in running), changes))

    def switched(self, policy: Policy, changes: Mapping[str, Decision] | None) -> None:
        """Another policy decides."""
        self._note(Configured(self._now_s(), *self._regime_of(policy), changes=changes))

    def started(self, container: Container) -> None:
        """It runs."""
        self._note(Started(self._now_s(), container.key))

    def pod_came(self, pod: Pod) -> None:
        """There is a pod."""
        self._note(PodCame(self._now_s(), pod))

    def pod_gone(self, pod_id: str) -> None:
        """There is no such pod any more."""
        self._note(PodGone(self._now_s(), pod_id))

    def _note(self, event: Event) -> None:
        if self.ended:
            return
        if len(self._events) >= LIMIT_EVENTS:
            log.warning("record.too_slow", kept=len(self._events))
            self.end(f"{LIMIT_EVENTS} events waited to be fetched; what came after them is not here")
            return
        self._events.append(event)

    def _pod_of(self, container: Container) -> Pod:
        return self._pods.get(container.pod_id) or Pod(container.pod_id, "", "", "")

    def _now_s(self) -> float:
        return round(self._clock() - self._began_s, 6)
