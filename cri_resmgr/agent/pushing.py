"""Brings the chosen ConfigMap to the daemon: check it, push it unless the daemon has it, and tell the verdict.

The daemon keeps what it was given over its restarts, so it is asked first, and given only what it does not have: after
a change here, after it was away, or, after a growing while, when it says that it has something else.  The last is
for two agents on one node, one of which does not know of a change yet: they must not take turns for ever.

What the daemon refuses is given again after some minutes, for it may have been a matter of the moment; what the check
refuses never is.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

import structlog

from cri_resmgr.agent.choosing import Choice, ConfigMap, Nothing, Undecided
from cri_resmgr.agent.daemon import Away, Daemon, Status
from cri_resmgr.agent.standing import Topic
from cri_resmgr.agent.voice import Voice
from cri_resmgr.config import child
from cri_resmgr.config.protocol import Pushed
from cri_resmgr.config.settings import Settings
from cri_resmgr.errors import BadInput, Degraded
from cri_resmgr.kube.backoff import Backoff
from cri_resmgr.values.events import Kind

AWAY = Backoff(first_s=0.5, last_s=15.0)
REFUSED = Backoff(first_s=60.0, last_s=600.0)
REPLACED = Backoff(first_s=5.0, last_s=600.0)
CHECK_DEADLINE_S = 20.0
APPLIED = "ConfigApplied"

Check = Callable[[Mapping[str, str], str], Awaitable[Settings]]

log = structlog.get_logger("config-updater")


@dataclass(slots=True)
class Counters:
    """Since the start."""

    pushed: int = 0
    refused: int = 0
    invalid: int = 0


@dataclass(frozen=True, slots=True)
class _Checked:
    """What the chosen ConfigMap says; None if it is wrong."""

    settings: Settings | None


async def checked(data: Mapping[str, str], source: str) -> Settings:
    """What the data says, read by a child process within limits; raises BadInput and Degraded."""
    return await child.read_sections(data, source, deadline_s=CHECK_DEADLINE_S)


class Pusher:
    """`choose` says what there is to be pushed; `run` it as a task, and say when anything may have changed."""

    def __init__(self, daemon: Daemon, choose: Callable[[], Choice], *, voice: Voice, check: Check = checked) -> None:
        self._daemon, self._choose, self._voice, self._check = daemon, choose, voice, check
        self._news = asyncio.Event()
        self._choice: ConfigMap | None = None
        self._checked: _Checked | None = None
        self._settled: Settings | None = None
        self._problem = ""
        self._away, self._off = True, ""
        self._failures = self._replaced = self._since = 0
        self._recheck: asyncio.TimerHandle | None = None
        self.counters = Counters()

    @property
    def rejected(self) -> bool:
        """What is chosen cannot be used."""
        return bool(self._problem)

    def changed(self) -> None:
        """There may be something else to push."""
        self._news.set()

    def seen(self, status: Status) -> None:
        """The daemon says how it is."""
        self._since = status.next
        if self._away or self._off:
            self._away, self._off = False, ""
            self._failures = self._replaced = 0
            self._news.set()
        elif self._settled is not None and not _has(status, self._settled) and self._recheck is None:
            self._replaced += 1
            delay_s = REPLACED.delay_s(self._replaced)
            log.warning("config.replaced", by=status.source, digest=status.digest[:12], again_after_s=round(delay_s))
            self._recheck = asyncio.get_running_loop().call_later(delay_s, self._due)

    def lost(self) -> None:
        """The daemon is away."""
        self._away = True

    def off(self, reason: str) -> None:
        """The daemon takes no configuration, as its own user wants it."""
        self._off = reason
        self._news.set()

    async def run(self) -> NoReturn:
        """Push until cancelled."""
        while True:
            self._news.clear()
            wait_s = await self._turn()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._news.wait()

    def _due(self) -> None:
        self._recheck = None
        self._news.set()

    async def _turn(self) -> float | None:
        """Do what there is to do; returns after how many seconds to do so again if nothing happens meanwhile."""
        choice = self._choose()
        if self._off:
            self._voice.say(Topic.CONFIGURATION, f"none is given to the daemon: {self._off}")
            return None
        if not isinstance(choice, ConfigMap):
            self._without(choice)
            return None
        if choice != self._choice:
            self._choice, self._checked, self._settled = choice, None, None
            self._problem, self._failures, self._replaced = "", 0, 0
        try:
            settings = await self._read(choice)
            return None if settings is None or self._choose() != choice else await self._bring(choice, settings)
        except Degraded as error:
            return self._not_given(choice, error)

    def _without(self, choice: Nothing | Undecided) -> None:
        """There is nothing to push; the daemon keeps what it has."""
        if isinstance(choice, Nothing):
            self._choice, self._checked, self._settled, self._problem = None, None, None, ""
            names = " nor ".join(choice.tried)
            text = f"there is no ConfigMap for this node, neither {names}: the daemon keeps what it has"
            self._voice.say(Topic.CONFIGURATION, text)
        elif self._choice is None:
            self._voice.say(Topic.CONFIGURATION, choice.reason, ready=False)

    async def _read(self, choice: ConfigMap) -> Settings | None:
        """What the ConfigMap says; None if it is wrong, which is told once."""
        if self._checked is None:
            try:
                self._checked = _Checked(await self._check(choice.data, choice.source))
            except BadInput as error:
                self._checked = _Checked(None)
                self._invalid(choice, str(error))
        return self._checked.settings

    def _invalid(self, choice: ConfigMap, text: str) -> None:
        self.counters.invalid += 1
        self._problem = text
        log.error("config.invalid", source=choice.source, version=choice.version, error=text)
        self._voice.say(Topic.CONFIGURATION, f"rejected: {text}", ready=False)
        self._voice.tell(Kind.CONFIG_REJECTED, text)

    async def _bring(self, choice: ConfigMap, settings: Settings) -> float | None:
        """Let the daemon have it, unless it does."""
        if _has(await self._daemon.status(self._since), settings):
            self._accepted(choice, settings, pushed=False)
            return None
        if self._settled is None and not self._problem:
            self._voice.say(Topic.CONFIGURATION, f"{choice.source} is being taken into use", ready=False)
        self.counters.pushed += 1
        pushed = Pushed(self._voice.node, choice.source, choice.version, settings.to_json())
        verdict = await self._daemon.set_config(pushed)
        if verdict.error:
            return self._refused(choice, verdict.error)
        self._accepted(choice, settings, pushed=True)
        return None

    def _refused(self, choice: ConfigMap, error: str) -> float:
        """The daemon does not want it; it tells so by an event of its own."""
        self.counters.refused += 1
        self._settled = None
        self._failures += 1
        self._complain("config.refused", choice, error)
        self._voice.say(Topic.CONFIGURATION, f"rejected: {choice.source}: {error}", ready=False)
        return REFUSED.delay_s(self._failures)

    def _accepted(self, choice: ConfigMap, settings: Settings, *, pushed: bool) -> None:
        if self._settled is None or pushed:
            log.info("config.in_use", source=choice.source, version=choice.version, pushed=pushed)
        self._settled, self._problem, self._failures = settings, "", 0
        self._voice.say(Topic.CONFIGURATION, f"{choice.source} is in use")
        if pushed:
            note = f"{choice.source} is in use: policy {settings.policy.active}, digest {settings.digest[:12]}"
            self._voice.tell(APPLIED, note, warning=False)

    def _not_given(self, choice: ConfigMap, error: Degraded) -> float:
        """Nobody has taken or read it; of a daemon that is away `following` tells."""
        self._failures += 1
        if self._settled is None and not self._problem:
            self._voice.say(Topic.CONFIGURATION, f"{choice.source} is not in use yet: {error}", ready=False)
        if isinstance(error, Away):
            self._away = True
            return AWAY.delay_s(self._failures)
        self._complain("config.undelivered", choice, str(error))
        return REFUSED.delay_s(self._failures)

    def _complain(self, event: str, choice: ConfigMap, text: str) -> None:
        if text != self._problem:
            self._problem = text
            log.error(event, source=choice.source, version=choice.version, error=text)


def _has(status: Status, settings: Settings) -> bool:
    return (status.source, status.digest) == (settings.source, settings.digest)
