"""Everything is given back: each container gets again what the kubelet asked for, and what was decided is forgotten.

For a node that goes on without us, so no daemon runs meanwhile: the ledger is the store's, the runtime is asked what
there is.  Only fields that were ever decided are set back, and what was not asked for to all that there is.

It may be repeated: a container that was given back holds nothing, and is passed over the next time.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from cri_resmgr.cri.messages import Undecodable
from cri_resmgr.cri.runtime import Runtime
from cri_resmgr.manager.differences import OWNABLE, Whole, due
from cri_resmgr.state.ledger import Ledger
from cri_resmgr.values.adjustments import UNADJUSTED
from cri_resmgr.values.decisions import HOLDING_NOTHING
from cri_resmgr.values.resources import NOTHING, Resources
from cri_resmgr.values.workloads import Container, State
from cri_resmgr.wire.client import CallError

AT_ONCE = 8  # updates under way
REASONS = ("released: the kubelet's own values",)


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one container; with an `error` it still has what it had."""

    container: Container
    gone: bool = False
    error: str = ""


def holders(ledger: Ledger) -> tuple[Container, ...]:
    """The containers about which something was decided."""
    free = NOTHING, NOTHING, HOLDING_NOTHING
    return tuple(c for c in ledger.containers.values() if (c.due, c.told, c.holding) != free)


def given_back(container: Container, whole: Whole) -> Resources:
    """What to tell the runtime so that the container has again what was asked, however far the last decision got."""
    ever = {name: value for name in OWNABLE if (value := getattr(container.due, name)) is not None}
    free = replace(container, given=NOTHING, told=replace(container.told, **ever), adjustment=UNADJUSTED)
    return due(free, None, lambda: whole)


async def release(
    ledger: Ledger, runtime: Runtime, whole: Whole, *, report: Callable[[Fate], None]
) -> tuple[Fate, ...]:
    """Give back what the ledger's containers hold, and forget it there; raises `CallError` if nobody answers.

    `whole` is the machine; `report` is told each container's fate as it is known.
    """
    exists = await _existing(runtime)
    places = asyncio.Semaphore(AT_ONCE)

    async def one(container: Container) -> Fate:
        async with places:
            fate = await _released(container, exists, runtime, whole)
        if fate.gone:
            ledger.drop(container.key)
        elif not fate.error:
            ledger.put(_free(container))
        report(fate)
        return fate

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(container)) for container in holders(ledger)]
    return tuple(task.result() for task in tasks)


async def _released(container: Container, exists: Mapping[str, Container], runtime: Runtime, whole: Whole) -> Fate:
    now = exists.get(container.key)
    try:
        if now is not None and now.state is not State.EXITED:
            await runtime.update(now.id, given_back(container, whole))
    except CallError as error:
        with contextlib.suppress(CallError, Undecodable):  # it may have ended while we were at others
            now = (await _existing(runtime)).get(container.key)
        if now is not None and now.state is not State.EXITED:
            return Fate(container, error=error.text)
    return Fate(container, gone=now is None)


async def _existing(runtime: Runtime) -> dict[str, Container]:
    return {container.key: container for container in await runtime.containers()}


def _free(container: Container) -> Container:
    free = replace(container, given=NOTHING, told=NOTHING, holding=HOLDING_NOTHING, adjustment=UNADJUSTED)
    return replace(free, reasons=REASONS, candidates=(), revisit_after_start_s=0.0)
