"""What `record` and the daemon say to each other, as plain values; both are of one version, and it is JSON."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

SOCKET = "record.sock"
NEXT = "/criresmgr.record.v1.Record/Next"


@dataclass(frozen=True, slots=True)
class Question:
    """Go on with the recording of this id, "" for a new one; with a `stop`, the reason, it ends here."""

    id: str = ""
    stop: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """The next lines; there are `more` already, or it has `ended` and there will be none."""

    id: str
    lines: tuple[str, ...]
    more: bool
    ended: bool


def socket_in(directory: Path) -> Path:
    """Where a daemon with this state directory listens."""
    return directory / SOCKET


def write(said: Question | Reply) -> bytes:
    """Either as bytes."""
    return json.dumps(asdict(said)).encode()


def read_question(data: bytes) -> Question:
    """The question that `write` wrote. Raises ValueError."""
    try:
        return Question(**json.loads(data))
    except TypeError as error:
        raise ValueError(f"no question of this version: {error}") from error


def read_reply(data: bytes) -> Reply:
    """The reply that `write` wrote. Raises ValueError."""
    try:
        said = json.loads(data)
        return Reply(**{**said, "lines": tuple(said["lines"])})
    except (TypeError, KeyError) as error:
        raise ValueError(f"no reply of this version: {error}") from error
