"""The webhook's certificate of each shoot, kept in a Secret beside its ManagedResource: made, renewed, forgotten.

The write is a creation, or a replacement of what was read, so of two who write at the same time one fails and tries
again with what the other one has made.
"""

import base64
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cri_resmgr.kube.clients import Client
from cri_resmgr.kube.errors import NotFound
from cri_resmgr.kube.resources import Object
from extension.contract import SECRETS
from extension.rendering.inputs import Certificate

if TYPE_CHECKING:
    from extension.certificates import Issued

NAME = "cri-resmgr-webhook-certificate"
KEYS = ("tls.crt", "tls.key", "ca.crt", "ca.key")


@dataclass(frozen=True, slots=True)
class Certifier:
    """Hands out certificates."""

    client: Client
    now: Callable[[], datetime]

    async def certificate(self, namespace: str) -> Certificate:
        """What the webhook of a shoot is to serve with.  Raises Conflict if another one is just making it."""
        from extension.certificates import issued  # noqa: PLC0415 - 17 MiB that nobody needs without a webhook

        secret = await self._find(namespace)
        old = _read(secret)
        new = issued(self.now(), old)
        if new != old:
            await self._keep(namespace, secret, new)
        return new.served

    async def forget(self, namespace: str) -> None:
        """Delete what is kept for a shoot."""
        with suppress(NotFound):
            await self.client.delete(SECRETS.within(namespace), NAME)

    async def _find(self, namespace: str) -> Object | None:
        try:
            return await self.client.get(SECRETS.within(namespace), NAME)
        except NotFound:
            return None

    async def _keep(self, namespace: str, secret: Object | None, new: "Issued") -> None:
        texts = (new.served.certificate, new.served.key, new.served.authority, new.authority_key)
        data = {key: base64.b64encode(text.encode()).decode() for key, text in zip(KEYS, texts, strict=True)}
        if secret is not None:
            await self.client.replace(SECRETS.within(namespace), {**secret, "data": data})
            return
        labels = {"app.kubernetes.io/name": "gardener-extension-cri-resmgr"}
        metadata = {"name": NAME, "namespace": namespace, "labels": labels}
        made = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata, "data": data}
        await self.client.create(SECRETS.within(namespace), made)


def _read(secret: Object | None) -> "Issued | None":
    """What a Secret has; None if that is not all of it."""
    from extension.certificates import Issued  # noqa: PLC0415

    data: dict[str, Any] = (secret or {}).get("data") or {}
    try:
        certificate, key, authority, authority_key = (base64.b64decode(data[name]).decode() for name in KEYS)
    except (KeyError, ValueError):
        return None
    return Issued(Certificate(certificate, key, authority), authority_key)
