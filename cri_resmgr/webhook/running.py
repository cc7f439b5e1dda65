"""The life of the webhook: load the certificate, listen, follow renewals, leave.

Leaving takes a few seconds on purpose.  When a pod ends, some API server still believes in it for a moment, and what
it sends then would be a pod without annotation.  So at the first SIGTERM or SIGINT we only say that we are not ready
and serve on; a second one ends that at once.
"""

import asyncio
import contextlib
import signal
from dataclasses import dataclass
from pathlib import Path

import structlog

from cri_resmgr import __version__
from cri_resmgr.webhook.answering import Answers
from cri_resmgr.webhook.certificates import Certificate
from cri_resmgr.webhook.serving import Server

LEAVING_S = 5.0

log = structlog.get_logger("webhook")


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    port: int
    cert_file: Path
    key_file: Path


async def run(options: Options) -> None:
    """Serve until a signal comes.  Raises BadInput before anything is served."""
    signals = _signals()
    log.info("webhook.starting", version=__version__)
    certificate = Certificate(options.cert_file, options.key_file)
    answers = Answers(certificate)
    server = Server(certificate, answers)
    await server.start(options.port)
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(certificate.follow(), name="certificate.follow")
        await signals.get()
        answers.leaving = True
        log.info("webhook.leaving", seconds=LEAVING_S)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(signals.get(), LEAVING_S)
        following.cancel()
    await server.close()
    log.info("webhook.stopped")


def _signals() -> asyncio.Queue[signal.Signals]:
    """The signals to end, from now on, as they come."""
    loop, come = asyncio.get_running_loop(), asyncio.Queue[signal.Signals]()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, come.put_nowait, number)
    return come
