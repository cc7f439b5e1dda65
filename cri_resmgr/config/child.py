"""How daemon and agent read a configuration: another process parses the text (law 11), we take plain values.

The child, `cri-resmgr config check`, limits its own memory and time before it reads; whatever it does, we
wait no longer than the deadline and take no more than `LIMIT_ANSWER_BYTES`.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping

from cri_resmgr.config import settings
from cri_resmgr.errors import BadInput, Degraded

LIMIT_ADDRESS_BYTES = 512 << 20
LIMIT_CPU_S = 8
LIMIT_ANSWER_BYTES = 4 << 20
_CHECK = ("-P", "-B", "-m", "cri_resmgr.cli.main", "config", "check", "--output", "json", "--limited")
_CHUNK_BYTES = 1 << 16
_RIGHT, _WRONG = 0, 2
_PRIVATE = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")


async def read(path: str, *, deadline_s: float = 10.0, command: tuple[str, ...] = ()) -> settings.Settings:
    """The settings in the file at `path`.

    Raises BadInput with one line for each problem of the file, and Degraded when the child could not do its work.
    `command` replaces the child in tests.
    """
    argv = (*(command or (sys.executable, *_CHECK)), os.path.abspath(path))  # noqa: ASYNC240, PTH100 - touches no disk
    return await _asked(path, argv, b"", deadline_s=deadline_s)


async def read_sections(
    data: Mapping[str, str], source: str, *, deadline_s: float = 10.0, command: tuple[str, ...] = ()
) -> settings.Settings:
    """The settings in the data of a ConfigMap, which is called `source`; raises as `read` does."""
    argv = (*(command or (sys.executable, *_CHECK)), "--sections", "--source", source, "-")
    return await _asked(source, argv, json.dumps(dict(data)).encode(), deadline_s=deadline_s)


async def _asked(path: str, argv: tuple[str, ...], given: bytes, *, deadline_s: float) -> settings.Settings:
    """What the child answers who reads `given` from its standard input."""
    try:
        child = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE if given else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd="/",
            env=_environment(os.environ),
        )
    except OSError as error:
        raise Degraded(f"{path}: the checking process cannot be started: {error}; free memory or processes") from error
    try:
        async with asyncio.timeout(deadline_s):
            answer, complaint, _ = await asyncio.gather(
                _bounded(child.stdout), _bounded(child.stderr), _give(child.stdin, given)
            )
            status = await child.wait()
    except TimeoutError as error:
        raise Degraded(
            f"{path}: not read within {deadline_s:g} s; is it on a file system that hangs, or the machine overloaded?"
        ) from error
    finally:
        await _end(child)
    return _judged(path, status, answer, complaint)


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    """What the child may know: nothing of what systemd says to the daemon alone."""
    return {name: value for name, value in ours.items() if name not in _PRIVATE}


async def _give(stream: asyncio.StreamWriter | None, given: bytes) -> None:
    """Write all of it and close; a child that ends early has its reasons, which its status tells."""
    if stream is None:
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        stream.write(given)
        await stream.drain()
        stream.close()
        await stream.wait_closed()


async def _bounded(stream: asyncio.StreamReader | None) -> bytes:
    """What the child writes until it closes the pipe, without what goes beyond the limit."""
    assert stream is not None, "both outputs are pipes"  # noqa: S101
    kept = bytearray()
    while chunk := await stream.read(_CHUNK_BYTES):
        kept += chunk[: LIMIT_ANSWER_BYTES - len(kept)]
    return bytes(kept)


async def _end(child: asyncio.subprocess.Process) -> None:
    """End the child if it lives, and read its pipes to their end: asyncio closes them only then."""
    if child.returncode is None:
        child.kill()
    for stream in (child.stdout, child.stderr):
        while stream is not None and await stream.read(_CHUNK_BYTES):
            pass
    await child.wait()


def _judged(path: str, status: int, answer: bytes, complaint: bytes) -> settings.Settings:
    last = complaint.decode(errors="replace").strip().rpartition("\n")[2]
    if status in {-signal.SIGXCPU, -signal.SIGKILL, -signal.SIGSEGV} or "MemoryError" in last:
        megabytes = LIMIT_ADDRESS_BYTES >> 20
        raise BadInput(f"{path}: needs more than {LIMIT_CPU_S} s or {megabytes} MiB to be read; make it smaller")
    try:
        if status == _RIGHT:
            return settings.from_json(answer)
        if status == _WRONG:
            raise BadInput("\n".join(json.loads(answer)["problems"]))
    except (ValueError, KeyError, TypeError) as error:
        raise Degraded(
            f"{path}: the checking process answers what nobody understands; is the install whole?"
        ) from error
    raise Degraded(f"{path}: the checking process failed with status {status}: {last or 'no word'}; please report it")
