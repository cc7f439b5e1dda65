"""A cluster of a few objects for what watches single ones: each collection is a model server of its own."""

from collections import defaultdict
from typing import Any

from cri_resmgr.agent.choosing import Names
from cri_resmgr.agent.watching import CONFIGMAPS, NODES
from unit.kube.model_server import ModelServer

NAMES = Names("node-1", "kube-system", "cri-resmgr-config", "cri-resource-manager.intel.com/group")
OWN, DEFAULT = NAMES.own, NAMES.shared("")


class Cluster:
    """In place of a client; `requests` are the collections that were listed or watched, in order."""

    def __init__(self) -> None:
        self._servers: defaultdict[str, ModelServer] = defaultdict(ModelServer)
        self.requests: list[tuple[str, str]] = []
        self.outages = ModelServer().outages

    def node(self, group: str | None = None, *, cpu: str = "8", **metadata: Any) -> None:
        """The Node is there, or changes."""
        labels = {} if group is None else {NAMES.label: group}
        node = {"metadata": {"name": NAMES.node, "labels": labels, **metadata}, "status": {"allocatable": {"cpu": cpu}}}
        self._put(NODES.named(NAMES.node), node)

    def configmap(self, name: str, **data: str) -> None:
        """A ConfigMap is there, or changes."""
        metadata = {"name": name, "namespace": NAMES.namespace}
        self._put(CONFIGMAPS.within(NAMES.namespace).named(name), {"metadata": metadata, "data": data})

    def drop(self, name: str) -> None:
        """A ConfigMap or the Node goes."""
        found = NODES.named(name) if name == NAMES.node else CONFIGMAPS.within(NAMES.namespace).named(name)
        self._servers[str(found)].drop(name)

    def watched(self) -> set[str]:
        """The names of what somebody watches now."""
        return {name.rpartition("=")[2] for name, server in self._servers.items() if server._watches}

    def _put(self, collection: Any, body: Any) -> None:
        server = self._servers[str(collection)]
        server._store(body, "MODIFIED" if body["metadata"]["name"] in server.objects else "ADDED")

    def pages(self, collection: Any, **options: Any) -> Any:
        """Of the client."""
        self.requests.append(("list", str(collection)))
        return self._servers[str(collection)].pages(collection, **options)

    def watch(self, collection: Any, **options: Any) -> Any:
        """Of the client."""
        self.requests.append(("watch", str(collection)))
        return self._servers[str(collection)].watch(collection, **options)
