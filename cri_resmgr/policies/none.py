"""Policy `none`: every container gets exactly what the kubelet asked for."""

from collections.abc import Sequence

from cri_resmgr.policies.contract import Policy
from cri_resmgr.values.decisions import Decision
from cri_resmgr.values.workloads import Container, Pod

_AS_ASKED = Decision(reasons=("policy none: the kubelet's own values",))
_NOTHING_HELD = Decision()


class NonePolicy:
    """Decides nothing, about nobody."""

    name = "none"

    def create(self, container: Container, pod: Pod, running: Sequence[Container]) -> Decision:
        """What was asked."""
        return _AS_ASKED

    def update(self, container: Container, pod: Pod, running: Sequence[Container]) -> Decision:
        """What is asked now."""
        return _AS_ASKED

    def release(self, container: Container, pod: Pod, running: Sequence[Container]) -> Decision:
        """Nothing was held."""
        return _NOTHING_HELD


def make() -> Policy:
    """The policy; it has no options."""
    return NonePolicy()
