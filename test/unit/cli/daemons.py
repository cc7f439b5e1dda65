"""The daemon as a process before a runtime that the test holds, for tests that need neither root nor a real runtime."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from doubles.runtime import FakeRuntime
from equipment.cri import CriClient
from equipment.processes import wait_for

COMMAND = str(Path(sys.executable).with_name("cri-resmgr"))
START_DEADLINE_S = 60
END_DEADLINE_S = 60


class Daemon:
    """One daemon with all its files in `root`: it may be started many times, and is ended with the context."""

    def __init__(self, root: Path, *flags: str) -> None:
        self.root, self.flags = root, flags
        self.socket, self.runtime_socket = root / "relay.sock", root / "runtime.sock"
        self.pid_file, self.relay_dir, self.config_socket = root / "pid", root / "relay", root / "c.sock"
        self.config = root / "forced.cfg"
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0

    @property
    def pid(self) -> int:
        """Of the running one."""
        return self._running().pid

    def begin(
        self, *flags: str, env: Mapping[str, str] = {}, wrapper: Sequence[str] = (), fds: Sequence[int] = ()
    ) -> "Daemon":
        """Start it, without waiting for anything; `wrapper` is a command that becomes it and gets `fds`."""
        command = [*wrapper, COMMAND]
        command += ["--runtime-socket", str(self.runtime_socket), "--relay-socket", str(self.socket)]
        command += ["--relay-dir", str(self.relay_dir), "--pid-file", str(self.pid_file)]
        command += ["--config-socket", str(self.config_socket), *self.flags, *flags]
        with (self.root / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **env},
                cwd="/",
                pass_fds=fds,
            )
        self._starts += 1
        return self

    def start(self, *flags: str, env: Mapping[str, str] = {}) -> "Daemon":
        """Start it and wait until it relays."""
        ready = self.log().count("daemon.ready")
        self.begin(*flags, env=env)
        self.wait(lambda: self.log().count("daemon.ready") > ready, "the daemon to be ready")
        return self

    def wait(self, condition, what: str) -> None:
        """Wait for something while it lives."""
        try:
            wait_for(condition, what, START_DEADLINE_S, alive=lambda: self._running().poll() is None)
        except (RuntimeError, TimeoutError) as error:
            error.add_note(self.log())
            raise

    def wait_log(self, text: str) -> None:
        """Wait until it has said something."""
        self.wait(lambda: text in self.log(), f"'{text}' in the log")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._running().send_signal(number)

    def ended(self) -> int:
        """Its exit code, once it has ended by itself."""
        code = self._running().wait(END_DEADLINE_S)
        self._process = None
        return code

    def refused(self, *flags: str) -> str:
        """Start one that must refuse with exit code 2; what it says."""
        before = len(self.log())
        code = self.begin(*flags).ended()
        said = self.log()[before:]
        assert code == 2, said
        assert "Traceback" not in said
        return said

    def stop(self) -> int:
        """End it as `systemctl stop` does."""
        self.signal(signal.SIGTERM)
        return self.ended()

    def kill(self) -> None:
        """End it as a crash does."""
        self.signal(signal.SIGKILL)
        self.ended()

    def log(self) -> str:
        """What it has said over all starts."""
        path = self.root / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def client(self) -> CriClient:
        """A kubelet."""
        return CriClient(self.socket)

    def __enter__(self) -> "Daemon":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the daemon was not started, or has ended"
        return self._process


def run_pod(client: CriClient, name: str = "web") -> tuple[str, str]:
    """A pod with a running container; the ids of both."""
    pod_id = client("RunPodSandbox", config={"metadata": {"name": name, "uid": name}}).pod_sandbox_id
    config = {"metadata": {"name": "c"}, "linux": {"resources": {"cpu_shares": 512}}}
    container_id = client("CreateContainer", pod_sandbox_id=pod_id, config=config).container_id
    client("StartContainer", container_id=container_id)
    return pod_id, container_id


def wait_called(runtime: FakeRuntime, path: str) -> None:
    """Wait until the runtime works on such a call."""
    wait_for(lambda: runtime.begun[path], f"{path} to reach the runtime", START_DEADLINE_S)
