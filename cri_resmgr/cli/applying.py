"""The configuration in use, and the one way to another one: a signal and the agent take the same road.

Everything that a configuration says is taken into use step by step, logs and dump first and decisions last; should a
step fail, those before it are undone, and all is as before.  What was refused last, and why, is kept for whoever asks.
"""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack

import structlog

from cri_resmgr.cli import configuring
from cri_resmgr.cli.configuring import InUse
from cri_resmgr.cli.flags import Flags
from cri_resmgr.cli.node import Node, told
from cri_resmgr.cli.site import Site
from cri_resmgr.cli.watching import Watching
from cri_resmgr.config import remembered
from cri_resmgr.config.settings import Settings
from cri_resmgr.errors import BadInput, Degraded, Error
from cri_resmgr.observe import logging
from cri_resmgr.policies.contract import Policy
from cri_resmgr.values.events import Kind
from cri_resmgr.values.machines import Machine

log = structlog.get_logger("config")


class Applier:
    """Takes configurations into use, one after another; `error` is why the last one was not, "" if it was."""

    def __init__(self, flags: Flags, node: Node, watching: Watching, *, begun_with: InUse) -> None:
        self._flags, self._node, self._watching = flags, node, watching
        self._now = self._next = begun_with
        self._one = asyncio.Lock()
        self.error = ""

    @property
    def settings(self) -> Settings:
        """Those in use."""
        return self._now.settings

    @property
    def machine(self) -> Machine:
        """As the policy in use knows it."""
        return self._now.site.machine

    def settings_of(self, policy: Policy) -> Settings:
        """Those that a policy is made from, the one in use or the one that is about to be."""
        return self._next.settings if self._next.site.policy is policy else self._now.settings

    async def apply(self, settings: Settings, *, given: bool = False) -> None:
        """Take the settings into use, all of them; raises `BadInput` or `Degraded`, and all is as before.

        Those that the agent has `given` are for the next start, too.
        """
        async with self._one:
            try:
                self._now = await self._applied(settings, given=given)
            except (BadInput, Degraded) as error:
                self.refused(settings.source, error)
                raise
            except Exception as error:
                log.exception("config.broken", file=settings.source)
                broken = Degraded(f"{settings.source}: {type(error).__name__}: {error}; please report it with the log")
                self.refused(settings.source, broken)
                raise broken from error
            self.error = ""
            configuring.tell(settings, "config.applied")

    def refused(self, source: str, error: Error) -> None:
        """A configuration cannot be used, or not even be read."""
        self.error = str(error)
        log.error("config.rejected", file=source, error=self.error)
        self._node.events.record(Kind.CONFIG_REJECTED, text=f"{source}: {self.error}")

    async def _applied(self, settings: Settings, *, given: bool) -> InUse:
        before, logged = self._now, self._flags.logging
        new = self._next = InUse(settings, await self._site(settings), given=given)
        async with AsyncExitStack() as undo:
            undo.callback(logging.configure, before.settings.logger.over(logged))
            logging.configure(settings.logger.over(logged))
            undo.push_async_callback(self._watching.apply, before.settings)
            await self._watching.apply(settings)
            undo.callback(self._node.configure, before.settings)
            self._node.configure(settings)
            if new.site is before.site:
                self._node.reconfigurer.keep(self._kept(new))
            else:
                values, values_before = self._kept(new), self._kept(before)
                await self._node.reconfigurer.switch(new.site.regime, values=values, values_before=values_before)
            undo.pop_all()
        return new

    async def _site(self, settings: Settings) -> Site:
        """The machine and the policy that they mean; new ones only where they say anything new about it."""
        before = self._now
        if settings.policy == before.settings.policy:
            return before.site
        configuring.refuse_switch(self._flags, before.settings.policy.active, settings.policy.active)
        return await asyncio.to_thread(Site.survey, self._flags, settings)

    def _kept(self, in_use: InUse) -> Mapping[str, str]:
        """What the store says of it; a forced configuration leaves alone what the agent gave."""
        told_ = told(in_use.site, in_use.settings)
        if self._flags.force_config:
            return told_
        return {**told_, remembered.AGENT_KEY: in_use.settings.to_json() if in_use.given else ""}
