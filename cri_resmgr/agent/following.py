"""Keeps asking the daemon how it is, and tells whoever wants to know: that it is away, that it is back, what it says.

A daemon with a forced configuration has no configuration socket.  That looks like a daemon that is away but for its
relay socket, where it answers all the same; so does one that still waits for its runtime, which is why it takes a while
until the agent believes it.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol

import structlog

from cri_resmgr.agent.daemon import Away, Daemon, Status
from cri_resmgr.agent.standing import Topic
from cri_resmgr.agent.voice import Voice
from cri_resmgr.errors import Degraded
from cri_resmgr.kube.backoff import Backoff, spread

RELAY = "cri-resmgr.sock"  # beside the configuration socket
CONNECT_S = 1.0
BACKOFF = Backoff(first_s=0.5, last_s=10.0)
OFF = "the relay answers without a configuration socket: --force-config, --config-socket disabled, or the bypass"

log = structlog.get_logger("resource-manager-agent")


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things last."""

    poll_s: float = 3.0
    patience_s: float = 5.0
    """So long a call waits for a daemon that is away."""
    believe_s: float = 10.0
    """So long there must have been a relay without a configuration socket."""


PACE = Pace()


class Follower(Protocol):
    """Who wants to know; all of it is called in the event loop and must not block."""

    def seen(self, status: Status) -> None:
        """The daemon says how it is."""

    def lost(self) -> None:
        """The daemon is away."""

    def off(self, reason: str) -> None:
        """The daemon is there, and has no configuration socket."""


class Following:
    """`since` is the number from which on its events are wanted."""

    def __init__(
        self,
        daemon: Daemon,
        socket: Path,
        *,
        voice: Voice,
        since: Callable[[], int],
        followers: Sequence[Follower],
    ) -> None:
        self._daemon, self._relay, self._voice = daemon, socket.with_name(RELAY), voice
        self._socket, self._since, self._followers = socket, since, tuple(followers)
        self._lost_at_s = _now_s()
        self._socketless_at_s: float | None = None
        self._told, self._off = "", False
        self.connected = False
        self.health: tuple[str, ...] = ()

    async def run(self, pace: Pace = PACE) -> NoReturn:
        """Ask until cancelled."""
        failures = 0
        while True:
            try:
                status = await self._ask(pace)
            except Degraded as error:
                failures += 1
                await self._away(str(error), pace)
                await asyncio.sleep(BACKOFF.delay_s(failures))
                continue
            failures = 0
            self._back(status)
            for follower in self._followers:
                follower.seen(status)
            await asyncio.sleep(spread(pace.poll_s))

    async def _ask(self, pace: Pace) -> Status:
        """What the daemon says, as soon as it is there; one that is away is told first."""
        if self.connected:
            return await self._daemon.status(self._since())
        try:
            return await self._daemon.status(self._since())
        except Away as error:
            await self._away(str(error), pace)
            return await self._daemon.status(self._since(), deadline_s=pace.patience_s, patient=True)

    async def _away(self, text: str, pace: Pace) -> None:
        if self.connected:
            self.connected, self._lost_at_s = False, _now_s()
            for follower in self._followers:
                follower.lost()
        if await self._is_off(pace):
            self._believe_off()
        elif not self._off:
            self._complain(text)

    def _complain(self, text: str) -> None:
        """Say it, once for each reason."""
        if "DEADLINE_EXCEEDED" in text and self._told:  # we have waited in vain: nothing new
            return
        if text != self._told:
            self._told = text
            log.warning("daemon.away", error=text)
        self._voice.say(Topic.DAEMON, f"it does not answer: {text}", ready=False)

    def _back(self, status: Status) -> None:
        if not self.connected:
            away_s = _now_s() - self._lost_at_s
            log.info("daemon.connected", policy=status.policy, config=status.source, after_s=round(away_s, 1))
        self.connected, self._told, self._off, self._socketless_at_s = True, "", False, None
        self.health = status.health
        amiss = f", amiss: {'; '.join(status.health)}" if status.health else ""
        self._voice.say(Topic.DAEMON, f"policy {status.policy}{amiss}")

    async def _is_off(self, pace: Pace) -> bool:
        """Somebody answers at the relay's socket, and there has not been another for a while."""
        if self._socket.exists() or not await _answers(self._relay):
            self._socketless_at_s, self._off = None, False
            return False
        if self._socketless_at_s is None:
            self._socketless_at_s = _now_s()
        return _now_s() - self._socketless_at_s >= pace.believe_s

    def _believe_off(self) -> None:
        if self._off:
            return
        self._off = True
        log.info("daemon.unconfigurable", reason=OFF)
        self._voice.say(Topic.DAEMON, OFF)
        for follower in self._followers:
            follower.off(OFF)


async def _answers(socket: Path) -> bool:
    """Whether anybody takes connections there."""
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_unix_connection(str(socket))
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def _now_s() -> float:
    return asyncio.get_running_loop().time()
