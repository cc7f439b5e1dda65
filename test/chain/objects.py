"""Names and small dealings with objects of the garden and of the seed."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from equipment.control_plane import Api

CORE = "/apis/core.gardener.cloud/v1beta1"
SEED = "local"
APPLY = "application/apply-patch+yaml"
MANAGER = "?fieldManager=standin&force=true"

Thing = dict[str, Any]


def apply(api: Api, path: str, thing: Mapping[str, Any]) -> Thing:
    """Have an object be so in what is said of it; what others have said of it stays."""
    done: Thing = api("PATCH", f"{path}{MANAGER}", json.loads(json.dumps(thing)), content=APPLY)
    return done


def now() -> str:
    """To the second, as Gardener writes times."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
