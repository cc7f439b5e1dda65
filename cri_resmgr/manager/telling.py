"""One container is told what it is owed: looked up first where nobody knows what it has, and stored before it is sent.

Whatever goes wrong is a failure of this one container, to be tried again later; that it is gone is none.
"""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from cri_resmgr.cri.messages import Undecodable
from cri_resmgr.cri.runtime import Runtime
from cri_resmgr.manager.differences import OWNABLE, Whole, due, told_by
from cri_resmgr.manager.owing import LASTING_TIMES, Failure, Owing
from cri_resmgr.state.ledger import Ledger
from cri_resmgr.state.writer import Writer
from cri_resmgr.values.resources import Resources
from cri_resmgr.values.workloads import Container
from cri_resmgr.wire.client import CallError
from cri_resmgr.wire.grpc import NOT_FOUND

log = structlog.get_logger("resource-manager")


@dataclass(slots=True)
class EnforcingCounters:
    """Updates that the runtime has taken, and has not; calls that waited for some, and those that waited in vain."""

    sent: int = 0
    failed: int = 0
    waited: int = 0
    uncleared: int = 0


class Teller:
    """Talks to the runtime; whose turn it is, others decide."""

    def __init__(
        self, ledger: Ledger, writer: Writer, runtime: Runtime, *, owing: Owing, whole: Callable[[], Whole]
    ) -> None:
        self._ledger, self._writer, self._runtime = ledger, writer, runtime
        self._owing, self._whole = owing, whole
        self.counters = EnforcingCounters()

    async def tell(self, container: Container) -> Failure | None:
        """Bring a container up to date, or find out what it has; the failure if that does not work."""
        try:
            if container.key in self._owing.doubted:
                await self._look_up(container)
            else:
                await self._bring(container)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not be tried again at once
            return self._failed(container, error)
        return None

    async def update(self, container: Container, has: Resources | None) -> None:
        """Set what is due to a container that has this; None: nobody knows.  Raises `CallError`."""
        resources = due(container, has, self._whole)
        if resources != Resources():
            said = {name: value for name in OWNABLE if (value := getattr(resources, name))}
            log.debug("container.updated", container=container.key, id=container.id, **said)
            await self._runtime.update(container.id, resources)
            self.counters.sent += 1

    async def _look_up(self, container: Container) -> None:
        """What the container has is what the runtime was told; what is owed follows from that."""
        key, has = container.key, await self._runtime.resources(container.id)
        again = has is None or key in self._owing.again
        now = self._ledger.holders.get(key)
        self._owing.settle(key)
        if now is not None and now.id == container.id:
            if has is not None:
                self._ledger.told(key, told_by(now, has))
                self._writer.soon()
            if again:
                self._owing.repeat(key)
            self._owing.add(key)

    async def _bring(self, container: Container) -> None:
        again = container.key in self._owing.again
        await self._writer.now()  # a decision is in the store before it has an effect
        now = self._ledger.holders.get(container.key)
        if now is not None and now.id == container.id:
            await self.update(now, None if again else now.told.over(now.asked))
            self._succeeded(now)

    def _succeeded(self, told: Container) -> None:
        """The container has what it was given when we began; it may have been given something else since."""
        now = self._ledger.containers.get(told.key)
        if now is not None and now.id == told.id:
            self._ledger.told(told.key, told.due)
            self._writer.soon()
        self._owing.failures.forget(told.key)
        self._owing.settle(told.key)

    def _failed(self, container: Container, error: Exception) -> Failure | None:
        if isinstance(error, CallError) and error.code == NOT_FOUND:  # gone: the lists will say so
            self._succeeded(container)
            return None
        self.counters.failed += 1
        failure = self._owing.failures.add(container.key, str(error))
        if failure.times in {1, LASTING_TIMES}:
            trace = None if isinstance(error, CallError | Undecodable) else error
            log.warning("enforcing.failed", container=container.key, error=str(error), exc_info=trace)
        return failure
