"""Policy `none`: every container gets exactly what the kubelet asked for."""

from collections.abc import Mapping, Sequence

from cri_resmgr.policies.contract import Answer, Context, Policy, Pool, Restored, State
from cri_resmgr.values.decisions import HOLDING_NOTHING, Decision
from cri_resmgr.values.resources import NOTHING
from cri_resmgr.values.workloads import Container, Pod

_AS_ASKED = Decision(reasons=("policy none: the kubelet's own values",))
_NOTHING_HELD = Decision()


class NonePolicy:
    """Decides nothing, about nobody; its state is nothing."""

    name = "none"

    def restore(self, running: Sequence[tuple[Container, Pod]]) -> Restored:
        """What another policy has given is given back."""
        changed = (c.key for c, _ in running if c.given != NOTHING or c.holding != HOLDING_NOTHING)
        return Restored(None, dict.fromkeys(changed, _AS_ASKED))

    def create(self, state: State, container: Container, pod: Pod) -> Answer:
        """What was asked."""
        return _AS_ASKED, state

    def update(self, state: State, container: Container, pod: Pod) -> Answer:
        """What is asked now."""
        return _AS_ASKED, state

    def release(self, state: State, key: str) -> Answer:
        """Nothing was held."""
        return _NOTHING_HELD, state

    def revisit(self, state: State, container: Container, pod: Pod) -> Answer:
        """Nobody asks for it."""
        return _AS_ASKED, state

    def rebalance(self, state: State) -> Answer:
        """Nothing is ever crooked."""
        return _NOTHING_HELD, state

    def exports(self, container: Container) -> Mapping[str, str]:
        """Nothing to tell."""
        return {}

    def pools(self, state: State) -> Sequence[Pool]:
        """There are none."""
        return ()

    def warnings(self, state: State) -> Sequence[str]:
        """Nothing can be wrong."""
        return ()


def make(context: Context) -> Policy:
    """The policy; it has no options."""
    return NonePolicy()
