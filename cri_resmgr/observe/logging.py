"""The log: events named `noun.verb` with key-values, from sources that are switched one by one.

A module asks for `structlog.get_logger("relay")`, or for `get("relay")` where it may import this room; the word is
the event's *source*.  Each source has one switch, the least rank that passes, so a debug call that is off costs a
comparison.  `configure` may be called again at any time: it changes switches and sinks, and loggers that exist follow.
The state is one `Logs`, which structlog's own configuration holds.
"""

import logging as stdlib
import os
import time
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, cast

import structlog

from cri_resmgr.config import sourcemap
from cri_resmgr.config.settings import LoggerSettings
from cri_resmgr.errors import BadInput
from cri_resmgr.observe import lines, sinks

DEFAULTS = LoggerSettings(backend="fmt", level="info", log_source=True, to_stderr=True, stderr_threshold="error")
DEBUG_VERBOSITY = 4  # klog's `v` from which on everything is debugged
STDLIB_SOURCE = "stdlog"

_RANKS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_LEVEL_RANKS = _RANKS | {"fatal": 50, "panic": 50}


@dataclass(slots=True, eq=False)
class Source:
    """One part of the program that logs; `least` is the rank from which on its events pass."""

    name: str
    least: int


class Logger:
    """What structlog's proxies stand for: a source, and fields that every event gets."""

    __slots__ = ("_context", "_processors", "_source")

    def __init__(self, source: Source, processors: list[structlog.typing.Processor], context: dict[str, Any]) -> None:
        self._source, self._processors, self._context = source, processors, context

    def bind(self, **fields: Any) -> "Logger":
        """A logger whose events have these fields, too."""
        return Logger(self._source, self._processors, self._context | fields)

    def unbind(self, *names: str) -> "Logger":
        """A logger without these fields."""
        left = {name: value for name, value in self._context.items() if name not in names}
        return Logger(self._source, self._processors, left)

    try_unbind = unbind

    def new(self, **fields: Any) -> "Logger":
        """A logger with these fields only."""
        return Logger(self._source, self._processors, fields)

    def is_debugged(self) -> bool:
        """Would a debug event pass? For those that cost something to make."""
        return self._source.least <= _RANKS["debug"]

    def debug(self, event: str, **fields: Any) -> None:
        """For who looks for a fault."""
        if self._source.least <= 10:  # noqa: PLR2004 - the hottest line of the room
            self._emit("debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """What happened, for who runs the node."""
        self._emit("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Something is not as it should be; we go on."""
        self._emit("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Something failed."""
        self._emit("error", event, fields)

    def exception(self, event: str, **fields: Any) -> None:
        """An error with the traceback of the exception that is being handled."""
        self._emit("error", event, {"exc_info": True, **fields})

    def critical(self, event: str, **fields: Any) -> None:
        """We cannot go on."""
        self._emit("critical", event, fields)

    def _emit(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        if _RANKS[level] < self._source.least:
            return
        passed: Any = {**self._context, **fields, "event": event}
        try:
            for processor in self._processors:
                passed = processor(self._source, level, passed)
        except structlog.DropEvent:
            return


@dataclass(slots=True)
class Logs:
    """All sources and where their lines go."""

    environment: Mapping[str, str]
    clock: Callable[[], float] = time.time
    settings: LoggerSettings = DEFAULTS
    forced: bool = False
    sources: dict[str, Source] = field(default_factory=dict)
    stderr: sinks.Sink = field(default_factory=lambda: sinks.Sink(2))
    file: sinks.Sink | None = None

    def source(self, name: str = "cri-resmgr", *_: object) -> Source:
        """The source of that name, with its switch; also structlog's factory of loggers."""
        name = sourcemap.canonical(name)
        return self.sources.setdefault(name, Source(name, self._least(name)))

    def apply(self, settings: LoggerSettings) -> None:
        """Log like this from now on; raises BadInput and changes nothing when the file cannot be opened."""
        merged = settings.over(DEFAULTS)
        file = self._opened(merged)
        old, self.file = self.file, file
        if old is not None:
            os.close(old.fd)
        self.settings = merged
        self.stderr.prefixed = sinks.is_journal(self.stderr.fd, self.environment)
        self._switch()

    def force(self, *, on: bool) -> None:
        """Debug everything, or what the settings say."""
        self.forced = on
        self._switch()

    def render(self, source: Source, level: str, fields: MutableMapping[str, Any]) -> str:
        """The only processor: an event becomes a line and is written."""
        record = lines.record(self.clock(), level, source.name, fields)
        to_stderr, to_file = self._sinks(level)
        text = ""
        if to_file:
            text = self._text(record, headers=not self.settings.skip_headers)
            to_file.write(text, lines.PRIORITIES[level])
        if to_stderr:
            text = self._text(record, headers=not (self.settings.skip_headers or self.stderr.prefixed))
            to_stderr.write(text, lines.PRIORITIES[level])
        return text

    def _text(self, record: Mapping[str, Any], *, headers: bool) -> str:
        if self.settings.backend == "json":
            return lines.machine(record)
        return lines.human(record, headers=headers, name_source=self.settings.log_source is not False)

    def _sinks(self, level: str) -> tuple[sinks.Sink | None, sinks.Sink | None]:
        if self.file is None:
            return self.stderr, None
        loud = _RANKS[level] >= _LEVEL_RANKS[self.settings.stderr_threshold or "error"]
        return self.stderr if loud or self.settings.also_to_stderr else None, self.file

    def _opened(self, settings: LoggerSettings) -> sinks.Sink | None:
        if settings.to_stderr is not False or not settings.file:
            return None
        try:
            return sinks.Sink(sinks.open_file(settings.file))
        except OSError as error:
            raise BadInput(f"log file {settings.file}: {error.strerror}; name a file that can be written") from error

    def _switch(self) -> None:
        for source in self.sources.values():
            source.least = self._least(source.name)

    def _least(self, name: str) -> int:
        settings = self.settings
        debugged = sourcemap.parse(settings.debug or "").enabled(name)
        if self.forced or debugged or (settings.verbosity or 0) >= DEBUG_VERBOSITY:
            return _RANKS["debug"]
        if not sourcemap.parse(settings.sources or "", others=True).enabled(name):
            return _RANKS["warning"]  # who is switched off may still cry
        return _LEVEL_RANKS[settings.level or "info"]


def configure(settings: LoggerSettings, *, environment: Mapping[str, str] = os.environ) -> Logs:
    """Log like this from now on, also those who have their logger already. Raises BadInput for a file."""
    logs = current()
    if logs is None:
        logs = Logs(environment)
        logs.apply(settings)
        structlog.configure(
            processors=[cast("structlog.typing.Processor", logs.render)],
            wrapper_class=cast("type[structlog.typing.BindableLogger]", Logger),
            context_class=dict,
            logger_factory=logs.source,
            cache_logger_on_first_use=True,
        )
        stdlib.basicConfig(handlers=[_stdlib_handler()], level=stdlib.INFO, force=True)
    else:
        logs.apply(settings)
    return logs


def current() -> Logs | None:
    """The state that `configure` made, None before it was called."""
    owner = getattr(structlog.get_config()["logger_factory"], "__self__", None)
    return owner if isinstance(owner, Logs) else None


def get(source: str) -> Any:
    """A logger for that source; it follows every later `configure`."""
    return structlog.get_logger(source)


def toggle_debug() -> bool:
    """Debug everything, or stop doing so (SIGUSR1): whether it is on now. Independent of `configure`."""
    logs = current()
    if logs is None:
        return False
    logs.force(on=not logs.forced)
    get("logging").warning("debug.forced" if logs.forced else "debug.released")
    return logs.forced


def _stdlib_handler() -> stdlib.Handler:
    """What libraries and asyncio itself have to say, in our lines; information from them is debugging for us."""
    log = get(STDLIB_SOURCE)

    def forward(record: stdlib.LogRecord) -> bool:
        tell = log.error if record.levelno >= stdlib.ERROR else log.warning
        tell = tell if record.levelno >= stdlib.WARNING else log.debug
        tell("library.said", logger=record.name, message=record.getMessage(), exc_info=record.exc_info)
        return False  # it needs no further handling

    handler = stdlib.Handler()
    handler.addFilter(forward)
    return handler
