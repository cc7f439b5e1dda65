"""What can be asked for: kinds of objects, where, and which of them.

An `Object` is JSON as the API server sends it.  The items of a list carry neither `kind` nor `apiVersion`.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ref:
    """Which object of its kind; `namespace` is empty for those of the whole cluster."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def ref_of(thing: Object) -> Ref:
    """The reference to an object."""
    metadata = thing["metadata"]
    return Ref(metadata.get("namespace", ""), metadata["name"])


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of objects, in one namespace or, with none, in all of them or in the cluster."""

    group_version: str
    """`v1`, `coordination.k8s.io/v1`."""
    plural: str
    namespace: str = ""

    def __str__(self) -> str:
        where = f" in {self.namespace}" if self.namespace else ""
        return f"{self.plural}{where}"

    def within(self, namespace: str) -> "Resource":
        """The same kind in one namespace."""
        return Resource(self.group_version, self.plural, namespace)

    def all(self, *, labels: str = "") -> "Collection":
        """All objects, or those with certain labels: `a=b,c in (d, e)`."""
        return Collection(self, labels=labels)

    def named(self, name: str) -> "Collection":
        """One object, there or not."""
        return Collection(self, fields=f"metadata.name={name}")

    def path(self, name: str = "", *, subresource: str = "") -> str:
        """The URL's path of the collection, of an object in it, or of a part of that: `status`."""
        root = "apis" if "/" in self.group_version else "api"
        scope = ["namespaces", self.namespace] if self.namespace else []
        parts = [root, *self.group_version.split("/"), *scope, self.plural, name, subresource]
        return "/" + "/".join(quote(part, safe="") for part in parts if part)


@dataclass(frozen=True, slots=True)
class Collection:
    """Those objects of a kind that selectors, in the API server's own syntax, leave."""

    resource: Resource
    fields: str = ""
    labels: str = ""
    metadata_only: bool = False
    """The server leaves spec and status out: for objects that weigh much and of which little is needed."""

    def __str__(self) -> str:
        return " ".join(filter(None, (str(self.resource), self.fields, self.labels)))

    def query(self) -> dict[str, str]:
        """The parameters of a request."""
        selectors = {"fieldSelector": self.fields, "labelSelector": self.labels}
        return {key: value for key, value in selectors.items() if value}
