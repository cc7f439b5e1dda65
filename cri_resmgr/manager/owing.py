"""Whom the runtime must be told something about, in which order, and what has failed so far."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cri_resmgr.manager.differences import leaving
from cri_resmgr.state.ledger import Ledger
from cri_resmgr.values.resources import NOTHING
from cri_resmgr.values.workloads import Container

FIRST_RETRY_S, LAST_RETRY_S = 0.5, 30.0
LASTING_TIMES = 3  # from here on a failure is no hiccup


@dataclass(frozen=True, slots=True)
class Failure:
    """What the runtime does not take: how often, what it said, and when to try again, by the loop's clock."""

    times: int
    text: str
    pause_s: float
    again_s: float


class Failures:
    """The last failure of each container that has not been told since; belongs to the event loop."""

    def __init__(self) -> None:
        self._last: dict[str, Failure] = {}

    def add(self, key: str, text: str) -> Failure:
        """Once more."""
        before = self._last.get(key)
        pause_s = min(2 * before.pause_s, LAST_RETRY_S) if before else FIRST_RETRY_S
        again_s = asyncio.get_running_loop().time() + pause_s
        self._last[key] = Failure(before.times + 1 if before else 1, text, pause_s, again_s)
        return self._last[key]

    def forget(self, key: str) -> None:
        """It has worked, or does not matter any more."""
        self._last.pop(key, None)

    def waits(self, key: str) -> bool:
        """Whether it is too early for another try."""
        last = self._last.get(key)
        return last is not None and asyncio.get_running_loop().time() < last.again_s

    def of(self, key: str) -> Failure | None:
        """The last one, None if there is none."""
        return self._last.get(key)

    def keys(self) -> frozenset[str]:
        """Whom it has met."""
        return frozenset(self._last)

    def lasting(self, matters: Callable[[str], bool]) -> dict[str, Failure]:
        """Those that are no hiccups, by key; what does not matter any more is forgotten."""
        self._last = {key: failure for key, failure in self._last.items() if matters(key)}
        return {key: failure for key, failure in self._last.items() if failure.times >= LASTING_TIMES}


class Owing:
    """The queue: those that leave CPUs, and may thereby hold somebody up, before all others.

    Beside what the ledger says is owed there are the `doubted`, of whom nobody knows what they have, and those that
    must be told everything `again`.  At first everybody is doubted who was ever given something.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger, self.failures = ledger, Failures()
        self._urgent: dict[str, None] = {}
        self._others: dict[str, None] = {}
        self.doubted, self.again = {c.key for c in ledger.holders.values() if was_given(c)}, set[str]()
        for key in tuple(self.doubted):
            self.add(key)

    def __contains__(self, key: str) -> bool:
        unsure = key in self.doubted or key in self.again
        return key in self._ledger.owed or (unsure and key in self._ledger.holders)

    def __len__(self) -> int:
        return len(self._ledger.owed.keys() | self.doubted | self.again)

    def __bool__(self) -> bool:
        return bool(self._ledger.owed or self.doubted or self.again)

    def doubt(self, key: str) -> None:
        """Nobody knows what the container has; of one that was never given anything, nothing needs to be known."""
        container = self._ledger.holders.get(key)
        if container is not None and was_given(container):
            self.doubted.add(key)
            self.add(key)

    def repeat(self, key: str) -> None:
        """The container must be told everything."""
        if key in self._ledger.holders:
            self.again.add(key)
            self.add(key)

    def add(self, key: str) -> None:
        """Something may have to be told."""
        if key in self:
            urgent = leaving(self._ledger.holders[key], unsure=self._is_unsure(key))
            self._leave(key)
            (self._urgent if urgent else self._others)[key] = None

    def next(self, is_ready: Callable[[Container], bool]) -> Container | None:
        """Whose turn it is."""
        for queue in (self._urgent, self._others):
            for key in tuple(queue):
                if key not in self:
                    self.settle(key)
                elif is_ready(self._ledger.holders[key]):
                    return self._ledger.holders[key]
        return None

    def settle(self, key: str) -> None:
        """Nothing is in doubt any more; what is owed, the ledger says."""
        self.doubted.discard(key)
        self.again.discard(key)
        self._leave(key)
        self.add(key)

    def are_others_on(self, cpus: int, *, but: str) -> bool:
        """Whether a container may still run on one of these CPUs, which it is to leave."""
        keys: Iterable[str] = self._ledger.owed.keys() | self.doubted | self.again
        there = (self._ledger.holders[key] for key in keys if key != but and key in self._ledger.holders)
        return any(c.id and leaving(c, unsure=self._is_unsure(c.key)) & cpus for c in there)

    def _is_unsure(self, key: str) -> bool:
        return key in self.doubted or key in self.again

    def _leave(self, key: str) -> None:
        self._urgent.pop(key, None)
        self._others.pop(key, None)


def was_given(container: Container) -> bool:
    """Whether anything of it is, or was, ours."""
    return container.due != NOTHING or container.told != NOTHING
