"""The message dump: users see what kubelet and runtime say to each other.

Calls that are intercepted are seen by a layer around their hook, the others by a tap of the relay.  Which calls, and
how much of them, is decided by `dump.Config` (`config.dumprules`); a call that is off costs one look-up.  Secrets
are taken out (`redaction`), and neither a slow log nor a full disk is ever waited for (`dump_writer`).
"""

import asyncio
import time
from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from cri_resmgr.config import dumprules
from cri_resmgr.config.dumprules import Level
from cri_resmgr.config.settings import DumpSettings
from cri_resmgr.cri import methods
from cri_resmgr.observe import dump_entries, redaction
from cri_resmgr.observe.dump_entries import Entry, Kind
from cri_resmgr.observe.dump_writer import Target, Writer
from cri_resmgr.relay.hooks import Answered, Call, Failed, Hook, Refused, Tap
from cri_resmgr.wire.grpc import INTERNAL, OK, PREFIX_SIZE
from cri_resmgr.wire.hpack import Field

CODES = (
    *("OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists"),
    *("PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented"),
    *("Internal", "Unavailable", "DataLoss", "Unauthenticated"),
)

Qualify = Callable[[Call], str]
"""What a call is about, in words of the user, such as `web-0:app`; "" for nothing."""


class Dumper:
    """One for the daemon. `log` is the logger that users know as source `message`."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._writer = Writer(log)
        self._text = ""
        self._rules: tuple[dumprules.Rule, ...] = ()
        self._levels: dict[str, Level] = {}  # of methods that have been called; rules are tried once for each

    @property
    def dropped(self) -> int:
        """Messages that were not dumped because log or file were too slow."""
        return self._writer.dropped

    def configure(self, settings: DumpSettings) -> None:
        """Dump by `settings` from now on; a call in flight goes on as it began. Raises BadInput for wrong rules."""
        text = "" if settings.disabled else settings.rules
        if text != self._text:  # else a configuration about something else costs nothing here
            rules = dumprules.parse(text)
            self._text, self._rules, self._levels = text, rules, {}
        self._writer.direct(Target(file="" if settings.disabled else settings.file, debug=settings.debug))

    def tap_for(self, path: str) -> Tap | None:
        """The relay's tap for one call that is not intercepted; None if it is not dumped."""
        level = self._level(path)
        return None if level is Level.OFF else self._watch(path, level, kind=Kind.PASSTHROUGH)

    def layer(self, hook: Hook, qualify: Qualify) -> Hook:
        """`hook`, with its calls dumped: what came, what went on if that is something else, and the answer."""

        async def dumped(call: Call) -> bytes:
            level = self._level(call.method)
            if level is Level.OFF:
                return await hook(call)
            watch = self._watch(call.method, level, kind=Kind.INTERCEPTED, qualifier=qualify(call))
            watch.request(call.request)
            try:
                reply = await hook(_Seen(call, watch))
            except (Answered, Failed, Refused) as error:
                if isinstance(error, Answered) and error.code == OK:
                    watch.reply(error.body[PREFIX_SIZE:])
                else:
                    watch.ended(error.code, str(error))
                raise
            except asyncio.CancelledError:
                watch.ended(None, "")
                raise
            except Exception as error:
                watch.ended(INTERNAL, repr(error))
                raise
            watch.reply(reply)
            return reply

        return dumped

    def close(self) -> None:
        """Write what is waiting; at most two seconds."""
        self._writer.close()

    def _level(self, path: str) -> Level:
        level = self._levels.get(path)
        if level is None:
            level = dumprules.level_of(self._rules, path)
            if path in methods.PATHS:  # others are a client's own words, of which there may be any number
                self._levels[path] = level
        return level

    def _watch(self, path: str, level: Level, *, kind: Kind, qualifier: str = "") -> "Watch":
        return Watch(path, level, kind=kind, qualifier=qualifier, put=self._writer.put)


