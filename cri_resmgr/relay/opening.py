"""Decides for each new call who watches it: a hook, a tap, or nobody."""

from collections.abc import Mapping
from types import MappingProxyType

from cri_resmgr.relay.held import Held, Limits
from cri_resmgr.relay.hooks import Hook, TapFor
from cri_resmgr.relay.link import Link, Opener
from cri_resmgr.relay.streams import Watcher
from cri_resmgr.relay.tapped import Tapped
from cri_resmgr.wire.hpack import Field


def opener(
    hooks: Mapping[str, Hook],
    tap_for: TapFor = lambda _path: None,
    *,
    services: Mapping[str, Hook] = MappingProxyType({}),
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> Opener:
    """Calls whose path is in `hooks` or whose service is in `services` are held; of others `tap_for` may want copies.

    The mappings are looked up at each call, so they may change while links are open.
    """

    def opened(link: Link, stream: int, path: str, fields: list[Field]) -> Watcher | None:
        hook = hooks.get(path)
        if hook is None and services:
            hook = services.get(path[1:].partition("/")[0])
        if hook is not None:
            return Held(link, stream, method=path, fields=fields, hook=hook, limits=limits)
        tap = tap_for(path)
        return None if tap is None else Tapped(link, stream, tap)

    return opened
