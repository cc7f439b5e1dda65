"""Remembers what an operator must know: a policy refused, a container was let pass, drift was put right.

    events = Events(partial(store.set, META_KEY), pods=ledger.pods, stored=store.get(META_KEY))
    events.record(Kind.POLICY_PASSED, container=container, text="policy broke: …")

The last couple of hundred are kept, in memory and, a second later, beside the ledger in the store: a crash costs a
second of them.  What is said again about the same thing is one event with a count, as Kubernetes has it.  `counts` has
how many of each kind this daemon has recorded.  Nothing is logged here: whoever records has said it in the log already.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import structlog

from cri_resmgr.errors import Degraded
from cri_resmgr.values.events import Event, read, written
from cri_resmgr.values.workloads import Container, Pod

LIMIT = 200
TEXT_LIMIT_CHARS = 1024  # of a Kubernetes event's note
SAVE_AFTER_S, RETRY_AFTER_S = 1.0, 30.0

Identity = tuple[str, str, str, str, str, str]

log = structlog.get_logger("resource-manager")


class Events:
    """The events of a node; belongs to the event loop.

    `save` gets the whole text to keep and may raise `Degraded`; `pods` tells a container's pod; `stored` is the text
    that an earlier daemon saved.
    """

    def __init__(
        self,
        save: Callable[[str], None],
        *,
        pods: Mapping[str, Pod],
        stored: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._save, self._pods, self._clock = save, pods, clock
        self._events = {_identity(event): event for event in read(stored)[-LIMIT:]}
        self._number = int(time.time() * 1000)  # so that it is higher than any that an earlier daemon gave
        self._numbers = dict.fromkeys(self._events, self._number)
        self._timer: asyncio.TimerHandle | None = None
        self.counts: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Event]:
        return iter(tuple(self._events.values()))

    def record(self, kind: str, *, text: str, container: Container | None = None, pod: Pod | None = None) -> None:
        """It has happened, to a container, to a pod, or without either to the node; `kind` is one of `Kind`."""
        self.counts[str(kind)] += 1
        now_s = self._clock()
        about = pod or (self._pods.get(container.pod_id) if container else None)
        event = Event(
            kind=str(kind),
            text=text if len(text) <= TEXT_LIMIT_CHARS else f"{text[: TEXT_LIMIT_CHARS - 1]}…",
            first_s=now_s,
            last_s=now_s,
            namespace=about.namespace if about else "",
            pod=about.name if about else "",
            pod_uid=about.uid if about else "",
            container=container.name if container else "",
        )
        self._keep(event)
        if self._timer is None:
            self._arm(SAVE_AFTER_S)

    def since(self, number: int) -> tuple[int, tuple[Event, ...]]:
        """What has happened since an earlier answer of this, whose number was so; 0, or one from the future, is all.

        The number to ask with next time comes first.
        """
        known = 0 if number > self._number else number
        return self._number, tuple(event for key, event in self._events.items() if self._numbers[key] > known)

    def close(self) -> None:
        """Save what has not been saved."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._write()

    def _keep(self, event: Event) -> None:
        identity = _identity(event)
        before = self._events.pop(identity, None)  # so that the first one is the one that is longest ago
        if before is not None:
            event = replace(event, first_s=before.first_s, count=before.count + 1)
        elif len(self._events) >= LIMIT:
            oldest = next(iter(self._events))
            del self._events[oldest], self._numbers[oldest]
        self._number += 1
        self._events[identity], self._numbers[identity] = event, self._number

    def _arm(self, delay_s: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._due)

    def _due(self) -> None:
        self._timer = None
        if not self._write():
            self._arm(RETRY_AFTER_S)

    def _write(self) -> bool:
        try:
            self._save(written(self._events.values()))
        except Degraded as error:
            log.warning("events.unsaved", error=str(error))
            return False
        return True


def _identity(event: Event) -> Identity:
    return event.kind, event.namespace, event.pod, event.pod_uid, event.container, event.text
