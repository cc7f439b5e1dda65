"""The nodes that an uninstall form has not cleaned yet, by name, from the pods of a shoot.

A node is clean when a pod of the uninstall form is ready on it.  One whose kubelet is away keeps the pod of the install
form, on its way out; one that cannot pull the image has a pod that waits.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from cri_resmgr.kube.clients import Client
from cri_resmgr.kube.resources import Object
from extension.contract import PODS
from extension.rendering.shoot import ORIGIN, UNINSTALLING
from extension.rollouts import conditions

NAMED = 5
"""So many nodes are named; the rest is counted."""
DEADLINE_S = 5.0
OURS = PODS.within("kube-system").all(labels=f"origin={ORIGIN}")
APP = "app.kubernetes.io/name"


async def pods(shoot: Client) -> list[Object]:
    """All pods of ours.  Raises ApiError."""
    return [pod async for page in shoot.pages(OURS, deadline_s=DEADLINE_S) for pod in page.items]


def stragglers(found: Iterable[Object]) -> Mapping[str, str]:
    """Nodes that are not clean, with what their pod is at; in the order of their names."""
    mine = [pod for pod in found if _labels(pod).get(APP, "").startswith("cri-resmgr-installation")]
    clean = {_node(pod) for pod in mine if _is_clean(pod)}
    return {_node(pod): _state(pod) for pod in sorted(mine, key=_node) if _node(pod) not in clean}


def told(nodes: Mapping[str, str]) -> str:
    """Them in words, as the end of a sentence; empty if there are none."""
    some = [f"{node} ({state})" for node, state in [*nodes.items()][:NAMED]]
    more = [f"{len(nodes) - NAMED} more"] if len(nodes) > NAMED else []
    return f"; not clean yet: {', '.join(some + more)}" if nodes else ""


def _is_clean(pod: Object) -> bool:
    is_ready = conditions(pod).get("Ready", {}).get("status") == "True"
    going = "deletionTimestamp" in pod["metadata"]
    return UNINSTALLING.items() <= _labels(pod).items() and is_ready and not going


def _node(pod: Object) -> str:
    """Where a pod is, or where a DaemonSet wants it to be."""
    if name := pod["spec"].get("nodeName"):
        return str(name)
    affinity: Any = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    fields = [one for term in required.get("nodeSelectorTerms") or () for one in term.get("matchFields") or ()]
    return str(fields[0]["values"][0]) if fields else "a node that is not known"


def _state(pod: Object) -> str:
    """Why its containers wait, or the phase: `ImagePullBackOff`, `Pending`."""
    if "deletionTimestamp" in pod["metadata"]:
        return "Terminating"
    status = pod.get("status") or {}
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    waiting = [(one.get("state") or {}).get("waiting") or {} for one in containers]
    reasons = [one["reason"] for one in waiting if one.get("reason") not in {None, "PodInitializing"}]
    return str(next(iter(reasons), status.get("phase", "Unknown")))


def _labels(pod: Object) -> Mapping[str, str]:
    return pod["metadata"].get("labels") or {}
