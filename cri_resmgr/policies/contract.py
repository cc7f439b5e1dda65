"""What the manager asks of a policy, and what a policy may rely on.  Read this before you write one.

A policy is a pure function of what it was made with (`Context`), a *state*, and one event; it answers with a decision
and the state after it.  The state is whatever the policy wants to know about all that runs, in the form in which it
likes to have it; nobody else looks into it.  It is a value: a policy never changes one that it was given, so that
whoever holds the old state can go back to it, ask what-if questions, and throw the answers away.  Copying a dict of a
thousand entries takes ten microseconds; derive the next state from the last one instead of from all that runs.

Nothing in a state is lost when it is: `restore` makes it anew from the ledger, where each container's `holding` is
what an earlier decision said.  The same arguments give the same answer in the daemon, in `simulate`, in `explain`
and in a test.

A decision is about the container of the event and about *neighbours*: containers that must change because of it,
such as those on a shared set that shrinks when somebody gets CPUs of his own, or grows when they are given back.
The manager writes the whole decision down first, and the order of doing is its business, too: neighbours leave
CPUs before the container starts on them.  Should the runtime refuse the container, it is released again.

    restore    the daemon starts, or the configuration has changed: everything that holds resources, in the order of
               creation, with the holdings that it had.  A holding is reinstated as it is where it still fits; what
               cannot be is decided anew, and so is a container of another policy.  A container that was there before
               us (`adopted`, no holding) shares: it gets no CPU of its own, and nothing but its sets is changed.
               `changes` has the decisions about all whose assignment or holding is not what it was.  Nothing is
               refused here, since it runs already: the worst place is the root of everything.
    create     a container is about to be created; it may be refused
    update     the kubelet resized it, or it was adjusted: `container.wanted` says the wish already; it may be refused
    release    it has ended; its neighbours may gain
    revisit    the time that its decision asked for has passed since its start
    rebalance  now would be a good time to put things right

What a policy returns:
  - an `Assignment` field that is None leaves the kubelet's own value alone;
  - `neighbours` has only those whose assignment or holding changes, whole values, by `Container.key`;
  - a reason says a fact and what follows from it ("guaranteed, 2 whole CPUs: exclusive 4-5"), for `explain`;
  - a refusal says which resource is short, by how much, and where, and what would help.

It runs in the daemon's loop while a pod waits: aim at well under a millisecond with a thousand containers.
A policy's options are plain values, validated by the pydantic model in its `options` module before they come here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from cri_resmgr.values.decisions import Decision
from cri_resmgr.values.machines import Machine
from cri_resmgr.values.workloads import Container, Pod

State = Any
"""A policy's own value."""

PINNABLE_HANDLERS = frozenset({"", "runc", "crun", "youki"})


class PolicyRefusal(Exception):  # noqa: N818 - an answer, and no failure of ours
    """The container does not fit; the message says why, and what would help, to whoever reads the pod's events."""


@dataclass(frozen=True, slots=True)
class CpuLimit:
    """What `policy.AvailableResources` or `ReservedResources` says: a set of CPUs, or an amount."""

    cpus: int | None = None
    millicpu: int | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """What a policy is made with."""

    machine: Machine
    available: CpuLimit | None = None
    """None: everything that is online."""
    reserved: CpuLimit | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    """The section of the policy, plain values under the names that its `options` module gives them."""
    pinnable_handlers: frozenset[str] = PINNABLE_HANDLERS
    """Runtime handlers whose threads a cpuset binds: only their containers can have CPUs of their own."""


@dataclass(frozen=True, slots=True)
class Restored:
    """The state that follows from what runs, and the decisions that it took."""

    state: State
    changes: Mapping[str, Decision] = field(default_factory=dict)


Answer = tuple[Decision, State]


class Policy(Protocol):
    """The pure decision maker of a node."""

    @property
    def name(self) -> str:
        """The word in `policy.Active`."""

    def restore(self, running: Sequence[tuple[Container, Pod]]) -> Restored:
        """Begin with what runs."""

    def create(self, state: State, container: Container, pod: Pod) -> Answer:
        """Decide about a container that does not exist yet. Raises PolicyRefusal."""

    def update(self, state: State, container: Container, pod: Pod) -> Answer:
        """Decide anew about a container whose `asked` has changed. Raises PolicyRefusal: it stays as it was."""

    def release(self, state: State, key: str) -> Answer:
        """Take back what an ended container held, if anything; only `reasons` and `neighbours` count."""

    def revisit(self, state: State, container: Container, pod: Pod) -> Answer:
        """Decide about a container whose time has come."""

    def rebalance(self, state: State) -> Answer:
        """Put right what has grown crooked; only `neighbours` counts."""

    def exports(self, container: Container) -> Mapping[str, str]:
        """What `resources.sh` in a container with this holding says; empty for no such file."""

    def pools(self, state: State) -> Sequence["Pool"]:
        """What there is to have, for people: parents before their children, none for a policy without pools."""

    def warnings(self, state: State) -> Sequence[str]:
        """What is set in a way that will hurt, with the value to set."""


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool for people: sets are Linux lists, what is free is in thousandths of a CPU and in bytes."""

    name: str
    parent: str
    cpus: str
    mems: str
    shared: str
    exclusive: str
    reserved: str
    free_millicpu: int
    free_memory_bytes: int
