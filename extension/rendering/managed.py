"""The shoot's objects as the Secret and the ManagedResource that carry them there.

The scheme is that of Gardener's own library since v1.77: the Secret is immutable and named after its content, and the
ManagedResource names it in an annotation as well, without which the garbage collector of gardener-resource-manager
deletes it.  `origin` is not "gardener": those gardenlet deletes by itself.
"""

import base64
from collections.abc import Iterable
from hashlib import sha256

from cri_resmgr.errors import BadInput
from cri_resmgr.kube.resources import Object
from extension.rendering.templates import as_json

NAME = "extension-runtime-cri-resmgr"
ORIGIN = "cri-resmgr-extension"
KEY = "installation_chart"
SECRET_PREFIX = f"managedresource-{NAME}-"
COLLECTABLE = {"resources.gardener.cloud/garbage-collectable-reference": "true"}
LIMIT_BYTES = 1 << 20
"""What the API server takes as the data of one Secret."""


def managed_resource(
    *, namespace: str, objects: Iterable[Object], keep_objects: bool = False, name: str = NAME
) -> tuple[Object, Object]:
    """The Secret and the ManagedResource that refers to it.  Raises BadInput if there is more than a Secret holds."""
    content = serialized(objects)
    if len(content) > LIMIT_BYTES:
        raise BadInput(
            f"what the shoot gets has {len(content)} bytes, and a Secret holds {LIMIT_BYTES}: make configs smaller"
        )
    data = {KEY: content}
    secret_name = f"managedresource-{name}-{digest(data)}"
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": secret_name, "namespace": namespace, "labels": dict(COLLECTABLE)},
        "type": "Opaque",
        "immutable": True,
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }
    return secret, _resource(name, namespace, secret_name, keep_objects=keep_objects)


def _resource(name: str, namespace: str, secret_name: str, *, keep_objects: bool) -> Object:
    return {
        "apiVersion": "resources.gardener.cloud/v1alpha1",
        "kind": "ManagedResource",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"origin": ORIGIN},
            "annotations": {reference_key(secret_name): secret_name},
        },
        "spec": {
            "secretRefs": [{"name": secret_name}],
            # The clean-up of a shoot's deletion leaves what has this label to gardener-resource-manager.
            "injectLabels": {"shoot.gardener.cloud/no-cleanup": "true"},
            "keepObjects": keep_objects,
        },
    }


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
