"""What a container gets of the adjustments in whose scope it is, or why it cannot; and what nobody here applies."""

from collections.abc import Callable, Sequence

from cri_resmgr.policies.requirements import Qos, qos_of
from cri_resmgr.values.adjustments import UNADJUSTED, Adjusted, Adjustment, Effect
from cri_resmgr.values.workloads import Container, Pod

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


def not_applied(adjustment: Adjustment) -> str:
    """What of an adjustment nobody on this node can apply, "" if nothing."""
    missing = [
        f"{word} '{said}': there is no {controller} controller"
        for controller, word, of in _CLASSES
        if (said := of(adjustment.effect)) is not None and controller not in CONTROLLERS
    ]
    return f"not applied on this node: {', '.join(missing)}" if missing else ""
