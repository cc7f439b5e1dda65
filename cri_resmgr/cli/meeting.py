"""Meeting the runtime at start: wait for it as long as it takes, say so, and refuse one that we do not know."""

import asyncio
from collections.abc import Callable

import structlog

from cri_resmgr.cri.messages import Undecodable, Version
from cri_resmgr.cri.runtime import Runtime
from cri_resmgr.errors import BadInput
from cri_resmgr.wire.client import CallError
from cri_resmgr.wire.grpc import DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE

log = structlog.get_logger("resource-manager")

TESTED = ("containerd", "cri-o")
RETRY_S = 0.25
REPORT_EVERY_S = 5.0
ATTEMPT_DEADLINE_S = 5.0
NOT_YET = frozenset({UNAVAILABLE, DEADLINE_EXCEEDED})


async def meet(runtime: Runtime, path: str, *, allow_untested: bool, waiting: Callable[[float], None]) -> Version:
    """The runtime's version, once it answers; `waiting` is told the seconds so far.

    Raises `BadInput` for something that is no CRI runtime, or one that has not been tested with us.
    """
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    reported_s = begun_s - REPORT_EVERY_S
    while True:
        try:
            version = await runtime.version(deadline_s=ATTEMPT_DEADLINE_S)
        except CallError as error:
            if error.code not in NOT_YET:
                hint = (
                    "is it a container runtime, with its CRI plugin enabled?" if error.code != INTERNAL else error.text
                )
                raise BadInput(f"--runtime-socket {path}: does not speak CRI v1 ({error.text}); {hint}") from error
            waited_s = loop.time() - begun_s
            waiting(waited_s)
            if loop.time() - reported_s >= REPORT_EVERY_S:
                reported_s = loop.time()
                log.warning("runtime.awaited", socket=path, waited_s=round(waited_s, 1), error=error.text)
            await asyncio.sleep(RETRY_S)
        except Undecodable as error:
            raise BadInput(f"--runtime-socket {path}: does not speak CRI v1: {error}") from error
        else:
            return _known(version, path, allow_untested=allow_untested)


def _known(version: Version, path: str, *, allow_untested: bool) -> Version:
    log.info("runtime.met", socket=path, name=version.runtime, version=version.version)
    if not version.runtime.startswith(TESTED):
        text = f"--runtime-socket {path}: runtime {version.runtime!r} is not tested with cri-resmgr"
        if not allow_untested:
            raise BadInput(f"{text}; tested are {' and '.join(TESTED)}, --allow-untested-runtimes takes any")
        log.warning("runtime.untested", name=version.runtime)
    return version
