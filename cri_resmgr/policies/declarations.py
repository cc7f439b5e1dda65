"""The annotation `intel.com/resources` of the webhook: a pod's requests and limits as they were when it was created.

    {"initContainers": {NAME: {"requests": {"cpu": "2"}, "limits": {…}}}, "containers": {NAME: {}}}

Every container of the spec is listed, one without resources with an empty mapping; that it has none is news, too.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cri_resmgr.values import quantities

ANNOTATION = "intel.com/resources"
LIMIT_CHARS = 65_536


@dataclass(frozen=True, slots=True)
class Amounts:
    """A request and a limit in the same unit, 0 for none."""

    request: int = 0
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Declared:
    """A container's own resources: CPU in thousandths, memory in bytes."""

    cpu: Amounts
    memory: Amounts


def declared(container_name: str, annotations: Mapping[str, str]) -> Declared | None:
    """What the annotation says about a container; None if it does not know it. Raises ValueError."""
    text = annotations.get(ANNOTATION)
    if text is None:
        return None
    if len(text) > LIMIT_CHARS:
        raise ValueError(f"it is longer than {LIMIT_CHARS} characters")
    try:
        tree = json.loads(text, parse_int=str, parse_float=str)  # a bare number is a quantity, too
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no JSON: {error}") from error
    for kind in ("initContainers", "containers"):
        section = _mapping(_mapping(tree, "it").get(kind), kind)
        if container_name in section:
            return _container(section[container_name], f"{kind}.{container_name}")
    return None


def _container(said: Any, path: str) -> Declared:
    spec = _mapping(said, path)
    requests, limits = (_mapping(spec.get(word), f"{path}.{word}") for word in ("requests", "limits"))
    try:
        cpu = [None if said is None else quantities.cpu_millicpu(str(said)) for said in _both("cpu", requests, limits)]
        memory = [
            None if said is None else quantities.bytes_of(str(said)) for said in _both("memory", requests, limits)
        ]
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return Declared(_amounts(*cpu), _amounts(*memory))


def _both(resource: str, requests: Mapping[str, Any], limits: Mapping[str, Any]) -> tuple[Any, Any]:
    return requests.get(resource), limits.get(resource)


def _amounts(request: int | None, limit: int | None) -> Amounts:
    """As Kubernetes completes them: a missing request is the limit."""
    return Amounts((limit or 0) if request is None else request, limit or 0)


def _mapping(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, dict | None):
        raise ValueError(f"{path} is no mapping")  # noqa: TRY004 - what is wrong is the text
    return value or {}
