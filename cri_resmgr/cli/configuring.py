"""Where the daemon's settings come from.

The forced file is first, then what the agent gave, then the fallback file, then what is built in.  The text of a
file is read by a child process (law 11), the agent's by the agent; here are plain values.  What the agent gave is kept
in the store once it has been taken into use.  Should it not go with the machine any more, or come from another
version, the next source is asked: a node must start.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import structlog

from cri_resmgr.cli.flags import Flags
from cri_resmgr.cli.site import Site
from cri_resmgr.config import child, remembered
from cri_resmgr.config import settings as settings_
from cri_resmgr.config.settings import Settings
from cri_resmgr.errors import BadInput, Degraded, Fatal
from cri_resmgr.observe import logging
from cri_resmgr.state import peeking

log = structlog.get_logger("config")


@dataclass(frozen=True, slots=True)
class InUse:
    """Settings, the machine and the policy that they mean, and whether the agent has given them."""

    settings: Settings
    site: Site
    given: bool = False


async def begin(flags: Flags) -> InUse:
    """The settings to start with; logging is as they want it.

    Raises `BadInput`, and `Fatal` if nobody could read them.
    """
    kept = peeking.values(Path(flags.relay_dir), (remembered.AGENT_KEY, remembered.META_KEY))
    given = None if flags.force_config else _given(kept.get(remembered.AGENT_KEY, ""))
    if given is not None:
        try:
            return InUse(given, _used(flags, given, kept), given=True)
        except BadInput as error:
            log.error("config.unusable", file=given.source, error=str(error))
    settings = await read(flags)
    return InUse(settings, _used(flags, settings, kept))


async def read(flags: Flags) -> Settings:
    """The settings in the file of the flags, or the built-in ones; raises `BadInput` and `Fatal`."""
    path = flags.force_config or flags.fallback_config
    if not path:
        log.info("config.default", remedy="give --force-config or --fallback-config to set anything")
        return Settings()
    settings = remembered.recall(Path(flags.relay_dir), Path(path))
    if settings is not None:
        tell(settings, "config.known")
        return settings
    try:
        settings = await child.read(path)
    except Degraded as error:
        raise Fatal(str(error)) from error
    tell(settings, "config.read")
    return settings


def remember(flags: Flags, settings: Settings) -> None:
    """Keep the settings that have been taken into use for the next start, if they are those of a file."""
    path = flags.force_config or flags.fallback_config
    if path:
        remembered.remember(Path(flags.relay_dir), Path(path), settings)


def tell(settings: Settings, event: str) -> None:
    """Say where the settings are from, and what their author should know."""
    log.info(event, file=settings.source, digest=settings.digest[:12], policy=settings.policy.active)
    for note in settings.notes:
        log.warning("config.note", note=note)


def refuse_switch(flags: Flags, before: str, after: str) -> None:
    """Raise BadInput where another policy than before is not wanted."""
    if flags.disable_policy_switch and before and before != after:
        raise BadInput(
            f"policy: Active: {after}: the policy was {before}, and --disable-policy-switch forbids another one; "
            f"keep {before}, or stop the daemon, run `cri-resmgr --reset-policy`, and start it"
        )


def _given(text: str) -> Settings | None:
    """What the agent gave, None if there is nothing or nothing that this version understands."""
    try:
        settings = settings_.from_json(text) if text else None
    except (ValueError, KeyError, TypeError) as error:
        log.error("config.unreadable", file="what the agent gave", error=f"{type(error).__name__}: {error}")
        return None
    if settings is not None:
        tell(settings, "config.given")
    return settings


def _used(flags: Flags, settings: Settings, kept: dict[str, str]) -> Site:
    refuse_switch(flags, _last_policy(kept.get(remembered.META_KEY, "")), settings.policy.active)
    logging.configure(settings.logger.over(flags.logging))
    return Site.survey(flags, settings)


def _last_policy(text: str) -> str:
    try:
        return str(json.loads(text)["policy"]["active"]) if text else ""
    except (ValueError, KeyError, TypeError):
        return ""
