"""Adjustments for this node go to the daemon as one set, and what became of them goes back into their status.

    Adjustments ──► records of those for this node ──► SetAdjustments ──► errors ──► status.nodes.NODE.errors
                                                           │
              the daemon says in its status which set it was given last, and what is amiss with it now

The daemon is given a set when it says that it has another one, be it after a change here or after a start of its own;
and once more, after a while that grows, as long as something is amiss: a container in the scope of two adjustments may
have gone.  An Adjustment that says what cannot be keeps the whole set from the daemon, as a conflict would.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import Mapping
from typing import NoReturn

import structlog

from cri_resmgr.agent.adjustment_cleaning import Cleaner
from cri_resmgr.agent.adjustment_records import Record, record
from cri_resmgr.agent.adjustment_writing import ADJUSTMENTS, Writer
from cri_resmgr.agent.daemon import Away, Daemon, Status
from cri_resmgr.agent.standing import Topic
from cri_resmgr.agent.voice import Voice
from cri_resmgr.config import protocol
from cri_resmgr.config.protocol import Adjustments
from cri_resmgr.errors import Degraded
from cri_resmgr.kube.backoff import Backoff
from cri_resmgr.kube.clients import Client
from cri_resmgr.kube.watching import PACE, Pace, Reflector
from cri_resmgr.values.adjusting_errors import REQUEST, Errors, listed, may_pass, rejected

SETTLE_S = 0.2  # an apply of several comes as several events
SET_DEADLINE_S = 30.0
AWAY = Backoff(first_s=0.5, last_s=15.0)
AMISS = Backoff(first_s=10.0, last_s=300.0)
REPLACED = Backoff(first_s=1.0, last_s=600.0)

log = structlog.get_logger("resource-manager-agent")


class Adjusting:
    """Follows the daemon's status (see `following`); `run` it as a task."""

    def __init__(self, client: Client, daemon: Daemon, *, namespace: str, voice: Voice, pace: Pace = PACE) -> None:
        self._daemon, self._voice = daemon, voice
        resource = ADJUSTMENTS.within(namespace)
        self._reflector = Reflector(
            client,
            resource.all(),
            project=lambda thing: record(thing, voice.node),
            changed=self._changed,
            pace=pace,
        )
        self.writer = Writer(client, resource, voice.node, records=self._records, verdict=lambda: self._verdict)
        self._cleaner = Cleaner(client, resource, voice.node, records=self._records)
        self._news = asyncio.Event()
        self._verdict: Errors | None = None  # None: not known
        self._given = ""  # the digest of the set that the daemon has last taken, or refused
        self._off, self._kept_back, self._amiss = "", False, False
        self._failures = self._replaced = 0
        self._again: asyncio.TimerHandle | None = None
        self.pushed = 0
        """How often a set was given."""

    @property
    def ours(self) -> int:
        """How many are for this node."""
        return sum(one.is_ours for one in self._reflector.objects.values())

    @property
    def amiss(self) -> int:
        """How many of them are not in force, or only in part."""
        return len(self._verdict or ())

    async def run(self) -> NoReturn:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._reflector.run())
            tasks.create_task(self.writer.run())
            tasks.create_task(self._cleaner.run())
            await self._reflector.known.wait()
            while True:
                self._news.clear()
                wait_s = await self._turn()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._news.wait()
                await asyncio.sleep(SETTLE_S)

    # ---- what the daemon says

    def seen(self, status: Status) -> None:
        """The daemon says how it is; one of an older version says nothing about adjustments."""
        said = status.said.get("adjustments")
        self._off = "" if isinstance(said, dict) else "this daemon knows no adjustments; update it"
        if not isinstance(said, dict) or not self._given:
            if not self._kept_back:
                self._news.set()
        elif said.get("digest") == self._given:
            self._say({str(name): dict(errors) for name, errors in said.get("errors", {}).items()})
        elif self._again is None:
            self._replaced = self._replaced + 1 if said.get("digest") else 0
            delay_s = REPLACED.delay_s(self._replaced)  # another agent's, which does not know yet what we know, or we
            self._again = asyncio.get_running_loop().call_later(delay_s, self._give_again)

    def lost(self) -> None:
        """The daemon is away; what it had said still counts."""

    def off(self, reason: str) -> None:
        """The daemon takes nothing, as its own user wants it."""
        self._off = reason
        self._news.set()

    # ---- bringing the set to it

    async def _turn(self) -> float | None:
        """Give the set, if the daemon does not have it; after how many seconds to do so again if nothing happens."""
        ours = {one.name: one for one in self._records().values() if one.is_ours}
        digest = _digest(ours)
        if problems := {name: {name: one.problem} for name, one in ours.items() if one.problem}:
            self._given, self._kept_back = "", True
            self._say(rejected(problems, ours.keys()))
            return None
        self._kept_back = False
        if self._off:
            self._given = ""
            self._say({name: {REQUEST: f"not applied on this node: {self._off}"} for name in ours})
            return None
        if digest == self._given and not self._amiss:
            return None
        try:
            errors = await self._give(ours, digest)
        except Degraded as error:
            return self._undelivered(ours, error)
        self._given = digest
        self._say(errors)
        self._amiss = may_pass(errors)
        self._failures = self._failures + 1 if self._amiss else 0
        return AMISS.delay_s(self._failures) if self._amiss else None

    async def _give(self, ours: Mapping[str, Record], digest: str) -> Errors:
        pushed = Adjustments(self._voice.node, digest, {name: one.text for name, one in ours.items()})
        message = protocol.write_adjustments(pushed)
        errors = await self._daemon.ask(
            protocol.SET_ADJUSTMENTS, message, read=protocol.read_errors, deadline_s=SET_DEADLINE_S
        )
        self.pushed += 1
        log.info("adjustments.given", count=len(ours), digest=digest[:12], amiss=len(errors))
        return errors

    def _undelivered(self, ours: Mapping[str, Record], error: Degraded) -> float:
        """Nobody has taken it: what was said before still counts, and what was not said yet is not known."""
        self._given = ""
        self._failures += 1
        if self._failures == 1:
            log.warning("adjustments.undelivered", count=len(ours), error=str(error))
        if not isinstance(error, Away):
            self._say({name: {REQUEST: f"not applied on this node: {error}"} for name in ours})
        return AWAY.delay_s(self._failures)

    # ---- pieces

    def _records(self) -> Mapping[str, Record]:
        return {ref.name: one for ref, one in self._reflector.objects.items()}

    def _changed(self, old: Record | None, new: Record | None) -> None:
        if _content(old) != _content(new):
            self._failures = self._replaced = 0
            self._news.set()
        self.writer.changed()

    def _give_again(self) -> None:
        self._again, self._given = None, ""
        self._news.set()

    def _say(self, verdict: Errors) -> None:
        if verdict == self._verdict:
            return
        self._verdict = verdict
        self.writer.changed()
        self._voice.say(Topic.ADJUSTMENTS, "; ".join(listed(verdict)))


def _content(one: Record | None) -> tuple[str, str]:
    return (one.text, one.problem) if one else ("", "")


def _digest(ours: Mapping[str, Record]) -> str:
    digest = hashlib.sha256()
    for name in sorted(ours):
        digest.update(f"{name}\0{ours[name].text}\0".encode())
    return digest.hexdigest()
