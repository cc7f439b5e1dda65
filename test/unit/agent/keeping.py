"""An API server that keeps Events, as far as the agent writes them, in place of `kube.clients.Client`."""

from copy import deepcopy
from typing import Any

from cri_resmgr.kube.errors import ApiError, Conflict, NotFound
from cri_resmgr.kube.outages import Outages


class Keeper:
    """`broken` is raised instead of any answer; `requests` are (verb, name)."""

    def __init__(self) -> None:
        self.events: dict[str, Any] = {}
        self.requests: list[tuple[str, str]] = []
        self.broken: ApiError | None = None
        self.outages = Outages()

    async def create(self, resource: Any, body: Any) -> Any:
        """A new one."""
        self._asked("create", body["metadata"]["name"])
        assert body["metadata"]["namespace"] == resource.namespace
        if body["metadata"]["name"] in self.events:
            raise Conflict("it is there")
        self.events[body["metadata"]["name"]] = deepcopy(body)
        return body

    async def merge_patch(self, _resource: Any, name: str, patch: Any) -> Any:
        """Only a series may change."""
        self._asked("patch", name)
        assert patch.keys() == {"series"}
        if name not in self.events:
            raise NotFound("it has gone")
        self.events[name] |= deepcopy(patch)
        return self.events[name]

    def counts(self) -> dict[str, int]:
        """How often what has been told, by note."""
        return {event["note"]: event.get("series", {"count": 1})["count"] for event in self.events.values()}

    def _asked(self, verb: str, name: str) -> None:
        self.requests.append((verb, name))
        if self.broken is not None:
            raise self.broken
