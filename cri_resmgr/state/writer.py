"""When the store is told: in batches 10 ms after a change, and at once where a crash must not forget.

The manager calls `now` before it forwards a CreateContainer, so that a decision is on disk before it has an effect,
and `soon` for everything else: reconciling covers a lost batch, and committing around every call would halve the
throughput of pod starts.  Both write whatever is pending, in one transaction with the values to `keep`.

A write that fails loses nothing: the changes stay in the ledger and are tried again, less and less often.  The daemon
goes on meanwhile; `healthy` and `last_error` say so.
"""

import asyncio
from collections.abc import Mapping

import structlog

from cri_resmgr.errors import Degraded
from cri_resmgr.state.checkpoint import LIMIT_BYTES, Checkpointer
from cri_resmgr.state.failures import CorruptError
from cri_resmgr.state.ledger import Changes, Ledger
from cri_resmgr.state.store import Store

INTERVAL_S = 0.010
FIRST_RETRY_S, LAST_RETRY_S = 0.1, 5.0

log = structlog.get_logger("store")


class Writer:
    """Carries changes from the ledger to the store; belongs to the event loop."""

    __slots__ = (
        "_checkpointer",
        "_interval_s",
        "_kept",
        "_ledger",
        "_retry_s",
        "_store",
        "_timer",
        "_values",
        "last_error",
    )

    def __init__(
        self, ledger: Ledger, store: Store, *, interval_s: float = INTERVAL_S, log_limit_bytes: int = LIMIT_BYTES
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._interval_s = interval_s
        self._checkpointer = Checkpointer(store.path, limit_bytes=log_limit_bytes)
        self._timer: asyncio.TimerHandle | None = None
        self._kept: dict[str, str] = {}  # all values, for a store that must start anew
        self._values: dict[str, str] = {}  # of those, what the store does not have yet
        self._retry_s = FIRST_RETRY_S
        self.last_error: Degraded | None = None

    @property
    def healthy(self) -> bool:
        """Whether the last write succeeded."""
        return self.last_error is None

    def soon(self) -> None:
        """Write what is pending within the interval, or at the next retry if the store fails."""
        if self._timer is None:
            self._arm(self._interval_s)

    def keep(self, values: Mapping[str, str]) -> None:
        """Write values beside the ledger, together with whatever is pending: what belongs together is one write."""
        self._kept.update(values)
        self._values.update(values)
        self.soon()

    async def now(self) -> bool:
        """Write what is pending; True if the store has it all, False if it is tried again later."""
        # In a task: hooks of the relay have none, and a time limit needs one.
        if self._checkpointer.paused and not await asyncio.create_task(self._checkpointer.resumed()):
            self.soon()
            return False
        return self._write()

    async def close(self) -> bool:
        """Write what is pending for the last time; the store stays open."""
        await self._checkpointer.finish()
        written = self._write()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self._checkpointer.finish()
        return written

    def _arm(self, delay_s: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._due)

    def _due(self) -> None:
        self._timer = None
        if self._checkpointer.paused:
            self.soon()
        else:
            self._write()

    def _write(self) -> bool:
        changes, values = self._ledger.take_changes(), self._values
        if not changes and not values:
            return True
        self._values = {}
        try:
            self._store.write(changes, values)
        except Degraded as error:
            self._put_back(changes, values)
            self._failed(error)
            return False
        except BaseException:
            self._put_back(changes, values)
            raise
        self._succeeded()
        return True

    def _put_back(self, changes: Changes, values: dict[str, str]) -> None:
        self._ledger.put_back(changes)
        self._values = values | self._values

    def _succeeded(self) -> None:
        self._checkpointer.grown(self._store.wal_bytes)
        if self.last_error is not None:
            log.info("store.recovered", path=str(self._store.path))
            self.last_error = None
            self._retry_s = FIRST_RETRY_S

    def _failed(self, error: Degraded) -> None:
        if isinstance(error, CorruptError) and not self._checkpointer.running:  # which has the damaged file open
            error = self._start_anew(error)
        if self.last_error is None:
            log.error("store.degraded", path=str(self._store.path), error=str(error))
        self.last_error = error
        if self._timer is None:
            self._arm(self._retry_s)
            self._retry_s = min(2 * self._retry_s, LAST_RETRY_S)

    def _start_anew(self, error: CorruptError) -> Degraded:
        # First the ledger: should the disk fail in the middle, the next write must still tell everything.
        self._ledger.take_back_all()
        self._values = dict(self._kept)
        try:
            self._store.start_anew(error)
        except Degraded as failure:
            return failure
        return error
