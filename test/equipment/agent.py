"""What the node agent says to the daemon, said by a test; the client is grpcio's."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import grpc

from cri_resmgr.config import check, protocol
from cri_resmgr.config.protocol import Pushed, Verdict
from cri_resmgr.values.adjustments import Adjustment, written

DEADLINE_S = 60
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Agent:
    """Asks on the daemon's configuration socket; open from `with` to its end."""

    def __init__(self, socket: Path) -> None:
        self._channel = grpc.insecure_channel(f"unix:{socket}", options=OPTIONS)

    def ask(self, method: str, message: bytes = b"") -> bytes:
        """The reply to one call."""
        reply: bytes = self._channel.unary_unary(method)(message, timeout=DEADLINE_S, wait_for_ready=True)
        return reply

    def push(self, text: str, source: str = "kube-system/cri-resmgr-config.default", version: str = "1") -> Verdict:
        """Give the configuration of a text, as the agent normalises it; "" for none at all."""
        settings = check.settings(text, source).to_json() if text else ""
        return self.push_raw(settings, source, version)

    def push_raw(self, settings: str, source: str = "a/b", version: str = "1") -> Verdict:
        """Give what may be no settings at all."""
        pushed = Pushed("node-1", source, version, settings)
        return protocol.read_verdict(self.ask(protocol.SET_CONFIG, protocol.write_config(pushed)))

    def adjust(self, adjustments: Iterable[Adjustment], digest: str = "1") -> dict[str, dict[str, str]]:
        """Give a set of adjustments; what is amiss."""
        texts = {one.name: written(one) for one in adjustments}
        message = protocol.write_adjustments(protocol.Adjustments("node-1", digest, texts))
        return protocol.read_errors(self.ask(protocol.SET_ADJUSTMENTS, message))

    def status(self, since: int = 0) -> dict[str, Any]:
        """How the daemon says it is."""
        reply = self.ask(protocol.STATUS, protocol.write_status_question(since))
        said: dict[str, Any] = json.loads(protocol.read_status(reply))
        return said

    def metrics(self) -> str:
        """What it counts."""
        return protocol.read_metrics(self.ask(protocol.METRICS))

    def __enter__(self) -> "Agent":
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()
