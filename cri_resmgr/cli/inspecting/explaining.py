"""What there is to say about one container, as plain values: what it wants and has, why, and where else it might be."""

from dataclasses import asdict
from typing import Any

from cri_resmgr.cli.inspecting.stored import Stored
from cri_resmgr.manager.adjusting_errors import not_applied
from cri_resmgr.policies.requirements import requirements
from cri_resmgr.values import adjustments, cpusets
from cri_resmgr.values.adjustments import Adjustment
from cri_resmgr.values.hints import Hint
from cri_resmgr.values.workloads import Container, Pod


def explained(stored: Stored, container: Container) -> dict[str, Any]:
    """The JSON answer; in `given` null is the kubelet's own value, in `effective` and `asked` 0 and "" are not set.

    `adjustment` is what somebody else wants for it, null for nothing; `not_applied` says what of it nobody here can
    apply.  `pending` is true until the runtime has been told of what was decided last.  `reasons` are those of the
    latest decision that changed the container, its own or one about a neighbour; `candidates` are in the order of
    preference.
    """
    pod = stored.pods.get(container.pod_id) or Pod(container.pod_id, "", "", "")
    wanted = requirements(container, pod)
    holding = asdict(container.holding)
    del holding["memo"]
    return {
        "container": stored.name(container),
        "id": container.id,
        "attempt": container.attempt,
        "state": container.state.value,
        "adopted": container.adopted,
        "requirements": {**asdict(wanted), "qos": wanted.qos.value, "problems": list(wanted.problems)},
        "asked": asdict(container.asked),
        "given": asdict(container.given),
        "adjustment": _adjustment(container),
        "effective": asdict(container.due.over(container.asked)),
        "pending": container.told != container.due,
        "holding": holding,
        "reasons": list(container.reasons),
        "candidates": [{"pool": c.pool, "scores": dict(c.scores), "verdict": c.verdict} for c in container.candidates],
        "hints": [_hint(hint) for hint in container.hints],
    }


def _adjustment(container: Container) -> dict[str, Any] | None:
    adjusted = container.adjustment
    if not adjusted.by:
        return None
    missing = not_applied(Adjustment(adjusted.by, (), adjusted.effect))
    return {"by": adjusted.by, **adjustments.plain(adjusted.effect), "not_applied": missing}


def _hint(hint: Hint) -> dict[str, str]:
    sets = {"cpus": hint.cpus, "nodes": hint.nodes, "packages": hint.packages}
    return {"provider": hint.provider, **{name: cpusets.text(members) for name, members in sets.items()}}
