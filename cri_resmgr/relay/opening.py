"""Decides for each new call who watches it: a hook, a tap, or nobody."""

from collections.abc import Mapping

from cri_resmgr.relay.held import Held, Limits
from cri_resmgr.relay.hooks import Hook, TapFor
from cri_resmgr.relay.link import Link, Opener
from cri_resmgr.relay.streams import Watcher
from cri_resmgr.relay.tapped import Tapped
from cri_resmgr.wire.grpc import timeout_s
from cri_resmgr.wire.hpack import Field


def opener(hooks: Mapping[str, Hook], tap_for: TapFor = lambda _path: None, *, limits: Limits = Limits()) -> Opener:  # noqa: B008 - frozen
    """Calls whose path is in `hooks` are held; of the others, `tap_for` may want copies.

    The mapping is looked up at each call, so it may change while links are open.
    """

    def opened(link: Link, stream: int, path: str, fields: list[Field]) -> Watcher | None:
        hook = hooks.get(path)
        if hook is not None:
            return Held(link, stream, method=path, hook=hook, limits=limits, timeout_s=timeout_s(fields))
        tap = tap_for(path)
        return None if tap is None else Tapped(link, stream, tap)

    return opened
