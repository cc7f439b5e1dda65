"""Serves the path, tries the daemon, and gives the path back."""

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from .pipes import FRAME_HEAD_BYTES, Pipe

SERVICE = "cri-resource-manager.service"
SOCKET_MODE = 0o660
BACKLOG = 1024
FIRST_PAUSE_S, LONGEST_PAUSE_S = 60.0, 900.0
STARTING_S = 60.0  # how long a daemon that is being tried may take
PROVEN_S = 10.0  # how long it must then stay up
# It has one try: as long as nobody has the path, new clients are refused.
ENDED = frozenset({"auto-restart", "auto-restart-queued", "failed", "dead"})
DRAIN_S = 5.0
LOCK_S = 30.0
COMMAND_S = 60.0
ANSWER_S = 5.0
# A client's first bytes, with empty SETTINGS.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000 04 00 00000000")


class Bypass:
    """One run."""

    def __init__(self, path: Path, runtime: str) -> None:
        self._path, self._runtime = path, runtime
        self._aside = path.with_name(f".{path.name}.bypass")
        self._pipes: dict[Pipe, asyncio.Task[None]] = {}
        self._stop, self._trial = asyncio.Event(), asyncio.Event()
        self._lock = -1

    async def run(self) -> int:
        """Serve until the daemon is proven or we are stopped; the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._trial.set)
        await self._take_lock()
        server = await self._listen()
        say("bypass.serving", self._path, self._runtime)
        try:
            await self._serve_until_proven()
        finally:
            server.close()
            await self._drain()
        return 0

    async def _listen(self) -> asyncio.AbstractServer:
        self._aside.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(self._aside))
        self._aside.chmod(SOCKET_MODE)
        listening.listen(BACKLOG)
        listening.setblocking(False)
        self._aside.rename(self._path)
        return await asyncio.start_unix_server(self._accept, sock=listening)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pipe = Pipe(writer)
        task = asyncio.current_task()
        if task is not None:
            self._pipes[pipe] = task
        try:
            await pipe.run(reader, self._runtime)
        finally:
            self._pipes.pop(pipe, None)

    async def _serve_until_proven(self) -> None:
        while not self._stop.is_set():
            if not await happened(self._stop, self._trial, deadline_s=self._next_pause_s()):
                # Its unit sends us the HUP before it begins.
                await systemctl("start", "--no-block", SERVICE)
                await happened(self._stop, self._trial, deadline_s=STARTING_S)
            if self._trial.is_set() and not self._stop.is_set():
                self._trial.clear()
                if await self._try_daemon():
                    return

    def _next_pause_s(self) -> float:
        """Longer each time, also over our own end, as long as the last time was not long ago."""
        note = self._path.with_name("bypass-pause")
        pause_s = FIRST_PAUSE_S
        with contextlib.suppress(OSError, ValueError):
            if time.time() - note.stat().st_mtime < 2 * LONGEST_PAUSE_S:
                pause_s = min(2 * float(note.read_text()), LONGEST_PAUSE_S)
        with contextlib.suppress(OSError):
            note.write_text(str(pause_s))
        return pause_s

    async def _try_daemon(self) -> bool:
        """Leave the path to the daemon, and see what it does with it; True when it is there to stay."""
        self._path.rename(self._aside)
        self._give_lock()
        say("daemon.tried")
        loop = asyncio.get_running_loop()
        begun_s, up_since_s = loop.time(), None
        while not await happened(self._stop, deadline_s=0.2):
            state = await systemctl("show", "--property=SubState", "--value", SERVICE)
            now_s = loop.time()
            up_since_s = (up_since_s or now_s) if state == "running" or state.startswith("reload") else None
            if up_since_s is not None and now_s - up_since_s >= PROVEN_S:
                if not await answers(self._path):
                    break
                say("daemon.proven")
                return True
            if state in ENDED or (up_since_s is None and now_s - begun_s > STARTING_S):
                break
        await self._take_path_back()
        return False

    async def _take_path_back(self) -> None:
        await systemctl("stop", SERVICE)
        await self._take_lock()
        self._aside.rename(self._path)
        self._trial.clear()
        say("bypass.serving", self._path, self._runtime)

    async def _drain(self) -> None:
        """Let what has begun end."""
        for pipe in self._pipes:
            pipe.leave()
        if self._pipes:
            await asyncio.wait(self._pipes.values(), timeout=DRAIN_S)
        for task in self._pipes.values():
            task.cancel()
        self._aside.unlink(missing_ok=True)

    async def _take_lock(self) -> None:
        """The lock that the daemon holds while it serves the path."""
        self._path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        self._lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        for _ in range(int(LOCK_S / 0.1)):
            with contextlib.suppress(OSError):
                return fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            await asyncio.sleep(0.1)
        raise TimeoutError(f"{self._path}.lock is held by a daemon that does not end")

    def _give_lock(self) -> None:
        os.close(self._lock)
        self._lock = -1


async def happened(*events: asyncio.Event, deadline_s: float) -> bool:
    """One of the events has come before the deadline."""
    waits: list[Coroutine[Any, Any, Any]] = [event.wait() for event in events]
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    done, pending = await asyncio.wait(tasks, timeout=deadline_s, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    return bool(done)


async def answers(path: Path) -> bool:
    """Somebody behind the path speaks HTTP/2: a daemon that hangs accepts, and says nothing."""
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                writer.write(PREFACE)
                return len(await reader.readexactly(FRAME_HEAD_BYTES)) == FRAME_HEAD_BYTES
            finally:
                writer.close()
    except (OSError, EOFError):
        return False


async def systemctl(*words: str) -> str:
    """What systemctl prints; '' when it does not end."""
    child = await asyncio.create_subprocess_exec(
        "systemctl", *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        text, _ = await asyncio.wait_for(child.communicate(), COMMAND_S)
    except TimeoutError:
        child.kill()
        await child.wait()
        return ""
    return text.decode(errors="replace").strip()


def say(event: str, *facts: object) -> None:
    """One line for the journal."""
    sys.stderr.write(" ".join((event, *map(str, facts))) + "\n")
