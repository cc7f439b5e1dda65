"""The shoot's objects as the Secret and the ManagedResource that carry them there.

The scheme is that of Gardener's own library since v1.77: the Secret is immutable and named after its content, and the
ManagedResource names it in an annotation as well, without which the garbage collector of gardener-resource-manager
deletes it.  `origin` is not "gardener": those gardenlet deletes by itself.
"""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from cri_resmgr.errors import BadInput
from cri_resmgr.kube.resources import Object
from extension.rendering.templates import as_json

NAME = "extension-runtime-cri-resmgr"
ORIGIN = "cri-resmgr-extension"
KEY = "installation_chart"
SECRET_PREFIX = f"managedresource-{NAME}-"
MONITORING_NAME = "extension-monitoring-cri-resmgr"
COLLECTABLE = {"resources.gardener.cloud/garbage-collectable-reference": "true"}
LIMIT_BYTES = 1 << 20
"""What the API server takes as the data of one Secret."""


def managed_resource(*, namespace: str, objects: Iterable[Object]) -> tuple[Object, Object]:
    """Secret and ManagedResource for the shoot.  Raises BadInput if there is more than a Secret holds."""
    spec = {
        # The clean-up of a shoot's deletion leaves what has this label to gardener-resource-manager.
        "injectLabels": {"shoot.gardener.cloud/no-cleanup": "true"},
        "keepObjects": False,
    }
    return _made(_Names(namespace, NAME, KEY), objects, labels={"origin": ORIGIN}, spec=spec)


def monitoring_resource(*, namespace: str, objects: Iterable[Object]) -> tuple[Object, Object]:
    """The same for what stays in the seed: its own gardener-resource-manager applies that."""
    labels = {"care.gardener.cloud/condition-type": "ObservabilityComponentsHealthy"}
    spec = {"class": "seed", "keepObjects": False}
    return _made(_Names(namespace, MONITORING_NAME, "data"), objects, labels=labels, spec=spec)


@dataclass(frozen=True, slots=True)
class _Names:
    namespace: str
    resource: str
    key: str


def _made(
    names: _Names, objects: Iterable[Object], *, labels: dict[str, str], spec: dict[str, Any]
) -> tuple[Object, Object]:
    content = serialized(objects)
    if len(content) > LIMIT_BYTES:
        raise BadInput(
            f"what the shoot gets has {len(content)} bytes, and a Secret holds {LIMIT_BYTES}: make configs smaller"
        )
    data = {names.key: content}
    name = f"managedresource-{names.resource}-{digest(data)}"
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": names.namespace, "labels": dict(COLLECTABLE)},
        "type": "Opaque",
        "immutable": True,
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }
    resource = {
        "apiVersion": "resources.gardener.cloud/v1alpha1",
        "kind": "ManagedResource",
        "metadata": {
            "name": names.resource,
            "namespace": names.namespace,
            "labels": labels,
            "annotations": {reference_key(name): name},
        },
        "spec": {"secretRefs": [{"name": name}], **spec},
    }
    return secret, resource


def serialized(objects: Iterable[Object]) -> bytes:
    """The objects as YAML documents, each on one line of JSON: no value can be read as anything else than it is."""
    return "".join(f"---\n{as_json(each)}\n" for each in objects).encode()


def digest(data: dict[str, bytes]) -> str:
    """The end of a Secret's name, from its data: Gardener's formula, in which the keys themselves do not count."""
    parts = "".join(sha256(data[key]).hexdigest() for key in sorted(data))
    return sha256(parts.encode()).hexdigest()[:8]


def reference_key(secret_name: str) -> str:
    """The annotation that keeps the garbage collector from a Secret."""
    return f"reference.resources.gardener.cloud/secret-{sha256(secret_name.encode()).hexdigest()[:8]}"
