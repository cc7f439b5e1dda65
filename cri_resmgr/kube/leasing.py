"""One leader at a time, by a Lease.

    elector = Elector(client, Ref("garden", "leader"), identity=f"{hostname}_{uuid}")
    await elector.lead(work)                  # waits its turn; ends with the work, or with LeaseLost
    writing = client.guarded(elector.guard)   # what `work` writes with

Two never act at once: a leader that cannot renew cancels its work and awaits its end before anybody else may take the
lease, and a process whose work does not end then ends as a whole.  What was stopped altogether (SIGSTOP, a machine
that sleeps) cannot do so in time: it finds out at the guard, before its next write.

The clock is one that nobody sets.  When the work ends, or is cancelled, the lease is released for the next at once.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine
from math import inf
from typing import Any, NoReturn

import structlog

from cri_resmgr.kube.backoff import spread
from cri_resmgr.kube.clients import Client
from cri_resmgr.kube.errors import ApiError, Conflict, LeaseLost, NotFound
from cri_resmgr.kube.lease_records import LEASES, Observer, Terms, boottime_s, claimed, holder_of, released
from cri_resmgr.kube.resources import Object, Ref

TERMS = Terms()
LAST_CHANCE_S = 1.0
"""For a work that is cancelled too late anyway, after a stop of the whole process; the guard keeps it from writing."""

log = structlog.get_logger("kube")


def end_process() -> NoReturn:
    """Stop acting, now and without any clean-up, which would be acting."""
    os._exit(1)


class Elector:
    """A candidate for the lease `ref`; `identity` is of this process alone."""

    def __init__(
        self,
        client: Client,
        ref: Ref,
        *,
        identity: str,
        terms: Terms = TERMS,
        clock: Callable[[], float] = boottime_s,
    ) -> None:
        self._client = client
        self._leases = LEASES.within(ref.namespace)
        self._name = ref.name
        self._identity = identity
        self._terms = terms
        self._clock = clock
        self._what = f"lease {ref}"
        self._lease: Object = {}
        self._asked_s = -inf  # when we asked for what we were given last

    def guard(self) -> float:
        """For how many seconds we still lead, whatever happens; raises LeaseLost if we may not."""
        left_s = self._left_s(self._terms.duration_s)
        if left_s <= 0:
            raise LeaseLost(f"{self._what}: {self._identity} does not hold it, and may not write")
        return left_s

    async def lead(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Wait until we lead, then work; raises LeaseLost when the work was cancelled because we do no more."""
        try:
            await self._acquire()
            log.info("lease.acquired", lease=self._what, identity=self._identity)
            task = asyncio.create_task(work())
            try:
                await self._keep(task)
            finally:
                await self._end(task)
                await self._release()
        finally:
            self._client.outages.forget(self._what)
        task.result()

    async def _acquire(self) -> None:
        observer = Observer(self._identity, self._terms)
        while True:
            try:
                if await self._attempt(observer):
                    return
                self._client.outages.over(self._what)
            except Conflict:
                pass  # somebody was faster
            except ApiError as error:
                self._client.outages.failed(self._what, error)
            await asyncio.sleep(spread(self._terms.retry_s))

    async def _attempt(self, observer: Observer) -> bool:
        """Look at the lease, and take it if it is free."""
        deadline_s = self._terms.request_deadline_s
        try:
            lease = await self._client.get(self._leases, self._name, deadline_s=deadline_s)
            observer.see(lease, self._clock())
        except NotFound:  # perhaps deleted under a leader who does not know yet: what was seen of it still counts
            lease = {"metadata": {"name": self._name}}
        asked_s = self._clock()
        if asked_s < observer.free_s:
            return False
        write = self._client.replace if "resourceVersion" in lease["metadata"] else self._client.create
        self._lease = await write(self._leases, self._claimed(lease), deadline_s=deadline_s)
        self._asked_s = asked_s
        return True

    async def _keep(self, task: "asyncio.Task[None]") -> None:
        """Renew until the work ends; raises LeaseLost when others may lead from soon on."""
        while not task.done():
            pause_s = min(self._terms.retry_s, self._left_s(self._terms.renew_deadline_s))
            await asyncio.wait({task}, timeout=max(pause_s, 0.0))
            if not task.done():
                await self._renew()

    async def _renew(self) -> None:
        try:
            await self._rewrite(self._claimed, within_s=self._terms.renew_deadline_s)
            self._client.outages.over(self._what)
        except NotFound as error:
            self._lost(f"{self._what} was deleted", error)
        except ApiError as error:
            self._client.outages.failed(self._what, error)

    async def _rewrite(self, change: Callable[[Object], Object], *, within_s: float) -> None:
        """Change the lease that we hold, also after somebody else has written to it.

        `within_s` is counted from when we last asked with success.  Raises LeaseLost when that has passed, and when
        the lease is not ours.
        """
        try:
            await self._replace(change(self._lease), within_s)
        except Conflict:
            lease = await self._client.get(self._leases, self._name, deadline_s=self._deadline_s(within_s))
            if (holder := holder_of(lease)) != self._identity:
                self._lost(f"{self._what} is held by {holder or 'nobody'} now")
            await self._replace(change(lease), within_s)

    async def _replace(self, lease: Object, within_s: float) -> None:
        asked_s = self._clock()
        self._lease = await self._client.replace(self._leases, lease, deadline_s=self._deadline_s(within_s))
        self._asked_s = asked_s

    def _deadline_s(self, within_s: float) -> float:
        left_s = self._left_s(within_s)
        if left_s <= 0:
            raise LeaseLost(f"{self._what} could not be renewed within {within_s:g} s")
        return min(self._terms.request_deadline_s, left_s)

    def _claimed(self, lease: Object) -> Object:
        return claimed(lease, self._identity, self._terms)

    def _lost(self, text: str, cause: Exception | None = None) -> NoReturn:
        self._asked_s = -inf
        raise LeaseLost(text) from cause

    async def _end(self, task: "asyncio.Task[None]") -> None:
        """Cancel the work and await its end; the process does not outlive the lease if the work does."""
        if task.done():
            return
        left_s = max(self._left_s(self._terms.duration_s), LAST_CHANCE_S)
        fuse = asyncio.get_running_loop().call_later(left_s, self._burnt)
        task.add_done_callback(lambda _: fuse.cancel())
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled() and (error := task.exception()):
            log.error("lease.work_failed", lease=self._what, exc_info=error)

    def _burnt(self) -> None:
        log.critical("lease.work_survives", lease=self._what, remedy="none: this process ends now")
        end_process()

    async def _release(self) -> None:
        """Let the next one lead at once, if the lease is still ours."""
        try:
            await self._rewrite(released, within_s=self._terms.duration_s)
        except (ApiError, LeaseLost) as error:
            log.info("lease.not_released", lease=self._what, error=str(error))
        finally:
            self._asked_s = -inf

    def _left_s(self, length_s: float) -> float:
        """What is left of a time that began when we last asked with success."""
        return self._asked_s + length_s - self._clock()
