"""From the lines of a file to events; a last line that was torn when its writer was killed is passed over."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from cri_resmgr.config import settings as settings_
from cri_resmgr.config.settings import Settings
from cri_resmgr.errors import BadInput
from cri_resmgr.observe.recording_events import FORMAT, Event, Header
from cri_resmgr.values import machine_texts
from cri_resmgr.values.machines import Machine


@dataclass(frozen=True, slots=True)
class Recording:
    """A whole file; `torn` says that its last line is not whole."""

    path: str
    header: Header
    machine: Machine
    settings: Settings
    events: tuple[Event, ...]
    torn: bool


def read(path: str) -> Recording:
    """The recording in a file. Raises BadInput that names the line."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; name a file that cri-resmgr record has written") from error
    *lines, rest = data.split(b"\n")
    if not lines:
        raise BadInput(f"{path}: there is no whole line in it; name a file that cri-resmgr record has written")
    header = _header(path, lines[0])
    return Recording(
        path=path,
        header=header,
        machine=_machine(path, header),
        settings=settings_in(header.settings, f"{path}, line 1"),
        events=tuple(_events(path, lines[1:])),
        torn=bool(rest),
    )


def settings_in(said: object, where: str) -> Settings:
    """The settings of a first line or an event. Raises BadInput."""
    try:
        return settings_.from_json(json.dumps(said))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        text = f"{where}: settings that this version does not know ({type(error).__name__}: {error})"
        raise BadInput(f"{text}; replay it with the version that has recorded it") from error


def _header(path: str, line: bytes) -> Header:
    try:
        found = TypeAdapter(Header).validate_json(line)
    except ValidationError as error:
        text = f"{path}, line 1: this is not how a recording begins"
        raise BadInput(f"{text}; name a file that cri-resmgr record has written") from error
    if found.record != FORMAT:
        text = f"{path} has format {found.record} of version {found.version}, this program reads {FORMAT}"
        raise BadInput(f"{text}; replay it with the version that has recorded it")
    return found


def _machine(path: str, header: Header) -> Machine:
    try:
        return machine_texts.read(json.dumps(header.machine))
    except ValueError as error:
        raise BadInput(f"{path}, line 1: {error}; replay it with the version that has recorded it") from error


def _events(path: str, lines: list[bytes]) -> Iterator[Event]:
    adapter: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])
    for number, line in enumerate(lines, start=2):
        try:
            yield adapter.validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            text = f"{path}, line {number}: no event that this version knows ({where}: {first['msg']})"
            raise BadInput(f"{text}; leave recordings as they are, or replay it with its own version") from error
