"""What is said about adjustments that are not in force, or only in part: by adjustment, a key, and a sentence.

The keys are the predecessor's: the id of a container, the name of the adjustment, or `cache` for what is about all of
an update.  An adjustment about which there is nothing to say is not there.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from cri_resmgr.policies.requirements import Qos, qos_of
from cri_resmgr.values.adjustments import UNADJUSTED, Adjusted, Adjustment, Effect
from cri_resmgr.values.workloads import Container, Pod

Errors = dict[str, dict[str, str]]

CACHE = "cache"
CONTROLLERS: frozenset[str] = frozenset()
"""Those of `rdt`, `blockio` and `memory` that this build has."""
_CLASSES: tuple[tuple[str, str, Callable[[Effect], str | None]], ...] = (
    ("rdt", "RDT class", lambda effect: effect.rdt_class),
    ("blockio", "block I/O class", lambda effect: effect.blockio_class),
    (
        "memory",
        "top tier limit",
        lambda effect: None if effect.toptier_limit_bytes is None else str(effect.toptier_limit_bytes),
    ),
)


def effective(matching: Sequence[Adjustment], container: Container, pod: Pod) -> tuple[Adjusted, str]:
    """What a container gets of the adjustments that have it in their scope, or why that cannot be."""
    if not matching:
        return UNADJUSTED, ""
    name = f"{pod.name}:{container.name}"
    if len(matching) > 1:
        return UNADJUSTED, f"cache: conflicting adjustments for {name}: {','.join(one.name for one in matching)}"
    (one,) = matching
    if one.effect.has_resources and qos_of(pod) is Qos.BEST_EFFORT:
        return UNADJUSTED, f"cache: {one.name}: can't override resources for BestEffort {name}"
    return Adjusted(one.name, one.effect), ""


def add(errors: Errors, names: Iterable[str], key: str, text: str) -> None:
    """Say something about each of these."""
    for name in names:
        errors.setdefault(name, {})[key] = text


def not_applied(adjustment: Adjustment) -> str:
    """What of an adjustment nobody on this node can apply, "" if nothing."""
    missing = [
        f"{word} '{said}': there is no {controller} controller"
        for controller, word, of in _CLASSES
        if (said := of(adjustment.effect)) is not None and controller not in CONTROLLERS
    ]
    return f"not applied on this node: {', '.join(missing)}" if missing else ""


def rejected(errors: Errors, pushed: Collection[str], unchanged: Collection[str]) -> Errors:
    """The errors of an update that was rejected: also for those that are not in force because of others."""
    causes = ",".join(sorted(errors))
    text = f"cache: this update was rejected because of {causes}; what was in force before stays"
    innocent = {name: {CACHE: text} for name in pushed if name not in errors and name not in unchanged}
    return {**errors, **innocent}


def listed(errors: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Each sentence once, for events and logs."""
    return sorted({text for one in errors.values() for text in one.values()})
