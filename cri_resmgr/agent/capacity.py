"""Compares what the policy has with what the Node promises: a scheduler that counts on more CPUs sends pods in vain."""

from collections.abc import Callable

from cri_resmgr.agent.choosing import NodeFacts
from cri_resmgr.agent.daemon import Status
from cri_resmgr.agent.standing import Topic
from cri_resmgr.agent.voice import Voice

REASON = "CapacityBelowAllocatable"


class Capacity:
    """A follower; `facts` are those of the Node. What is compared is 0 as long as nobody says it."""

    def __init__(self, facts: Callable[[], NodeFacts | None], *, voice: Voice) -> None:
        self._facts, self._voice = facts, voice
        self._told = ""
        self.allocatable_millicpu = self.policy_millicpu = self.reserved_millicpu = 0

    @property
    def short(self) -> bool:
        """The Node promises more than the policy has."""
        return 0 < self.policy_millicpu < self.allocatable_millicpu

    def seen(self, status: Status) -> None:
        """Compare, and tell what has changed."""
        facts, said = self._facts(), status.said.get("capacity")
        said = said if isinstance(said, dict) else {}
        self.policy_millicpu, self.reserved_millicpu = (_millicpu(said.get(key)) for key in ("cpus", "reserved"))
        self.allocatable_millicpu = facts.allocatable_millicpu if facts else 0
        text = self._text(status.policy) if self.short else ""
        if text != self._told:
            self._told = text
            self._voice.say(Topic.CAPACITY, text)
            if text:
                self._voice.tell(REASON, text)

    def lost(self) -> None:
        """It holds until somebody says otherwise."""

    def off(self, reason: str) -> None:
        """Nobody can be asked."""
        self.policy_millicpu = self.reserved_millicpu = 0

    def _text(self, policy: str) -> str:
        reserved = f", {self.reserved_millicpu}m of these reserved" if self.reserved_millicpu else ""
        return (
            f"the Node promises {self.allocatable_millicpu}m CPU to pods (status.allocatable), policy {policy} has "
            f"{self.policy_millicpu}m{reserved}: pods may be refused; widen policy.AvailableResources, or let the "
            f"kubelet reserve more (kubeReserved, systemReserved)"
        )


def _millicpu(cpus: object) -> int:
    return 1000 * cpus if isinstance(cpus, int) and cpus > 0 else 0
