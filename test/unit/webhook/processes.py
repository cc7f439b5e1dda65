"""The webhook as a process, with its log in a file."""

import contextlib
import re
import signal
import subprocess
import sys
from pathlib import Path

from equipment.processes import wait_for
from unit.webhook.pairs import Files

COMMAND = str(Path(sys.executable).with_name("cri-resmgr-webhook"))
DEADLINE_S = 60


class WebhookProcess:
    """One process, ended with the context."""

    def __init__(self, root: Path, *flags: str) -> None:
        self._log = root / "webhook.log"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen([COMMAND, *flags], stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    @property
    def port(self) -> int:
        """Where it listens, once it does."""
        self.wait_log("webhook.listening")
        found = re.search(r"webhook\.listening\W+port\W+(\d+)", self.log())
        assert found is not None
        return int(found[1])

    def log(self) -> str:
        """What it has said."""
        return self._log.read_text(errors="replace")

    def wait_log(self, text: str) -> None:
        """Wait until it has said something."""
        try:
            wait_for(lambda: text in self.log(), f"'{text}'", DEADLINE_S, alive=lambda: self.process.poll() is None)
        except (RuntimeError, TimeoutError) as error:
            error.add_note(self.log())
            raise

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)

    def __enter__(self) -> "WebhookProcess":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()


def flags_for(files: Files, port: int = 0) -> tuple[str, ...]:
    """The flags to serve with these files."""
    return f"-port={port}", f"--cert-file={files.cert}", "-key-file", str(files.key)
