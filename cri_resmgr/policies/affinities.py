"""Which containers a container wants to be near to, or far from, and how much.

An affinity is a *weight* for every container in its *scope* that *matches*; a negative one pushes away.  The weights
of all affinities add up for each of the others.  They count when the container that has them is placed.  The pod is
annotated for each of its containers; in `anti-affinity` a weight counts as its opposite:

    cri-resource-manager.intel.com/affinity: |
      peter: [sheep]              the short form: containers of the same pod, weight 1, and the same for sheep
    cri-resource-manager.intel.com/anti-affinity: |
      peter:
      - scope: EXPRESSION         the long form, for peter alone; by default the containers of the same pod
        match: EXPRESSION
        weight: 5                 from -1000 to 1000, by default 1
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cri_resmgr.policies.annotations import DOMAIN
from cri_resmgr.policies.expressions import Expression, expression, holds, written
from cri_resmgr.values import plain_yaml
from cri_resmgr.values.workloads import Container, Pod

LIMIT_WEIGHT = 1000
LIMIT_VALUES = 256
"""Each affinity, and each value in one, is compared with every container of the node while a pod waits."""
COLOCATION_WEIGHT = 10

_SIGNS = {f"{DOMAIN}/affinity": 1, f"{DOMAIN}/anti-affinity": -1}
_FIELDS = frozenset({"scope", "match", "weight"})
_WEIGHT = re.compile(r"[+-]?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Affinity:
    """A pull or a push; without a scope, among the containers of the same pod."""

    match: Expression
    weight: int
    scope: Expression | None = None


def affinities(pod: Pod, container_name: str) -> tuple[Affinity, ...]:
    """The affinities that a container is annotated with. Raises ValueError: which annotation, where, what to do."""
    found: list[Affinity] = []
    for key, sign in _SIGNS.items():
        if (text := pod.annotations.get(key)) is not None:
            try:
                found += _read(plain_yaml.load(text), container_name, sign)
            except ValueError as error:
                raise ValueError(f"annotation {key}: {error}") from error
    size = sum(1 + len(one.match.values) + (len(one.scope.values) if one.scope else 0) for one in found)
    if size > LIMIT_VALUES:
        raise ValueError(f"{container_name} has {size} affinities and values in them; {LIMIT_VALUES} is the limit")
    return tuple(found)


def colocation(pod: Pod, *, pods: bool, namespaces: bool) -> tuple[Affinity, ...]:
    """What pulls together the containers of a pod, and of a namespace, where they have no affinities of their own."""
    always = expression("", "AlwaysTrue")
    together = [Affinity(always, COLOCATION_WEIGHT)] if pods else []
    if namespaces:
        together.append(Affinity(expression("namespace", "Equals", [pod.namespace]), COLOCATION_WEIGHT, always))
    return tuple(together)


def weights(
    subject: tuple[Container, Pod], others: Iterable[tuple[Container, Pod]], own: Sequence[Affinity]
) -> dict[str, int]:
    """How much the subject's `own` affinities pull it towards each of the others, by key; those at 0 are left out."""
    if not own:
        return {}
    found = {c.key: _weight(subject[1], (c, pod), own) for c, pod in others if c.key != subject[0].key}
    return {key: weight for key, weight in found.items() if weight}


def _weight(subject: Pod, other: tuple[Container, Pod], own: Sequence[Affinity]) -> int:
    total = 0
    for one in own:
        in_scope = other[1].id == subject.id if one.scope is None else holds(one.scope, *other)
        if in_scope and holds(one.match, *other):
            total += one.weight
    return total


def _read(said: plain_yaml.Value, container_name: str, sign: int) -> Iterator[Affinity]:
    """An annotation's affinities of one container; mistakes in those of others are not its business."""
    entries = said or {}
    if not isinstance(entries, dict):
        raise ValueError("it names no containers; write 'CONTAINER: [CONTAINER, …]'")  # noqa: TRY004 - it is the text
    partners: dict[str, None] = {}
    for name, items in entries.items():
        if items and not isinstance(items, list):
            raise ValueError(f"{name}: is no list; write [CONTAINER, …], or a list of affinities")
        for index, item in enumerate(items):
            if not isinstance(item, str):
                if name == container_name:
                    yield _long(item, f"{name}[{index}]", sign)
            elif container_name in {name, item}:
                partners[item if name == container_name else name] = None
    partners.pop(container_name, None)
    if partners:
        yield Affinity(expression("name", "In", list(partners)), sign)


def _long(said: plain_yaml.Value, where: str, sign: int) -> Affinity:
    if not isinstance(said, dict) or not _FIELDS.issuperset(said) or "match" not in said:
        raise ValueError(f"{where}: is no affinity; write match, and scope and weight where needed")
    match = written(said["match"], f"{where}.match")
    scope = written(said["scope"], f"{where}.scope") if said.get("scope", "") != "" else None
    weight = said.get("weight") or "1"
    if not isinstance(weight, str) or not _WEIGHT.fullmatch(weight):
        raise ValueError(f"{where}.weight: is no whole number; write one such as 5")
    return Affinity(match, max(-LIMIT_WEIGHT, min(sign * (int(weight) or 1), LIMIT_WEIGHT)), scope)
