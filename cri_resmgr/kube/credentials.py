"""Where the API server is and how it knows us: a pod's service account, a kubeconfig, or a token that is at hand.

Tokens expire and certificates are replaced under a running process, so nothing here is read once and for all: a
`Load` can be called again at any time.  Reading and understanding the files is left to `kubernetes.aio.config`.

A pod's own API server, and one for which there is a token, is never reached through a proxy, whatever the environment
says.  A kubeconfig's is reached as kubectl would: through its `proxy-url`, or else the environment's proxy.
"""

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config.config_exception import ConfigException
from kubernetes.aio.config.incluster_config import InClusterConfigLoader
from kubernetes.aio.config.kube_config import load_kube_config

from cri_resmgr.errors import BadInput

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_GOOD_FOR_S = 60.0
"""The kubelet replaces a token when a fifth of its life, at least two minutes, is left."""


@dataclass(frozen=True, slots=True)
class Access:
    """What was read."""

    configuration: Configuration
    """Address, certificates, proxy."""
    authorization: str
    """The header's value; empty when a client certificate says who we are."""
    good_for_s: float
    """Read again when it is older."""


Load = Callable[[], Awaitable[Access]]
"""Raises BadInput when what it finds cannot be used."""


def from_pod(environment: Mapping[str, str] = os.environ, directory: Path = SERVICE_ACCOUNT) -> Load:
    """The service account of the pod that we run in."""

    async def load() -> Access:
        configuration = Configuration()
        loader = InClusterConfigLoader(  # type: ignore[no-untyped-call]
            str(directory / "token"), str(directory / "ca.crt"), try_refresh_token=False, environ=environment
        )
        try:
            loader.load_and_set(configuration)  # type: ignore[no-untyped-call]
        except (ConfigException, OSError) as error:
            raise BadInput(f"no service account in {directory}: {error}; outside of a pod give a kubeconfig") from error
        return Access(configuration, _header(configuration), TOKEN_GOOD_FOR_S)

    return load


def from_kubeconfig(path: Path) -> Load:
    """The current context of a kubeconfig file."""

    async def load() -> Access:
        configuration = Configuration()
        try:
            await load_kube_config(  # type: ignore[no-untyped-call]
                str(path), client_configuration=configuration, persist_config=False
            )
        except Exception as error:  # it raises whatever its parsing of a wrong file comes upon
            said = " ".join(str(error).split())
            raise BadInput(f"kubeconfig {path} cannot be used: {said}; does `kubectl` accept it?") from error
        configuration.proxy = configuration.proxy or _proxy(configuration.host)
        return Access(configuration, _header(configuration), inf)

    return load


def from_token(*, server: str, token: str, authority: str) -> Load:
    """A token for a server whose certificate one of the authorities (PEM) has signed; good for a short use."""

    async def load() -> Access:
        return Access(Configuration(host=server, ca_cert_data=authority), f"Bearer {token}", inf)

    return load


def _header(configuration: Configuration) -> str:
    return configuration.api_key.get("BearerToken", "").strip()


def _proxy(server: str) -> str | None:
    url = urlsplit(server)
    return None if proxy_bypass(url.netloc) else getproxies().get(url.scheme)
