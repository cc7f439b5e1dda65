"""What does jobs in a guest: JSON lines come over a virtio-serial port, one answer for each goes back when it is ready.

    {"id": 1, "do": "run", "argv": ["uname"], "deadline_s": 60}       ends it at the deadline, with status 124
    {"id": 2, "do": "start", "argv": [...], "log": PATH}              goes on; its pid
    {"id": 3, "do": "start", "argv": [...]}                           the same with a conversation instead of a log:
    {"id": 4, "do": "ask", "pid": 7, "line": "x", "deadline_s": 60}   its next line of output
    {"id": 5, "do": "status", "pid": 7}                               its status, null while it runs
    {"id": 6, "do": "end", "pid": 7, "signal": 15, "deadline_s": 60}  the same after a signal
    {"id": 7, "do": "read", "paths": [...]}    {"id": 8, "do": "write", "path": PATH, "data": BASE64, "mode": 493}
    {"id": 9, "do": "query", "path": DATABASE, "sql": "SELECT …"}     its rows
    {"id": 10, "do": "connects", "path": SOCKET}    {"id": 11, "do": "clock", "now_s": 1.5}

Nobody listens at the other end of the port just after a restore: reading then gives nothing, and is tried again.
That is all it takes to survive one.  Standard library only, for Debian's Python; tests run it outside of a guest too.
"""

import base64
import contextlib
import json
import os
import select
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PORT = "jobs"
ENVIRONMENT = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "PYTHONPATH": "/usr/local/lib/libraries",
}
TIMED_OUT = 124  # as timeout(1) says it
POLL_S = 0.05

Job = dict[str, Any]


class Agent:
    """Does jobs, each in a thread of its own; `send` takes answers as whole lines."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._sending = threading.Lock()
        self._unfinished = b""
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def feed(self, received: bytes) -> None:
        """Take what came over the port, and begin with the jobs that are whole."""
        *lines, self._unfinished = (self._unfinished + received).split(b"\n")
        for line in lines:
            # Half a line from before a restore is no job of anybody.
            with contextlib.suppress(ValueError):
                threading.Thread(target=self._serve, args=(json.loads(line),), daemon=True).start()

    def _serve(self, job: Job) -> None:
        try:
            answer = getattr(self, f"_{job['do']}")(job)
        except Exception as error:  # noqa: BLE001 - the agent outlives every job
            answer = {"error": f"{type(error).__name__}: {error}"}
        with self._sending:
            self._send(json.dumps({"id": job["id"], **answer}).encode() + b"\n")

    def _run(self, job: Job) -> Job:
        try:
            done = subprocess.run(
                job["argv"], stdin=subprocess.DEVNULL, capture_output=True, timeout=job["deadline_s"], check=False
            )
        except subprocess.TimeoutExpired as late:
            return {"status": TIMED_OUT, "output": _text(late.stdout), "errors": _text(late.stderr)}
        return {"status": done.returncode, "output": _text(done.stdout), "errors": _text(done.stderr)}

    def _start(self, job: Job) -> Job:
        with _log(job.get("log")) as output:
            child = subprocess.Popen(
                job["argv"],
                stdin=subprocess.PIPE if output is None else subprocess.DEVNULL,
                stdout=subprocess.PIPE if output is None else output,
                stderr=output,
                start_new_session=True,
            )
        self._children[child.pid] = child
        return {"pid": child.pid}

    def _ask(self, job: Job) -> Job:
        child = self._children[job["pid"]]
        assert child.stdin, "it was started with a log"
        assert child.stdout, "the same"
        child.stdin.write(job["line"].encode() + b"\n")
        child.stdin.flush()
        if not select.select([child.stdout], [], [], job["deadline_s"])[0]:
            raise TimeoutError(f"no answer within {job['deadline_s']} s")
        return {"line": _text(child.stdout.readline())}

    def _status(self, job: Job) -> Job:
        return {"status": self._children[job["pid"]].poll()}

    def _end(self, job: Job) -> Job:
        child = self._children[job["pid"]]
        child.send_signal(job["signal"])
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(job["deadline_s"])
            for pipe in (child.stdin, child.stdout):
                if pipe:
                    pipe.close()
        return {"status": child.returncode}

    def _read(self, job: Job) -> Job:
        return {"contents": [_content(path) for path in job["paths"]]}

    def _write(self, job: Job) -> Job:
        path = Path(job["path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(job["data"]))
        path.chmod(job["mode"])
        return {}

    def _query(self, job: Job) -> Job:
        import sqlite3  # noqa: PLC0415 - nothing that a boot should wait for

        with contextlib.closing(sqlite3.connect(f"file:{job['path']}?mode=ro", uri=True)) as database:
            return {"rows": database.execute(job["sql"]).fetchall()}

    def _connects(self, job: Job) -> Job:
        with socket.socket(socket.AF_UNIX) as client:
            return {"connects": client.connect_ex(job["path"]) == 0}

    def _clock(self, job: Job) -> Job:
        time.clock_settime(time.CLOCK_REALTIME, job["now_s"])
        return {}


@contextlib.contextmanager
def _log(path: str | None) -> Iterator[int | None]:
    """A descriptor that appends to `path`."""
    if path is None:
        yield None
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _content(path: str) -> str | None:
    """What is in a file, as base64; None when it cannot be read."""
    try:
        return base64.b64encode(Path(path).read_bytes()).decode()
    except OSError:
        return None


def _text(data: bytes | None) -> str:
    return (data or b"").decode(errors="replace")


def _port() -> str:
    """The device of the port named `jobs`: sysfs knows, so nobody needs udev."""
    while True:
        for path in Path("/sys/class/virtio-ports").glob("*/name"):
            if path.read_text().strip() == PORT:
                return f"/dev/{path.parent.name}"
        time.sleep(POLL_S)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def main() -> None:
    """Serve the port for ever."""
    os.environ.update(ENVIRONMENT)
    descriptor = os.open(_port(), os.O_RDWR)
    agent = Agent(lambda line: _write_all(descriptor, line))
    while True:
        if received := os.read(descriptor, 1 << 16):
            agent.feed(received)
        else:
            time.sleep(POLL_S)


if __name__ == "__main__":
    main()
