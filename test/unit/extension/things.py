"""Objects of the seed as the API server gives them, with what a test wants to differ."""

from typing import Any

TYPE = "cri-resmgr-extension"
NOW = "2026-08-21T10:00:00Z"


def extension_object(
    operation: str = "",
    last: tuple[str, str] | None = ("Create", "Succeeded"),
    *,
    requested: str = NOW,
    updated: str = NOW,
    deleted: bool = False,
    **metadata: Any,
) -> dict[str, Any]:
    """An Extension that is settled and answered unless something else is said."""
    notes = {"gardener.cloud/timestamp": requested, **({"gardener.cloud/operation": operation} if operation else {})}
    made: dict[str, Any] = {"name": TYPE, "namespace": "shoot--p--s", "generation": 2, "resourceVersion": "7"}
    made |= {"annotations": notes, **({"deletionTimestamp": NOW} if deleted else {}), **metadata}
    status: dict[str, Any] = {"observedGeneration": 2}
    if last:
        kind, state = last
        status["lastOperation"] = {"type": kind, "state": state, "description": "-", "lastUpdateTime": updated}
    return {"metadata": made, "spec": {"type": TYPE}, "status": status}
