"""A daemon's configuration socket of a test's own: the daemon's server, and whatever answers the test wants."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from cri_resmgr.config import protocol
from cri_resmgr.config.protocol import Pushed, Verdict
from cri_resmgr.wire import sockets
from cri_resmgr.wire.server import Server


class Answerer:
    """A daemon that has in use what it was given last, unless `refusing` says why it does not want it."""

    def __init__(self) -> None:
        self.pushed: list[Pushed] = []
        self.refusing = ""
        self.forgetting = False
        self.holding = asyncio.Event()
        self.holding.set()
        self.status: dict[str, Any] = {
            "policy": "none",
            "config": {"source": "built-in defaults", "digest": "", "error": ""},
            "health": [],
            "events": [],
            "next": 1,
        }
        self.metrics = "# HELP a A.\n# TYPE a gauge\na 1\n"
        self.asked_since: list[int] = []
        self.failed: list[str] = []

    async def set_config(self, message: bytes) -> bytes:
        """As the daemon does, without a policy."""
        pushed = protocol.read_config(message)
        self.pushed.append(pushed)
        await self.holding.wait()
        settings = json.loads(pushed.settings) if pushed.settings else {"source": "built-in defaults", "digest": ""}
        config = self.status["config"]
        config["error"] = self.refusing
        if not self.refusing and not self.forgetting:
            config.update(source=settings["source"], digest=settings["digest"])
        return protocol.write_verdict(Verdict(self.refusing, config["digest"]))

    async def answer_status(self, message: bytes) -> bytes:
        """What the test has put there."""
        self.asked_since.append(protocol.read_status_question(message))
        return protocol.write_status(json.dumps(self.status))

    async def answer_metrics(self, _message: bytes) -> bytes:
        """What the test has put there."""
        return protocol.write_metrics(self.metrics)


@asynccontextmanager
async def served(path: Path, answerer: Answerer, **handlers: Any) -> AsyncIterator[None]:
    """The answerer at a socket; `handlers` by method name come instead of its own."""
    own = {"SetConfig": answerer.set_config, "Status": answerer.answer_status, "Metrics": answerer.answer_metrics}
    wanted = {name: handler for name, handler in {**own, **handlers}.items() if handler is not None}
    by_path = {f"/{protocol.SERVICE}/{name}": handler for name, handler in wanted.items()}
    server = Server(by_path, failed=lambda method, error: answerer.failed.append(f"{method}: {error}"))
    await server.start(sockets.bind(path, mode=0o600, backlog=16))
    try:
        yield
    finally:
        await server.close()
        path.unlink(missing_ok=True)
