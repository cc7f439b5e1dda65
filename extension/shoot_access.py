"""Reading a shoot's API server, for what the seed's side cannot see: asked for only when it is needed, then given back.

A Secret of a certain kind makes gardener-resource-manager request a token of a ServiceAccount in the shoot and write
it, with the authorities that sign the API server's certificates, into that Secret.  The ServiceAccount and what it may
do are among the objects that we bring, so they go with them; the Secret has to go first, or the account is made anew.

Source: Gardener v1.149, `pkg/controller/tokenrequestor` and `pkg/gardenlet/operation/shoot`.
"""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from cri_resmgr.kube.clients import Client, connected_by
from cri_resmgr.kube.credentials import from_token
from cri_resmgr.kube.errors import Conflict, NotFound
from cri_resmgr.kube.resources import Object
from extension.contract import SECRETS
from extension.errors import NotYet
from extension.rendering.shoot import labels

NAME = "shoot-access-cri-resmgr-extension"
ACCOUNT = "cri-resmgr-extension"
USER_AGENT = "gardener-extension-cri-resmgr"
TOKEN, AUTHORITY = "token", "bundle.crt"
SELF_HOSTED = "kube-system"
"""The namespace in which a shoot that is its own seed has its control plane."""


def address(namespace: str) -> str:
    """Where the API server of a shoot is reached from within the seed."""
    name = "kubernetes.default" if namespace == SELF_HOSTED else f"kube-apiserver.{namespace}"
    return f"https://{name}.svc"


@dataclass(frozen=True, slots=True)
class ShootAccess:
    """Clients for shoots."""

    client: Client
    """Of the seed."""
    server: str = ""
    """The address of every shoot's API server; empty for what Gardener calls it."""

    @asynccontextmanager
    async def shoot(self, namespace: str) -> AsyncIterator[Client]:
        """A client for the shoot of a namespace.  Raises NotYet while there is no token; it has been asked for then."""
        data = await self._data(namespace)
        if not (data.get(TOKEN) and data.get(AUTHORITY)):
            raise NotYet("there is no token for the shoot; gardener-resource-manager has been asked for one")
        token, authority = (base64.b64decode(data[key]).decode() for key in (TOKEN, AUTHORITY))
        load = from_token(server=self.server or address(namespace), token=token, authority=authority)
        async with connected_by(load, user_agent=USER_AGENT) as made:
            yield made

    async def forget(self, namespace: str) -> None:
        """Give the token back."""
        with suppress(NotFound):
            await self.client.delete(SECRETS.within(namespace), NAME)

    async def _data(self, namespace: str) -> dict[str, Any]:
        with suppress(NotFound):
            return (await self.client.get(SECRETS.within(namespace), NAME)).get("data") or {}
        with suppress(Conflict):  # somebody has been faster
            await self.client.create(SECRETS.within(namespace), _secret(namespace))
        return {}


def _secret(namespace: str) -> Object:
    account = "serviceaccount.resources.gardener.cloud"
    metadata = {
        "name": NAME,
        "namespace": namespace,
        "labels": {"resources.gardener.cloud/purpose": "token-requestor", "resources.gardener.cloud/class": "shoot"},
        "annotations": {
            f"{account}/name": ACCOUNT,
            f"{account}/namespace": "kube-system",
            f"{account}/labels": json.dumps(labels(ACCOUNT)),
            f"{account}/inject-ca-bundle": "true",
        },
    }
    return {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata}
