"""Pods and reviews of them, as an API server sends them."""

import json
from typing import Any

REVIEW = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
PODS = {"group": "", "version": "v1", "resource": "pods"}


def container(name: str, resources: Any = None, **fields: Any) -> dict[str, Any]:
    """One container of a spec."""
    return {"name": name, "image": "secret-image", **({} if resources is None else {"resources": resources}), **fields}


def pod(*containers: Any, init: Any = None, annotations: Any = None, **metadata: Any) -> dict[str, Any]:
    """A pod; `init` and `annotations` are left out unless they are given."""
    metadata = {"name": "web", "namespace": "shop", **metadata}
    if annotations is not None:
        metadata["annotations"] = annotations
    spec: dict[str, Any] = {"containers": list(containers or [container("c")])}
    if init is not None:
        spec["initContainers"] = init
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def review(made: Any, **fields: Any) -> dict[str, Any]:
    """The review of a pod that is to be made; `fields` are of its request."""
    asked = {"uid": "uid-1", "operation": "CREATE", "resource": PODS, "namespace": "shop", "object": made}
    return {**REVIEW, "request": {**asked, **fields}}


def body(made: Any, **fields: Any) -> bytes:
    """The same as bytes."""
    return json.dumps(review(made, **fields)).encode()
