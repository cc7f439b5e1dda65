"""What is written to an Extension object itself: claimed before the work, the status, released afterwards.

Whatever somebody else changes meanwhile is read again and kept; an object that is gone needs nothing more.  A status is
written only upon the one that we know: if there is another one by now, another leader works on the object, and what we
sent before we heard of that, however late it arrives, is refused by the API server.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from cri_resmgr.errors import Error
from cri_resmgr.kube.clients import Client
from cri_resmgr.kube.errors import ApiError, Conflict, NotFound
from cri_resmgr.kube.resources import Ref, Resource
from extension import finalizing, statuses
from extension.contract import ERROR, EXTENSIONS, Extension, extension, time_of
from extension.errors import codes
from extension.operations import Operation

ATTEMPTS = 5
SKEW = timedelta(minutes=5)
"""By how much a clock may be ahead of ours and still be believed."""

log = structlog.get_logger("extension")


@dataclass(frozen=True, slots=True)
class Recorder:
    """Writes to Extension objects."""

    client: Client
    now: Callable[[], datetime]

    async def read(self, ref: Ref) -> Extension:
        """The object as it is.  Raises NotFound."""
        return extension(await self.client.get(_there(ref), ref.name))

    async def claim(self, found: Extension, *, finalizer: bool) -> Extension:
        """Take the request to reconcile off and put our finalizer on; returns the object as it is then."""
        for _ in range(ATTEMPTS):
            patch = finalizing.claimed(found, finalizer=finalizer)
            if patch is None:
                return found
            with suppress(Conflict):
                return extension(await self.client.merge_patch(_there(found.ref), found.ref.name, patch))
            found = await self.read(found.ref)
        raise _storm(found.ref)

    async def begin(self, found: Extension, operation: Operation) -> Extension:
        """Say that work has begun; returns the object as it is then."""
        return await self._write(found, statuses.processing(operation, now=self._time(found)))

    async def fail(self, found: Extension, operation: Operation, reason: Exception | str) -> None:
        """Say that work has not ended well, if that can be said."""
        known = isinstance(reason, Error | str)
        text = statuses.failure(operation, str(reason) if known else f"{type(reason).__name__}: {reason}")
        said = codes(reason) if isinstance(reason, Exception) else ()
        patch = statuses.failed(operation, text=text, codes=said, generation=found.generation, now=self._time(found))
        try:
            await self._write(found, patch)
        except ApiError as error:
            log.warning("status.not_written", extension=str(found.ref), error=str(error), about=text)

    async def wait(self, found: Extension, operation: Operation, rest: str) -> None:
        """Say what a removal waits for, unless that has been said."""
        if found.last and found.last.state == ERROR and found.last.description == statuses.failure(operation, rest):
            return
        await self.fail(found, operation, rest)

    async def finish(self, found: Extension, operation: Operation) -> None:
        """Say that work has ended well, and let go of what belongs to it."""
        patch = statuses.succeeded(operation, generation=found.generation, now=self._time(found))
        with suppress(NotFound):
            await self._write(found, patch)
            if operation is Operation.DELETE:
                await self._release(found.ref)
            if operation is Operation.MIGRATE:
                await self.client.merge_patch(_there(found.ref), found.ref.name, finalizing.abandoned())
            if operation in {Operation.MIGRATE, Operation.RESTORE}:
                await self.client.merge_patch(_there(found.ref), found.ref.name, finalizing.answered())

    def _time(self, found: Extension) -> datetime:
        """Now, or when gardenlet has asked: its clock may be ahead of ours, and it takes no older answer."""
        now = self.now()
        with suppress(ValueError, TypeError):
            requested = time_of(found.requested)
            return max(now, requested) if requested - now < SKEW else now
        return now

    async def _release(self, ref: Ref) -> None:
        for _ in range(ATTEMPTS):
            found = await self.read(ref)
            if not found.ours:
                return
            with suppress(Conflict):
                await self.client.merge_patch(_there(ref), ref.name, finalizing.released(found))
                return
        raise _storm(ref)

    async def _write(self, found: Extension, patch: statuses.Patch) -> Extension:
        """Write a status; returns the object as it is then.  Raises Conflict when somebody else has written one."""
        for _ in range(ATTEMPTS):
            fenced = {**patch, "metadata": {"resourceVersion": found.version}}
            with suppress(Conflict):
                return extension(
                    await self.client.merge_patch(_there(found.ref), found.ref.name, fenced, subresource="status")
                )
            now = await self.read(found.ref)
            if now.last != found.last:
                raise Conflict(f"{found.ref}: somebody else has written its status; it is looked at again")
            found = now
        raise _storm(found.ref)


def _there(ref: Ref) -> Resource:
    return EXTENSIONS.within(ref.namespace)


def _storm(ref: Ref) -> Conflict:
    return Conflict(f"{ref}: others change the object all the time; who are they?")
