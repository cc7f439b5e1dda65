"""The agent's end of `cri-resmgr-config.sock`: one channel to the daemon, a method for each thing it can be asked.

    async with connected(socket) as daemon:
        verdict = await daemon.set_config(Pushed(…))

The channel connects again by itself, `attempt_s` apart at most.  A call waits for that as long as its deadline lasts
if it is told to be `patient`, and is asked again if the daemon goes under it: every question may be asked twice.
Otherwise it fails at once while the daemon is away.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import grpc  # type: ignore[import-untyped]
import grpc.aio  # type: ignore[import-untyped]

from cri_resmgr.config import protocol
from cri_resmgr.config.protocol import Pushed, Unreadable, Verdict
from cri_resmgr.errors import Degraded
from cri_resmgr.values.events import Event

ATTEMPT_S = 1.0
MESSAGE_LIMIT_BYTES = 16 << 20
ASK_DEADLINE_S = 5.0
VERIFY_DEADLINE_S = 10.0 + 0.05 * 1000
"""The daemon takes up to 10 s, and 50 ms a container, to see that a policy is in force; a node has not a thousand."""
SET_DEADLINE_S = VERIFY_DEADLINE_S + 10.0

T = TypeVar("T")


class Away(Degraded):
    """Nobody answered, or not in time: the same question may be answered later."""


class Unknown(Degraded):
    """This daemon, of another version, does not know the question."""


@dataclass(frozen=True, slots=True)
class Status:
    """What the daemon says about itself, see `config.protocol`; what an older one does not say is empty."""

    policy: str = ""
    source: str = ""
    digest: str = ""
    error: str = ""
    """Why the last configuration was refused, "" if it was not."""
    health: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    next: int = 0
    said: dict[str, Any] = field(default_factory=dict, compare=False)
    """All of it, for what only some readers know."""


class Daemon:
    """Every method raises Away, Unknown, or Degraded for what else is wrong with the answer."""

    def __init__(self, channel: grpc.aio.Channel, socket: Path) -> None:
        self._channel, self._socket = channel, socket

    async def set_config(self, pushed: Pushed, *, deadline_s: float = SET_DEADLINE_S, patient: bool = False) -> Verdict:
        """Give a configuration; the verdict is the daemon's."""
        message = protocol.write_config(pushed)
        return await self.ask(
            protocol.SET_CONFIG, message, read=protocol.read_verdict, deadline_s=deadline_s, patient=patient
        )

    async def status(
        self, events_since: int = 0, *, deadline_s: float = ASK_DEADLINE_S, patient: bool = False
    ) -> Status:
        """How the daemon is, and what has happened since the `next` of an earlier answer."""
        message = protocol.write_status_question(events_since)
        return await self.ask(protocol.STATUS, message, read=_status, deadline_s=deadline_s, patient=patient)

    async def metrics(self, *, deadline_s: float = ASK_DEADLINE_S) -> str:
        """What the daemon counts, in Prometheus' text format."""
        return await self.ask(protocol.METRICS, b"", read=protocol.read_metrics, deadline_s=deadline_s)

    async def ask(
        self,
        method: str,
        message: bytes,
        *,
        read: Callable[[bytes], T],
        deadline_s: float = ASK_DEADLINE_S,
        patient: bool = False,
    ) -> T:
        """The reply to one call as `read` understands it."""
        what = f"{self._socket}: {method.rpartition('/')[2]}"
        try:
            return read(await self._reply(method, message, deadline_s=deadline_s, patient=patient))
        except grpc.aio.AioRpcError as error:
            raise _explained(what, error) from error
        except (Unreadable, ValueError, TypeError, KeyError, AttributeError) as error:
            raise Degraded(
                f"{what}: the answer is not understood: {error}; are agent and daemon of one version?"
            ) from (error)

    async def _reply(self, method: str, message: bytes, *, deadline_s: float, patient: bool) -> bytes:
        call, clock = self._channel.unary_unary(method), asyncio.get_running_loop().time
        end_s = clock() + deadline_s
        while True:
            try:
                reply: bytes = await call(message, timeout=end_s - clock(), wait_for_ready=patient)
            except grpc.aio.AioRpcError as error:
                if not patient or error.code() is not grpc.StatusCode.UNAVAILABLE or clock() >= end_s:
                    raise
            else:
                return reply


@asynccontextmanager
async def connected(socket: Path, *, attempt_s: float = ATTEMPT_S) -> AsyncIterator[Daemon]:
    """A client for the length of a block; it connects when there is somebody to connect to."""
    between_ms = int(attempt_s * 1000)
    options = [
        ("grpc.max_receive_message_length", MESSAGE_LIMIT_BYTES),
        ("grpc.max_send_message_length", MESSAGE_LIMIT_BYTES),
        ("grpc.initial_reconnect_backoff_ms", min(100, between_ms)),
        ("grpc.min_reconnect_backoff_ms", min(100, between_ms)),
        ("grpc.max_reconnect_backoff_ms", between_ms),
        ("grpc.enable_http_proxy", 0),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    async with grpc.aio.insecure_channel(f"unix:{socket}", options=options) as channel:
        yield Daemon(channel, socket)


def _status(data: bytes) -> Status:
    said = json.loads(protocol.read_status(data))
    config = said.get("config", {})
    return Status(
        policy=str(said.get("policy", "")),
        source=str(config.get("source", "")),
        digest=str(config.get("digest", "")),
        error=str(config.get("error", "")),
        health=tuple(map(str, said.get("health", ()))),
        events=tuple(map(_event, said.get("events", ()))),
        next=int(said.get("next", 0)),
        said=said,
    )


def _event(fields: dict[str, Any]) -> Event:
    known = Event.__dataclass_fields__.keys()
    return Event(**{name: value for name, value in fields.items() if name in known})


def _explained(what: str, error: grpc.aio.AioRpcError) -> Degraded:
    """What a call's status means."""
    text = f"{what}: {error.code().name}: {error.details() or 'no word'}"
    match error.code():
        case grpc.StatusCode.UNIMPLEMENTED:
            return Unknown(f"{text}; this daemon does not know it: update it")
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.DEADLINE_EXCEEDED | grpc.StatusCode.CANCELLED:
            return Away(text)
        case _:
            return Degraded(f"{text}; are agent and daemon of one version?")
