"""What the kubelet is told that a container has: what it has asked for.

The kubelet reads CPU shares and quota back from the runtime and shows them as the requests and limits of the pod's
status.  Whoever has CPUs of his own beside a part of shared ones is given shares for that part alone, so the status
would contradict the spec: 500m requested where it was 1500m; and a kubelet that reads back another limit than it has
set sets it again.  In a ContainerStatus, what a policy or an adjustment has set of these amounts, and of the limit of
memory, is therefore the kubelet's own word again.

Sets of CPUs and memory nodes are no resources of a pod, and nothing else says them to people: they are told as they
are.  So is the OCI spec of a verbose status, which we read ourselves.
"""

from cri_resmgr.cri import messages, methods, patches
from cri_resmgr.manager.decoding import decoded, id_in
from cri_resmgr.relay.hooks import Call, Hook
from cri_resmgr.state.ledger import Ledger
from cri_resmgr.values.adjustments import AMOUNTS
from cri_resmgr.values.resources import NOTHING, Assignment
from cri_resmgr.values.workloads import Container


class Statuses:
    """The hook for ContainerStatus; waits for nobody, and changes what says something else than was asked."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def hooks(self) -> dict[str, Hook]:
        """Who answers which method."""
        return {methods.CONTAINER_STATUS: self.status}

    async def status(self, call: Call) -> bytes:
        """The runtime's answer, with the kubelet's amounts."""
        reply = await call.forward(call.request)
        container = self._ledger.by_id(id_in(call))
        shown = NOTHING if container is None else as_asked(container)
        said = None if shown == NOTHING else decoded(call, lambda: messages.resources_told(reply))
        return reply if said is None else patches.patched_status(reply, said, shown)


def as_asked(container: Container) -> Assignment:
    """The kubelet's word for every amount that a policy or an adjustment has set."""
    due = container.due
    owned = (name for name in AMOUNTS if getattr(due, name) is not None)
    return Assignment(**{name: getattr(container.asked, name) for name in owned})
