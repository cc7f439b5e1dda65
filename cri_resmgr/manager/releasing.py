"""Everything is given back: each container gets again what the kubelet asked for, and what was decided is forgotten.

For a node that goes on without us, so no daemon runs meanwhile: the ledger is the store's, the runtime is asked what
there is.  Only fields that were ever decided are set back.  What the kubelet has not asked for has no value that an
update could name, as "" and 0 mean "leave it": such a container gets all CPUs and memory nodes of the machine, the
kernel's own weight, no quota.

It may be repeated: a container that was given back holds nothing, and is passed over the next time.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace

from cri_resmgr.cri.runtime import Runtime
from cri_resmgr.state.ledger import Ledger
from cri_resmgr.values.decisions import HOLDING_NOTHING
from cri_resmgr.values.resources import NOTHING, Assignment, Resources
from cri_resmgr.values.workloads import Container, State
from cri_resmgr.wire.client import CallError

AT_ONCE = 8  # updates under way
REASONS = ("released: the kubelet's own values",)
_OWNABLE = tuple(field.name for field in fields(Assignment))


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one container; with an `error` it still has what it had."""

    container: Container
    gone: bool = False
    error: str = ""


def holders(ledger: Ledger) -> tuple[Container, ...]:
    """The containers about which something was decided."""
    free = NOTHING, NOTHING, HOLDING_NOTHING
    return tuple(c for c in ledger.containers.values() if (c.given, c.told, c.holding) != free)


def everything(cpus: str, mems: str) -> Resources:
    """What a container has for which nothing was asked, on a machine with these CPUs and memory nodes."""
    return Resources(100_000, -1, 1024, cpuset_cpus=cpus, cpuset_mems=mems)


def given_back(container: Container, unasked: Resources) -> Resources:
    """What to tell the runtime so that the container has what was asked again; `unasked` where nothing was."""
    owned = [
        name for name in _OWNABLE if any(getattr(had, name) is not None for had in (container.given, container.told))
    ]
    return Resources(**{name: getattr(container.asked, name) or getattr(unasked, name) for name in owned})


async def release(
    ledger: Ledger, runtime: Runtime, unasked: Resources, *, report: Callable[[Fate], None]
) -> tuple[Fate, ...]:
    """Give back what the ledger's containers hold, and forget it there; raises `CallError` if nobody answers.

    `unasked` is `everything` that the machine has; `report` is told each container's fate as it is known.
    """
    exists = await _existing(runtime)
    places = asyncio.Semaphore(AT_ONCE)

    async def one(container: Container) -> Fate:
        async with places:
            fate = await _released(container, exists, runtime, unasked)
        if fate.gone:
            ledger.drop(container.key)
        elif not fate.error:
            ledger.put(_free(container))
        report(fate)
        return fate

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(container)) for container in holders(ledger)]
    return tuple(task.result() for task in tasks)


async def _released(
    container: Container, exists: Mapping[str, Container], runtime: Runtime, unasked: Resources
) -> Fate:
    now = exists.get(container.key)
    try:
        if now is not None and now.state is not State.EXITED:
            await runtime.update(now.id, given_back(container, unasked))
    except CallError as error:
        with contextlib.suppress(CallError):  # it may have ended while we were at others
            now = (await _existing(runtime)).get(container.key)
        if now is not None and now.state is not State.EXITED:
            return Fate(container, error=error.text)
    return Fate(container, gone=now is None)


async def _existing(runtime: Runtime) -> dict[str, Container]:
    return {container.key: container for container in await runtime.containers()}


def _free(container: Container) -> Container:
    return replace(container, given=NOTHING, told=NOTHING, holding=HOLDING_NOTHING, reasons=REASONS, candidates=())
