"""How a part of the agent speaks: to the readiness probe, and by Events of the Node."""

from dataclasses import dataclass

from cri_resmgr.agent.reporting import Reporter
from cri_resmgr.agent.reports import Report, node
from cri_resmgr.agent.standing import Standing, Topic


@dataclass(frozen=True, slots=True)
class Voice:
    """The parts share it; `node` is the Node's name."""

    node: str
    standing: Standing
    reporter: Reporter

    def say(self, topic: Topic, text: str, *, ready: bool = True) -> None:
        """How a matter stands from now on."""
        self.standing.say(topic, text, ready=ready)

    def tell(self, reason: str, note: str, *, warning: bool = True) -> None:
        """Something has happened to the node."""
        self.reporter.report(Report(node(self.node), reason, note, warning=warning))
