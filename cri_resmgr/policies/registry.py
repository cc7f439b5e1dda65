"""The policies of this build by name.  A policy's module is imported when it is made, and no earlier."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType

from cri_resmgr.errors import BadInput
from cri_resmgr.policies.contract import Context, Policy


@dataclass(frozen=True, slots=True)
class Entry:
    """One policy: what it does in a few words, and the function that makes it, by module and name."""

    description: str
    module: str
    maker: str = "make"

    def make(self, context: Context) -> Policy:
        """A policy, ready to decide. Raises BadInput for limits and options that do not go with the machine."""
        make: Callable[[Context], Policy] = getattr(import_module(self.module), self.maker)
        return make(context)


POLICIES: Mapping[str, Entry] = MappingProxyType(
    {
        "none": Entry("No-op policy: containers get what the kubelet asked for.", "cri_resmgr.policies.none"),
        "topology-aware": Entry(
            "CPUs and memory nodes close to each other; CPUs of their own for Guaranteed containers.",
            "cri_resmgr.policies.topology_aware.policy",
        ),
        "memtier": Entry(
            "The old name of topology-aware.", "cri_resmgr.policies.topology_aware.policy", "make_memtier"
        ),
    }
)


def find(name: str) -> Entry:
    """The policy's entry. Raises BadInput for a name that is not in this build."""
    if name not in POLICIES:
        raise BadInput(f"'{name}' is not a policy of this build; known: {', '.join(sorted(POLICIES))}")
    return POLICIES[name]
