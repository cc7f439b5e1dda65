"""Events of a recording as lines of JSON, with nothing in them that is nobody's business.

A recording is made of what policies see, so environments, commands, mounts, credentials and images never come near it.
Of annotations only ours are kept, of labels all, since affinities may name any; the value of a label whose key smells
of a secret is taken out, and so is what looks like one in reasons.  What is as it is by default is not written.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from enum import Enum
from typing import Any

from cri_resmgr.observe import redaction
from cri_resmgr.observe.recording_events import Event, Header, Outcome
from cri_resmgr.policies import annotations, declarations
from cri_resmgr.values.decisions import Change, Decision
from cri_resmgr.values.workloads import Container, Pod


def header(said: Header) -> str:
    """The first line."""
    return json.dumps({f.name: getattr(said, f.name) for f in fields(said)}, separators=(",", ":"))


def line(event: Event) -> str:
    """The line of an event."""
    return json.dumps({"event": event.event, **_fields(event)}, separators=(",", ":"))


def _fields(value: Any) -> dict[str, Any]:
    said = ((f, getattr(value, f.name)) for f in fields(value) if f.init)
    return {f.name: _plain(found) for f, found in said if not _is_default(f, found)}


def _is_default(field: "Field[Any]", value: object) -> bool:
    if field.default is not MISSING:
        return bool(value == field.default)
    return field.default_factory is not MISSING and bool(value == field.default_factory())


def _plain(value: Any) -> Any:
    if isinstance(value, str | int | float | None):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if is_dataclass(value):
        return _fields(_shown(value))
    return [_plain(inner) for inner in value]


def _shown(value: Any) -> Any:
    """The value without what is not to be seen."""
    match value:
        case Pod():
            return replace(value, labels=_labels(value.labels), annotations=_ours(value.annotations))
        case Container():
            labels, ours = _labels(value.labels), _ours(value.annotations)
            return replace(value, labels=labels, annotations=ours, reasons=_texts(value.reasons), candidates=())
        case Decision():
            return replace(value, reasons=_texts(value.reasons), candidates=())
        case Change():
            return replace(value, reasons=_texts(value.reasons))
        case Outcome():
            return replace(value, refused=redaction.text(value.refused), passed=redaction.text(value.passed))
    return value


def _labels(said: Mapping[str, str]) -> dict[str, str]:
    return {key: redaction.REDACTED if redaction.smells(key) else value for key, value in said.items()}


def _ours(said: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in said.items() if annotations.DOMAIN in key or key == declarations.ANNOTATION}


def _texts(said: Iterable[str]) -> tuple[str, ...]:
    return tuple(map(redaction.text, said))
