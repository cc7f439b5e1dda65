"""Which nodes get what, as node affinities.

A node is *selected* if all terms hold, and *unselected* if one does not: the two are each other's complement among the
nodes that we are for at all, so every node always has exactly one of installation and removal.
"""

from collections.abc import Iterable
from typing import Any

from extension.rendering.inputs import DISABLED_LABEL, Selection

POOL_LABEL = "worker.gardener.cloud/pool"
CRI_LABEL = "worker.gardener.cloud/cri-name"
ARCHITECTURE_LABEL = "kubernetes.io/arch"

Term = dict[str, Any]
_OPPOSITE = {"In": "NotIn", "NotIn": "In"}


def everywhere(architectures: Iterable[str]) -> Term:
    """Every node that we are for."""
    return _affinity([_all(architectures)])


def selected(selection: Selection, architectures: Iterable[str]) -> Term:
    """The nodes that get an installation."""
    return _affinity([[*_all(architectures), *_terms(selection)]])


def unselected(selection: Selection, architectures: Iterable[str]) -> Term:
    """The other ones: those for which any one term does not hold."""
    return _affinity([[*_all(architectures), _negated(term)] for term in _terms(selection)])


def _all(architectures: Iterable[str]) -> list[Term]:
    terms = [_term(CRI_LABEL, "In", "containerd")]
    return terms + ([_term(ARCHITECTURE_LABEL, "In", *architectures)] if architectures else [])


def _terms(selection: Selection) -> list[Term]:
    """What must hold; NotIn also holds for a node without the label."""
    terms = [_term(DISABLED_LABEL, "NotIn", "true")]
    if selection.pools:
        terms.append(_term(POOL_LABEL, "In", *sorted(set(selection.pools))))
    if selection.excluded_pools:
        terms.append(_term(POOL_LABEL, "NotIn", *sorted(set(selection.excluded_pools))))
    terms.extend(_term(key, "In", value) for key, value in sorted(selection.node_labels.items()))
    return terms


def _term(key: str, operator: str, *values: str) -> Term:
    return {"key": key, "operator": operator, "values": list(values)}


def _negated(term: Term) -> Term:
    return {**term, "operator": _OPPOSITE[term["operator"]]}


def _affinity(alternatives: list[list[Term]]) -> Term:
    terms = [{"matchExpressions": expressions} for expressions in alternatives]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
