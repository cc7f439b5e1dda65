"""From a pod, as the API server sends it, to the JSON patch that annotates it.

The patch must fit whatever the pod looks like: the API server answers a patch that does not apply with an error that
the failure policy Ignore does not cover, so no pod could be made.  For the same reason we stay within the size that
all annotations of an object may have together.

Names and amounts are not validated yet when a webhook is asked.  We copy them as they are, and the API server refuses
the pod afterwards if it must.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cri_resmgr.policies.declarations import ANNOTATION, LIMIT_CHARS

Operation = Mapping[str, Any]

TOTAL_LIMIT_BYTES = 256 << 10
"""Of all annotations of an object, keys and values; Kubernetes refuses more."""
_SECTIONS = ("initContainers", "containers")
_WORDS = ("requests", "limits")


def patch(pod: Any) -> tuple[Operation, ...]:
    """The operations that make the annotation true; none where it is.  Raises ValueError for what is no pod."""
    metadata = _mapping(pod, "the object").get("metadata")
    if not isinstance(metadata, dict):
        raise ValueError("the object has no metadata")  # noqa: TRY004 - what is wrong is the pod
    annotations = _mapping(metadata.get("annotations"), "metadata.annotations")
    text = annotation(pod)
    if annotations.get(ANNOTATION) == text:
        return ()
    _check_size(annotations, text)
    if not annotations:
        return ({"op": "add", "path": "/metadata/annotations", "value": {ANNOTATION: text}},)
    key = ANNOTATION.replace("~", "~0").replace("/", "~1")
    return ({"op": "add", "path": f"/metadata/annotations/{key}", "value": text},)


def annotation(pod: Mapping[str, Any]) -> str:
    """Requests and limits of every container, as compact JSON; one without resources has an empty mapping."""
    spec = _mapping(pod.get("spec"), "spec")
    found = {section: _resources(spec.get(section), f"spec.{section}") for section in _SECTIONS}
    return json.dumps(found, separators=(",", ":"))


def _resources(containers: Any, path: str) -> dict[str, Any]:
    found = {}
    for at, container in enumerate(_sequence(containers, path)):
        here = f"{path}[{at}]"
        name = _mapping(container, here).get("name")
        if not isinstance(name, str):
            raise ValueError(f"{here} has no name")  # noqa: TRY004 - what is wrong is the pod
        resources = _mapping(container.get("resources"), f"{here}.resources")
        found[name] = {
            word: said for word in _WORDS if (said := _mapping(resources.get(word), f"{here}.resources.{word}"))
        }
    return found


def _check_size(annotations: Mapping[str, Any], text: str) -> None:
    if len(text) > LIMIT_CHARS:
        raise ValueError(f"its resources take {len(text)} characters, and nodes read {LIMIT_CHARS}")
    others = sum(_size(key) + _size(value) for key, value in annotations.items() if key != ANNOTATION)
    total = others + len(ANNOTATION) + len(text)
    if total > TOTAL_LIMIT_BYTES:
        raise ValueError(f"its annotations would take {total} bytes, and {TOTAL_LIMIT_BYTES} are allowed")


def _size(text: Any) -> int:
    return len(str(text).encode(errors="surrogatepass"))


def _mapping(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, dict | None):
        raise ValueError(f"{path} is no mapping")  # noqa: TRY004 - what is wrong is the pod
    return value or {}


def _sequence(value: Any, path: str) -> Sequence[Any]:
    if not isinstance(value, list | None):
        raise ValueError(f"{path} is no list")  # noqa: TRY004 - what is wrong is the pod
    return value or []
