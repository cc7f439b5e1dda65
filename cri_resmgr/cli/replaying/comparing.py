"""What has happened beside what is replayed, event by event, as plain values.

Of one container a *place* is what it may use: CPUs, memory nodes and shares, with the pool for people.  Replayed with
the recorded configuration every decision must come out as it was, to the last field; with another one only places are
compared, since policies have words of their own for the rest.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from cri_resmgr.cli.replaying.happening import Happened
from cri_resmgr.cli.replaying.reading import Recording
from cri_resmgr.cli.replaying.running import Replayed
from cri_resmgr.observe.recording_events import Began, Created, Event, PodCame, There
from cri_resmgr.values import cpusets
from cri_resmgr.values.workloads import Container, Pod

Values = dict[str, Any]
BEGINNING = "beginning"
_MAKES_A_PLACE = ("cpuset_cpus", "cpuset_mems", "cpu_shares", "cpu_quota_us", "memory_limit_bytes")


class Comparison:
    """Takes a recording's events on both sides; `exact` demands the same decisions, else the same places will do."""

    def __init__(self, recording: Recording, replayed: Replayed, *, exact: bool) -> None:
        self._recording, self._replayed, self._exact = recording, replayed, exact
        self._happened = Happened()
        self._sides: tuple[dict[str, Container], dict[str, Container]] = {}, {}
        self._names: dict[str, str] = {}
        self._pods: dict[str, Pod] = {}
        self.different: dict[str, Values] = {}
        self.refused: dict[str, Values] = {}
        self.own_cpus_most = [0, 0]

    def entries(self) -> Iterator[Values]:
        """One for the beginning, with all that was there, and one for each event, with those whose place changes."""
        there = 0
        for event in self._recording.events:
            if not isinstance(event, There):
                break
            self._meet(event)
            self._happened.take(event)
            there += 1
        yield self._entry(0, 0.0, BEGINNING, refusals=("", ""), name="")
        for number, event in enumerate(self._recording.events[there:], start=1):
            self._meet(event)
            name = self._name_of(event)
            refusals = self._happened.take(event), self._replayed.take(event)
            yield self._entry(number, event.at_s, event.event, refusals=refusals, name=name)

    def _entry(self, number: int, at_s: float, word: str, *, refusals: tuple[str, str], name: str) -> Values:
        entry: Values = {"number": number, "at_s": at_s, "event": word, "about": name}
        if any(refusals):
            entry["refused"] = dict(zip(("happened", "replayed"), refusals, strict=True))
            if bool(refusals[0]) != bool(refusals[1]):
                self.refused.setdefault(name, {"container": name, "number": number, **entry["refused"]})
        entry["changes"] = list(self._changes(number))
        return entry

    def _changes(self, number: int) -> Iterator[Values]:
        """Those who have changed on either side since the last time."""
        now = self._happened.containers, self._replayed.containers
        changed: dict[str, None] = {}
        for at, (containers, known) in enumerate(zip(now, self._sides, strict=True)):
            touched = [key for key, container in containers.items() if known.get(key) is not container]
            touched += [key for key in known if key not in containers]
            changed |= dict.fromkeys(touched)
            if touched:
                self.own_cpus_most[at] = max(self.own_cpus_most[at], sum(map(_own, containers.values())))
        for key in changed:
            before, after = ([side.get(key) for side in sides] for sides in (self._sides, now))
            if [*map(_seat, before)] != [*map(_seat, after)]:
                yield self._change(number, key, *after)
        for key in changed:
            for containers, known in zip(now, self._sides, strict=True):
                if key in containers:
                    known[key] = containers[key]
                else:
                    known.pop(key, None)

    def _change(self, number: int, key: str, happened: Container | None, replayed: Container | None) -> Values:
        name = self._names.get(key, key)
        same = self._same(happened, replayed)
        places = {"happened": _place(happened), "replayed": _place(replayed)}
        if not same:
            self.different.setdefault(name, {"container": name, "number": number, **places})
        reasons = list(replayed.reasons) if replayed is not None else []
        return {"container": name, **places, "same": same, "reasons": reasons}

    def _same(self, happened: Container | None, replayed: Container | None) -> bool:
        if happened is None or replayed is None:
            return happened is replayed
        if self._exact:
            return (happened.given, happened.holding) == (replayed.given, replayed.holding)
        one, other = (container.due.over(container.asked) for container in (happened, replayed))
        return all(getattr(one, name) == getattr(other, name) for name in _MAKES_A_PLACE)

    def _meet(self, event: Event) -> None:
        match event:
            case PodCame(pod=pod):
                self._pods[pod.id] = pod
            case There(container=container, pod=pod) | Created(container=container, pod=pod):
                self._call(container, pod)
            case Began(running=running):
                for one in running:
                    self._call(one.container, one.pod)

    def _call(self, container: Container, pod: Pod) -> None:
        self._pods[pod.id] = pod
        self._names.setdefault(container.key, f"{pod.namespace}/{pod.name}:{container.name}")

    def _name_of(self, event: Event) -> str:
        if isinstance(event, PodCame):
            return f"{event.pod.namespace}/{event.pod.name}"
        if (pod := self._pods.get(getattr(event, "pod_id", ""))) is not None:
            return f"{pod.namespace}/{pod.name}"
        container = getattr(event, "container", None)
        key = getattr(event, "key", "") if container is None else container.key
        return self._names.get(key, key)


def _seat(container: Container | None) -> object:
    return None if container is None else (container.given, container.holding, container.asked)


def _place(container: Container | None) -> Values | None:
    if container is None:
        return None
    has, holding = container.due.over(container.asked), container.holding
    return {
        "cpus": has.cpuset_cpus,
        "mems": has.cpuset_mems,
        "cpu_shares": has.cpu_shares,
        "pool": holding.pool,
        "exclusive": holding.exclusive,
        "isolated": holding.isolated,
        "shared": holding.shared,
    }


def _own(container: Container) -> int:
    holding = container.holding
    if not (holding.exclusive or holding.isolated):
        return 0
    return (cpusets.parse(holding.exclusive) | cpusets.parse(holding.isolated)).bit_count()


def summed(comparison: Comparison) -> Mapping[str, Any]:
    """What is to say once all entries have been taken."""
    happened, replayed = comparison.own_cpus_most
    return {
        "different": list(comparison.different.values()),
        "refused": list(comparison.refused.values()),
        "own_cpus_most": {"happened": happened, "replayed": replayed},
    }