class Watch:
    """One call on its way into the dump: a `Tap`, and the view of a layer."""

    __slots__ = ("_kind", "_level", "_name", "_put", "_replied", "_started_s", "_types")

    def __init__(self, path: str, level: Level, *, kind: Kind, qualifier: str, put: Callable[[Entry], None]) -> None:
        self._level, self._kind, self._put = level, kind, put
        self._name = f"{qualifier} {_method(path)}" if qualifier else _method(path)
        self._types = methods.types_of(path)
        self._started_s = time.monotonic()
        self._replied = False

    def request(self, message: bytes) -> None:
        """The request as it came."""
        self._started_s = time.monotonic()
        self._asked(message, self._kind)

    def relayed(self, message: bytes) -> None:
        """The request as it goes on, changed."""
        self._asked(message, Kind.RELAYED)

    def reply(self, message: bytes) -> None:
        """The reply, or one of a stream's; a short dump tells of the first."""
        if self._level is Level.FULL:
            header = f"{self._name} <= ({self._kind.value}) REPLY"
            self._put(self._entry(header, message, 1, latency_s=time.monotonic() - self._started_s))
        elif not self._replied:
            self._answered()
        self._replied = True

    def ended(self, code: int | None, message: str) -> None:
        """The call is over; without an answer this is all that is told of it."""
        if code != OK:
            self._failed(code, message)
        elif not self._replied and self._level is Level.SHORT:
            self._answered()

    def _asked(self, message: bytes, kind: Kind) -> None:
        if self._level is Level.FULL:
            header = f"{self._name} => ({kind.value}) REQUEST"
            self._put(self._entry(header, message, 0, wall_s=time.time()))

    def _answered(self) -> None:
        # The predecessor's words, which scripts look for: one line for a call, when it is answered.
        header = f"{self._name} <= ({self._kind.value}) REQUEST"
        self._put(Entry(header, latency_s=time.monotonic() - self._started_s))

    def _failed(self, code: int | None, message: str) -> None:
        latency_s = time.monotonic() - self._started_s
        error, header = _error(code, message), f"{self._name} <= ({self._kind.value}) FAILED"
        if self._level is Level.SHORT:
            self._put(Entry(f"{header}: {error}", latency_s=latency_s, warning=True))
            return
        self._put(Entry(header, latency_s=latency_s, warning=True))
        self._put(Entry(f"{self._name} <=     {error}", latency_s=latency_s, warning=True))

    def _entry(
        self, header: str, message: bytes, side: int, *, wall_s: float | None = None, latency_s: float | None = None
    ) -> Entry:
        shown = self._types is not None and len(message) <= dump_entries.LIMIT_BYTES
        return Entry(
            header,
            wall_s=wall_s,
            latency_s=latency_s,
            size_bytes=len(message),
            raw=message if shown else None,
            shape=self._types[side] if self._types else None,
        )


class _Seen:
    """A call whose forwarded message is dumped when it is not what came."""

    __slots__ = ("_call", "_watch")

    def __init__(self, call: Call, watch: Watch) -> None:
        self._call, self._watch = call, watch

    @property
    def method(self) -> str:
        return self._call.method

    @property
    def request(self) -> bytes:
        return self._call.request

    @property
    def fields(self) -> list[Field]:
        return self._call.fields

    @property
    def remaining_s(self) -> float | None:
        return self._call.remaining_s

    async def forward(self, message: bytes) -> bytes:
        if message != self._call.request:
            self._watch.relayed(message)
        return await self._call.forward(message)


def _method(path: str) -> str:
    return path.rpartition("/")[2][: dumprules.NAME_LIMIT_CHARS]


def _error(code: int | None, message: str) -> str:
    """As gRPC's Go library says it, which the predecessor's users are used to."""
    if code is None:
        code, message = 1, message or "the call was cancelled or its connection was lost"
    name = CODES[code] if 0 <= code < len(CODES) else f"Code({code})"
    return f"rpc error: code = {name} desc = {redaction.text(message)}"
