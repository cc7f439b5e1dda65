"""The reader's end: fetch a daemon's recording into a file until it is long enough, or somebody stops it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from cri_resmgr.cli.recording import talk
from cri_resmgr.cli.recording.files import File
from cri_resmgr.cli.recording.talk import Question, Reply
from cri_resmgr.errors import BadInput, Degraded
from cri_resmgr.wire.client import CallError, Client
from cri_resmgr.wire.grpc import FAILED_PRECONDITION, UNAVAILABLE

DEADLINE_S = 5.0
POLL_S = 0.25


class Reader:
    """Fetches from one daemon, whose state is in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._client = Client(str(talk.socket_in(directory)))

    async def begun(self) -> Reply:
        """A new recording. Raises BadInput and Degraded."""
        try:
            return await self._ask(Question())
        except CallError as error:
            if error.code == UNAVAILABLE:
                text = f"no daemon with --relay-dir {self._directory} listens ({error.text}); start it, and ask as root"
                raise BadInput(text) from error
            if error.code == FAILED_PRECONDITION:
                raise BadInput(error.text) from error
            raise Degraded(f"the daemon does not record: {error.text}") from error

    async def fetch(self, first: Reply, file: File, *, duration_s: float, stopped: asyncio.Event) -> None:
        """Write what happens until the time is up, the file is full or somebody has stopped it. Raises Degraded."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + duration_s
        reply, reason = first, _reason(file, stopped, late=lambda: loop.time() >= until_s)
        file.write(reply.lines)
        while not reply.ended:
            if not reply.more and not (stop := reason()):
                await _pause(stopped, min(POLL_S, max(until_s - loop.time(), 0)))
            stop = reason()
            try:
                reply = await self._ask(Question(reply.id, stop))
            except CallError as error:
                text = f"the daemon does not go on ({error.text}); {file.path} has what happened until then"
                raise Degraded(text) from error
            file.write(reply.lines)

    def close(self) -> None:
        """Ask no more."""
        self._client.close()

    async def _ask(self, question: Question) -> Reply:
        answer = await self._client.call(talk.NEXT, talk.write(question), deadline_s=DEADLINE_S)
        return talk.read_reply(answer)


def _reason(file: File, stopped: asyncio.Event, *, late: Callable[[], bool]) -> Callable[[], str]:
    """Why it should end now, "" if it should not."""

    def reason() -> str:
        if file.full:
            return f"the file has its {file.limit_bytes} bytes; what came after that is not in it"
        if stopped.is_set():
            return "stopped"
        return "its time was up" if late() else ""

    return reason


async def _pause(stopped: asyncio.Event, time_s: float) -> None:
    try:
        async with asyncio.timeout(time_s):
            await stopped.wait()
    except TimeoutError:
        return
