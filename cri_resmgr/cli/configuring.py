"""Where the daemon's settings come from: the forced file, else the fallback file, else what is built in.

The text is read by a child process (law 11); here are plain values.  A forced file is read again on a signal, and
either all of it is applied or nothing.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from cri_resmgr.cli.flags import Flags
from cri_resmgr.config import child, remembered
from cri_resmgr.config.settings import Settings
from cri_resmgr.errors import BadInput, Degraded, Fatal

log = structlog.get_logger("config")

Apply = Callable[[Settings], Awaitable[None]]


async def read(flags: Flags) -> Settings:
    """The settings to start with; raises `BadInput`, and `Fatal` if nobody could read them."""
    path = flags.force_config or flags.fallback_config
    if not path:
        log.info("config.default", remedy="give --force-config or --fallback-config to set anything")
        return Settings()
    settings = remembered.recall(Path(flags.relay_dir), Path(path))
    if settings is not None:
        _tell(settings, "config.known")
        return settings
    try:
        settings = await child.read(path)
    except Degraded as error:
        raise Fatal(str(error)) from error
    _tell(settings, "config.read")
    return settings


def remember(flags: Flags, settings: Settings) -> None:
    """Keep the settings that have been taken into use for the next start."""
    path = flags.force_config or flags.fallback_config
    if path:
        remembered.remember(Path(flags.relay_dir), Path(path), settings)


async def reread(flags: Flags, current: Settings, apply: Apply) -> Settings:
    """The settings after a reload: the new ones, applied, or with an error in the log the current ones.

    Raises `BadInput` or `Degraded` when the new ones cannot be used.
    """
    settings = await child.read(flags.force_config)
    if settings.policy != current.policy:
        raise BadInput(
            f"{flags.force_config}: policy: changing it takes a restart in this version; everything is as before"
        )
    await apply(settings)
    _tell(settings, "config.applied")
    return settings


def _tell(settings: Settings, event: str) -> None:
    log.info(event, file=settings.source, digest=settings.digest[:12], policy=settings.policy.active)
    for note in settings.notes:
        log.warning("config.note", note=note)
