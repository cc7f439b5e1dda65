"""What a Cluster says of its shoot, as one small value: the object weighs up to 300 KiB and is not kept.

Nothing in it is relied on to be there, or to be of the type it should be: other versions of Gardener wrote it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cri_resmgr.kube.clients import Client
from cri_resmgr.kube.errors import NotFound
from cri_resmgr.kube.resources import Object
from extension.contract import CLUSTERS, FORCE_DELETION, NAMESPACES
from extension.errors import NotYet

_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
"""What Go's ParseBool takes for true."""


AMD64 = "amd64"
"""The architecture of machines that do not say theirs."""


@dataclass(frozen=True, slots=True)
class Pool:
    """A worker pool."""

    name: str
    architecture: str = AMD64
    static: str = ""
    """Which of the kubelet's managers is static, as a key of its configuration; empty for none."""


@dataclass(frozen=True, slots=True)
class Shoot:
    """What we need of a shoot; the defaults are for an Extension that belongs to none."""

    kubernetes_version: str = ""
    deleting: bool = False
    failed: bool = False
    """gardenlet has given up, and so do we until it tries again."""
    hibernated: bool = False
    """Neither nodes nor gardener-resource-manager run."""
    force_deletion: bool = False
    pools: tuple[Pool, ...] | None = None
    """None: not known."""

    @property
    def may_have_nodes(self) -> bool:
        """Can there be a node on which something is installed?  A shoot that goes has lost its nodes before."""
        return not (self.deleting or self.hibernated)

    @property
    def architectures(self) -> tuple[str, ...]:
        """Those of its machines."""
        return tuple(sorted({pool.architecture for pool in self.pools or ()}))


async def shoot_of(client: Client, namespace: str) -> Shoot:
    """The shoot of a namespace.  Raises NotYet if it must have a Cluster and has none that says anything."""
    try:
        return shoot(await client.get(CLUSTERS, namespace))
    except NotFound as error:
        labels = (await client.get(NAMESPACES, namespace))["metadata"].get("labels") or {}
        if labels.get("gardener.cloud/role") == "shoot":
            text = f"there is no Cluster {namespace}, so nothing is known of the shoot; gardenlet makes it"
            raise NotYet(text) from error
        return Shoot()


def shoot(cluster: Object) -> Shoot:
    """What a Cluster says.  Raises NotYet if it has no shoot."""
    found = _at(cluster, "spec", "shoot")
    if not isinstance(found, dict):
        name = cluster["metadata"]["name"]
        raise NotYet(
            f"spec.shoot of Cluster {name} is no object, so nothing is known of the shoot; gardenlet writes it"
        )
    annotations = _at(found, "metadata", "annotations")
    forced = annotations.get(FORCE_DELETION) if isinstance(annotations, dict) else None
    return Shoot(
        kubernetes_version=_text(_at(found, "spec", "kubernetes", "version")),
        deleting=bool(_at(found, "metadata", "deletionTimestamp")),
        failed=_at(found, "status", "lastOperation", "state") == "Failed",
        hibernated=_at(found, "spec", "hibernation", "enabled") is True and _at(found, "status", "hibernated") is True,
        force_deletion=forced in _TRUE,
        pools=_pools(found),
    )


def _pools(found: Object) -> tuple[Pool, ...] | None:
    workers = _at(found, "spec", "provider", "workers")
    if not isinstance(workers, list):
        return None
    everywhere = _at(found, "spec", "kubernetes", "kubelet")
    return tuple(_pool(worker, everywhere) for worker in workers if isinstance(worker, dict) and worker.get("name"))


def _pool(worker: Object, everywhere: Any) -> Pool:
    """A pool's own kubelet section takes the place of the shoot's as a whole: that is how Gardener reads it."""
    own = _at(worker, "kubernetes", "kubelet")
    kubelet = own if isinstance(own, dict) else everywhere
    managers = ("cpuManagerPolicy", "memoryManagerPolicy")
    static = (key for key in managers if _text(_at(kubelet, key)).lower() == "static")
    architecture = _text(_at(worker, "machine", "architecture")) or AMD64
    return Pool(str(worker["name"]), architecture, next(static, ""))


def _at(found: Any, *path: str) -> Any:
    for word in path:
        found = found.get(word) if isinstance(found, Mapping) else None
    return found


def _text(found: Any) -> str:
    return found if isinstance(found, str) else ""
