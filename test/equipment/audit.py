"""Who wrote what, in the order in which the API server took it: its own audit log.

Only writes are in it, once each, when they have been answered.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted", "Panic"],
    "rules": [
        {"level": "None", "verbs": ["get", "list", "watch"]},
        {"level": "None", "users": ["system:apiserver"]},
        {"level": "Metadata"},
    ],
}


@dataclass(frozen=True, slots=True)
class Write:
    """One request that wanted to change something; `status` is HTTP's."""

    user: str
    verb: str
    plural: str
    """The kind, with `/status` for that part of an object."""
    namespace: str
    name: str
    status: int
    received: str
    """When, as RFC 3339 with six digits."""

    @property
    def done(self) -> bool:
        """It has changed something, or could have."""
        return self.status < 300

    @property
    def account(self) -> str:
        """The last part of the user's name."""
        return self.user.rpartition(":")[2]


def writes(log: Path, *, since: int = 0) -> list[Write]:
    """All of them from that byte on, by when they were received."""
    return sorted(_writes(log, since), key=lambda write: write.received)


def mark(log: Path) -> int:
    """Where the next write will stand."""
    return log.stat().st_size if log.exists() else 0


def _writes(log: Path, since: int) -> Iterator[Write]:
    with log.open("rb") as file:
        file.seek(since)
        for line in file:
            if line.endswith(b"\n"):  # else it is being written
                yield _write(json.loads(line))


def _write(event: Any) -> Write:
    ref = event.get("objectRef") or {}
    part = f"/{ref['subresource']}" if ref.get("subresource") else ""
    return Write(
        user=event["user"]["username"],
        verb=event["verb"],
        plural=f"{ref.get('resource', event['requestURI'])}{part}",
        namespace=ref.get("namespace", ""),
        name=ref.get("name", ""),
        status=(event.get("responseStatus") or {}).get("code", 0),
        received=event["requestReceivedTimestamp"],
    )
