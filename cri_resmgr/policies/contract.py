"""What the manager asks of a policy, and what a policy may rely on.  Read this before you write one.

A policy is a pure function of the machine and the options that it was made with, what runs, and one event.  It keeps
nothing between two calls: the ledger does.  `running` is every other container that holds resources, in the order of
its creation, each with what was `asked` and what was `given`; CPUs that are exclusive to somebody, and pools with
their members, are read from there.  The same arguments give the same decision in the daemon, in `simulate`, in
`explain` and in a test.

A decision is about the container of the event and about *neighbours*: containers that must change because of it,
such as those on a shared set that shrinks when somebody gets CPUs of his own, or grows when they are given back.
The manager writes the whole decision down first, and the order of doing is its business, too: neighbours leave
CPUs before the container starts on them.  Should the runtime refuse the container, all of it is undone.

    create     the container is about to be created; it may be refused
    update     the kubelet resized it, `container.asked` says the new wish already; it may be refused
    release    it has ended; its own assignment means nothing any more, its neighbours may gain

What a policy returns:
  - an `Assignment` field that is None leaves the kubelet's own value alone;
  - `neighbours` has only those whose assignment changes, whole assignments, by `Container.key`;
  - a reason says a fact and what follows from it ("guaranteed, 2 whole CPUs: exclusive 4-5"), for `explain`.

It runs in the daemon's loop while a pod waits: aim at well under a millisecond with a thousand containers.
"""

from collections.abc import Sequence
from typing import Protocol

from cri_resmgr.values.decisions import Decision
from cri_resmgr.values.workloads import Container, Pod


class PolicyRefusal(Exception):  # noqa: N818 - an answer, and no failure of ours
    """The container does not fit; the message says why, and what would help, to whoever reads the pod's events."""


class Policy(Protocol):
    """The pure decision maker of a node."""

    @property
    def name(self) -> str:
        """The word in `policy.Active`."""

    def create(self, container: Container, pod: Pod, running: Sequence[Container]) -> Decision:
        """Decide about a container that does not exist yet. Raises PolicyRefusal."""

    def update(self, container: Container, pod: Pod, running: Sequence[Container]) -> Decision:
        """Decide anew about a container whose `asked` has changed. Raises PolicyRefusal: it stays as it was."""

    def release(self, container: Container, pod: Pod, running: Sequence[Container]) -> Decision:
        """Give back what an ended container held; only `reasons` and `neighbours` count."""
