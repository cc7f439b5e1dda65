"""An event as text: for people and the journal, `policy decided.container cpus=0-3`, or as JSON for machines.

One event is one line, save for a traceback; a value can neither break a line nor pass for another key.
"""

import json
import re
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from sys import exc_info
from types import TracebackType
from typing import Any

PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}  # syslog's, which the journal reads
_RESERVED = ("time", "level", "source", "event")
_is_plain = re.compile(r"[\w./:@+,*%~#-]+").fullmatch


def human(record: Mapping[str, Any], *, headers: bool, name_source: bool) -> str:
    """`2026-11-22T02:11:16.123Z I [relay] link.opened peer=…`; without headers from the source on."""
    head = f"{record['time']} {record['level'][0].upper()} " if headers else ""
    source = f"[{record['source']}] " if name_source else ""
    fields = (f" {key}={_word(value)}" for key, value in record.items() if key not in (*_RESERVED, "traceback"))
    line = f"{head}{source}{_printable(record['event'])}{''.join(fields)}"
    trace = record.get("traceback")
    return line + "".join(f"\n    {_printable(part)}" for part in trace.splitlines()) if trace else line


def machine(record: Mapping[str, Any]) -> str:
    """One JSON object."""
    return json.dumps(record, default=str, ensure_ascii=False)


def record(time_s: float, level: str, source: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a line in their order; a field named like a part gets a `_` after its name."""
    stamp = datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    made: dict[str, Any] = {"time": stamp, "level": level, "source": source, "event": str(fields["event"])}
    for key, value in fields.items():
        if key == "exc_info":
            made |= _trace(value)
        elif key != "event":
            made[f"{key}_" if key in _RESERVED else key] = value
    return made


def _trace(given: object) -> dict[str, str]:
    error = given if isinstance(given, BaseException) else None
    if isinstance(given, tuple) and len(given) > 1:
        error = given[1]
    elif given and error is None:
        found: tuple[object, BaseException | None, TracebackType | None] = exc_info()
        error = found[1]
    return {} if error is None else {"traceback": "".join(traceback.format_exception(error)).rstrip()}


def _word(value: object) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if _is_plain(text) else json.dumps(text, ensure_ascii=not text.isprintable())


def _printable(text: str) -> str:
    return text if text.isprintable() else text.encode("unicode_escape").decode()
