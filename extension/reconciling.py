"""One Extension, once: which operation it asks for, that operation, and what its status says of it.

The order of reads and writes is that of Gardener's own library.  Nothing waits for nodes here: what must be waited
for, at the end of an installation only, is looked at again later.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from cri_resmgr.errors import Degraded
from cri_resmgr.kube.backoff import spread
from cri_resmgr.kube.clients import Client
from cri_resmgr.kube.errors import NotFound
from cri_resmgr.kube.resources import Ref
from extension.beside import Beside
from extension.carrying import Carrier
from extension.clusters import Shoot, shoot_of
from extension.contract import ERROR, EXTENSIONS, Extension, extension, is_of_our_type, time_of
from extension.installing import Installer
from extension.observing import Finished, Observer, class_of
from extension.operations import Operation, decide, is_asked
from extension.options import Options
from extension.recording import Recorder
from extension.removing import Manner, Remover

LOOK = "Look"
_LEAVING = frozenset({Operation.DELETE, Operation.MIGRATE})


@dataclass(frozen=True, slots=True)
class Ended:
    """How one piece of work has ended; `again_s` is when to look at the object again."""

    outcome: str
    again_s: float | None


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Works on Extensions."""

    client: Client
    options: Options
    now: Callable[[], datetime]
    observer: Observer
    recorder: Recorder
    carrier: Carrier
    beside: Beside
    installer: Installer
    remover: Remover

    async def work(self, ref: Ref) -> float | None:
        """Do what the Extension asks for, if anything; returns after how many seconds to look again.

        Raises whatever has gone wrong, after the status says so.
        """
        try:
            thing = await self.client.get(EXTENSIONS.within(ref.namespace), ref.name)
            found = extension(thing)
            operation = decide(found) if is_of_our_type(thing) else None
            if operation is None:
                return None
            shoot = await shoot_of(self.client, ref.namespace)
            if shoot.failed:
                return None
            if is_asked(found):
                return await self._counted(operation.value, self._operate(operation, found, shoot))
            return await self._counted(LOOK, self._look(found, shoot))
        except NotFound:
            if await self._is_gone(ref):
                return None
            raise

    async def _is_gone(self, ref: Ref) -> bool:
        try:
            await self.recorder.read(ref)
        except NotFound:
            return True
        return False

    async def _operate(self, operation: Operation, found: Extension, shoot: Shoot) -> Ended:
        found = await self.recorder.claim(found, finalizer=operation not in _LEAVING)
        if operation is Operation.DELETE and not found.ours:
            return Ended("succeeded", None)
        try:
            async with asyncio.timeout(self.options.deadline_s):
                if not _is_waiting(operation, found):
                    found = await self.recorder.begin(found, operation)
                rest = await self._done(operation, found, shoot)
        except TimeoutError as error:
            late = Degraded(f"not done within {self.options.deadline_s:g} s; it is tried again")
            await self.recorder.fail(found, operation, late)
            raise late from error
        except Exception as error:
            await self.recorder.fail(found, operation, error)
            raise
        if rest:
            return await self._wait(operation, found, shoot, rest)
        await self.recorder.finish(found, operation)
        return Ended("succeeded", None if operation in _LEAVING else spread(self.options.resync_s))

    async def _done(self, operation: Operation, found: Extension, shoot: Shoot) -> str:
        """Do it; returns what is still to come, in words."""
        namespace = found.ref.namespace
        if operation is Operation.MIGRATE:
            return await self.remover.step(namespace, shoot, Manner.KEEPING)
        if operation is not Operation.DELETE:
            await self.carrier.bring(await self.installer.cargo(found, shoot))
            await self.beside.bring(namespace)
            return ""
        if shoot.force_deletion:
            await self.remover.force(namespace)
            return ""
        return await self.remover.step(namespace, shoot, Manner.CLEAN if shoot.may_have_nodes else Manner.AT_ONCE)

    async def _wait(self, operation: Operation, found: Extension, shoot: Shoot, rest: str) -> Ended:
        """While a shoot is asleep nothing can go on, and nobody waits: gardenlet does not either."""
        late = self.now() - self._since(operation, found) > timedelta(seconds=self.options.told_s)
        if (late or (_is_waiting(operation, found) and _has_failed(found))) and not shoot.hibernated:
            await self.recorder.wait(found, operation, rest)
        return Ended("waiting", self.options.poll_s)

    def _since(self, operation: Operation, found: Extension) -> datetime:
        """Since when an operation has been waiting."""
        if operation is Operation.DELETE and found.deleted:
            return time_of(found.deleted)
        if _is_waiting(operation, found) and found.last and found.last.updated:
            return time_of(found.last.updated)
        return self.now()

    async def _look(self, found: Extension, shoot: Shoot) -> Ended:
        """Compare an Extension that nobody asks about with what it should be; write nothing if nothing differs."""
        cargo = await self.installer.cargo(found, shoot)
        if await self.carrier.is_there(cargo) and await self.beside.is_there(found.ref.namespace):
            return Ended("succeeded", spread(self.options.resync_s))
        return await self._operate(Operation.RECONCILE, found, shoot)

    async def _counted(self, name: str, work: Coroutine[Any, Any, Ended]) -> float | None:
        begun_s = monotonic()
        try:
            ended = await work
        except Exception as error:
            self.observer(Finished(name, class_of(error), monotonic() - begun_s))
            raise
        self.observer(Finished(name, ended.outcome, monotonic() - begun_s))
        return ended.again_s


def _is_waiting(operation: Operation, found: Extension) -> bool:
    """Does an operation go on that has been waiting for something?"""
    return operation in _LEAVING and not found.settled and found.last is not None and found.last.kind == operation.value


def _has_failed(found: Extension) -> bool:
    return found.last is not None and found.last.state == ERROR
