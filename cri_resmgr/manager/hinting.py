"""Where a new container's devices and volumes are, looked up while its CreateContainer waits.

    hints = await hinter.of_create(call.request, container, pod, deadline_s=…)   # in a hook, before the policy is asked

A look at a path may take as long as its file system likes, a dead NFS server for ever.  So it happens in a thread of
its own, and whoever waits goes on without hints when the time is up: they are advice.  Threads that hang are no more
than a few; as long as they all do, nobody is given hints.  A pod's annotation may say that it wants none.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence

import structlog

from cri_resmgr.cri import messages
from cri_resmgr.cri.messages import Device, Mount
from cri_resmgr.manager.turns import within
from cri_resmgr.policies.annotations import effective
from cri_resmgr.values.hints import Hint
from cri_resmgr.values.workloads import Container, Pod

ANNOTATION = "topologyhints.cri-resource-manager.intel.com"
LIMIT_THREADS = 8
DEADLINE_S = 0.2
_NO = frozenset({"0", "f", "false", "n", "no", "off"})

Look = Callable[[Sequence[Mount], Sequence[Device]], tuple[Hint, ...]]

log = structlog.get_logger("resource-manager")


class Hinter:
    """Asks `look`, which is `host.hints.hints` under the host's root; belongs to the event loop.

    Nobody looks as long as hints are not `needed`.
    """

    def __init__(self, look: Look, *, needed: Callable[[], bool] = lambda: True) -> None:
        self._look, self._needed = look, needed
        self._under_way = 0

    async def of_create(self, request: bytes, container: Container, pod: Pod, *, deadline_s: float) -> tuple[Hint, ...]:
        """The hints about the mounts and devices of a CreateContainer; none for want of them, or of time."""
        if not self._needed():
            return ()
        mounts, devices = messages.paths_of_create(request)
        if not (mounts or devices) or not _wanted(container, pod):
            return ()
        if self._under_way >= LIMIT_THREADS:
            log.warning("hints.skipped", container=container.key, error="earlier looks at file systems still hang")
            return ()
        looking = self._begin(mounts, devices)
        if await within(looking, min(DEADLINE_S, deadline_s)):
            return looking.result()
        paths = [mount.host_path for mount in mounts] + [device.host_path for device in devices]
        log.warning("hints.late", container=container.key, paths=paths)
        return ()

    def _begin(self, mounts: Sequence[Mount], devices: Sequence[Device]) -> "asyncio.Future[tuple[Hint, ...]]":
        loop = asyncio.get_running_loop()
        looking: asyncio.Future[tuple[Hint, ...]] = loop.create_future()

        def done(found: tuple[Hint, ...]) -> None:
            self._under_way -= 1
            looking.set_result(found)

        def look() -> None:
            found: tuple[Hint, ...] = ()
            try:
                found = self._look(mounts, devices)
            except Exception:
                log.exception("hints.broken")
            with contextlib.suppress(RuntimeError):  # the loop has ended while the file system hung
                loop.call_soon_threadsafe(done, found)

        self._under_way += 1
        threading.Thread(target=look, name="hints", daemon=True).start()  # one that hangs must not keep us from ending
        return looking


def _wanted(container: Container, pod: Pod) -> bool:
    said = effective(pod.annotations, ANNOTATION, container.name)
    return said is None or said[1].strip().lower() not in _NO
