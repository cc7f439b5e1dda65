"""The policy itself: events in, decisions out.

Each event opens the state as a draft, has it changed by one of the modules beside this one, and tells what came of it:
for the container of the event, and for its neighbours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from cri_resmgr.policies.allocating import Allocator
from cri_resmgr.policies.contract import Answer, Context, Policy, Pool, Restored
from cri_resmgr.policies.topology_aware import asking, explaining, rebalancing, restoring, viewing
from cri_resmgr.policies.topology_aware.growing import grown
from cri_resmgr.policies.topology_aware.limits import limits
from cri_resmgr.policies.topology_aware.placing import Placed, place
from cri_resmgr.policies.topology_aware.repinning import Pins, changes
from cri_resmgr.policies.topology_aware.resizing import resize
from cri_resmgr.policies.topology_aware.settings import settings
from cri_resmgr.policies.topology_aware.state import Draft, Grant, State, empty
from cri_resmgr.values.decisions import Decision
from cri_resmgr.values.workloads import Container, Pod


class TopologyAware:
    """The pure decision maker; its state is `state.State`. Raises BadInput for limits that do not go together."""

    def __init__(self, context: Context, name: str = "topology-aware") -> None:
        self.name = name
        self._settings = settings(context.options)
        allocator = Allocator(context.machine)
        self._tree = grown(context.machine, limits(context, allocator), allocator)
        self._terms = asking.terms(
            self._settings, context.machine, tree=self._tree, pinnable_handlers=context.pinnable_handlers
        )

    def restore(self, running: Sequence[tuple[Container, Pod]]) -> Restored:
        """Begin with what runs."""
        draft = Draft(self._tree, empty(self._tree))
        formers = [restoring.Former(c.key, asking.request(c, pod, self._terms), c.holding) for c, pod in running]
        placed = restoring.restore(draft, formers)
        pins = Pins(draft, self._settings)
        found = {}
        for container, _ in running:
            grant = draft.grants[container.key]
            if (container.given, container.holding) != (pins.assignment(grant), pins.holding(grant)):
                found[container.key] = _decision(replace(placed[container.key], grant=grant), pins)
        return Restored(draft.closed(), found)

    def create(self, state: State, container: Container, pod: Pod) -> Answer:
        """Decide about a container that does not exist yet. Raises PolicyRefusal."""
        draft = Draft(self._tree, state)
        draft.drop(container.key)
        request = asking.request(container, pod, self._terms)
        placed = place(draft, container.key, request)
        return self._answer(state, draft, container.key, placed=placed, event="came")

    def update(self, state: State, container: Container, pod: Pod) -> Answer:
        """Decide anew about a container whose `asked` has changed. Raises PolicyRefusal: it stays as it was."""
        if container.key not in state.grants:
            return self.create(state, container, pod)
        draft = Draft(self._tree, state)
        request = asking.request(container, pod, self._terms)
        placed = resize(draft, container.key, request)
        return self._answer(state, draft, container.key, placed=placed, event="was resized")

    def release(self, state: State, key: str) -> Answer:
        """Take back what an ended container held, if anything."""
        draft = Draft(self._tree, state)
        grant = draft.drop(key)
        if grant is None:
            return Decision(), state
        neighbours = changes(state, draft, pins=Pins(draft, self._settings), cause=f"{_named(grant)} ended")
        return Decision(reasons=("it has ended",), neighbours=neighbours), draft.closed()

    def revisit(self, state: State, container: Container, pod: Pod) -> Answer:
        """A container that has started cold may use all of its memory now."""
        grant = state.grants.get(container.key)
        if grant is None:
            return self.create(state, container, pod)
        draft = Draft(self._tree, state)
        draft.put(container.key, replace(grant, cold=False))
        placed = Placed(draft.grants[container.key])
        return self._answer(state, draft, container.key, placed=placed, event="has warmed up")

    def rebalance(self, state: State) -> Answer:
        """Move containers that share to where they would be placed better now."""
        draft = Draft(self._tree, state)
        rebalancing.rebalance(draft)
        neighbours = changes(state, draft, pins=Pins(draft, self._settings), cause="rebalancing")
        return Decision(neighbours=neighbours), draft.closed()

    def exports(self, container: Container) -> Mapping[str, str]:
        """What `resources.sh` in the container says."""
        return viewing.exports(container.holding, self._tree)

    def pools(self, state: State) -> Sequence[Pool]:
        """All pools, each before those below it."""
        return viewing.pools(Draft(self._tree, state))

    def warnings(self, state: State) -> Sequence[str]:
        """What is set in a way that will hurt, with the value to set."""
        return tuple(viewing.warnings(Draft(self._tree, state)))

    def _answer(self, before: State, draft: Draft, key: str, *, placed: Placed, event: str) -> Answer:
        pins = Pins(draft, self._settings)
        cause = f"{_named(placed.grant)} {event}"
        neighbours = changes(before, draft, pins=pins, subject=key, cause=cause)
        return replace(_decision(placed, pins), neighbours=neighbours), draft.closed()


def make(context: Context) -> Policy:
    """The policy under its name of today."""
    return TopologyAware(context)


def make_memtier(context: Context) -> Policy:
    """The policy under its old name."""
    return TopologyAware(context, "memtier")


def _decision(placed: Placed, pins: Pins) -> Decision:
    grant, choice = placed.grant, placed.choice
    return Decision(
        assignment=pins.assignment(grant),
        holding=pins.holding(grant),
        reasons=explaining.reasons(grant, pins, choice),
        candidates=explaining.candidates(choice, grant.request) if choice else (),
        revisit_after_start_s=grant.request.cold_start_s if grant.cold else 0.0,
    )


def _named(grant: Grant) -> str:
    pod = grant.request.pod
    return f"{pod.namespace}/{pod.name}:{grant.request.container.name}"
