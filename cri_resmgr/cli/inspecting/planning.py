"""What a new policy would do with what runs, as plain values, and as text.

The policy is asked as the daemon would ask it.  It refuses nobody who runs, so whoever does not fit is found by asking
once more: would it be made, if it were made anew beside all the others?
"""

from collections.abc import Iterator
from typing import Any

from cri_resmgr.cli import amounts
from cri_resmgr.cli.inspecting.stored import Stored
from cri_resmgr.config.settings import Settings
from cri_resmgr.policies.contract import Policy, PolicyRefusal, State
from cri_resmgr.values.decisions import Decision, Holding
from cri_resmgr.values.resources import Assignment, Resources
from cri_resmgr.values.workloads import Container, Pod

Values = dict[str, Any]


def planned(stored: Stored, policy: Policy, settings: Settings) -> Values:
    """The JSON answer: both policies, `changes`, and under `unfit` those for whom the policy has too little.

    A change has `from` and `to`, each with the sets of CPUs and memory nodes and the pool, "" for as asked.
    """
    running = [(container, stored.pods.get(container.pod_id) or _nameless(container)) for container in stored.alive()]
    restored = policy.restore(running)
    changed = [(c, restored.changes[c.key]) for c, _ in running if c.key in restored.changes]
    return {
        "from": {"policy": stored.settings.policy.active, "source": stored.settings.source},
        "to": {"policy": settings.policy.active, "source": settings.source},
        "containers": len(running),
        "changes": [_change(stored, c, decision) for c, decision in changed if decision.assignment != c.given],
        "unfit": [
            {"container": stored.name(c), "reason": text}
            for c, pod in running
            if (text := _refusal(policy, restored.state, c, pod))
        ],
        "warnings": list(policy.warnings(restored.state)),
    }


def told(said: Values) -> Iterator[str]:
    """The same for people."""
    yield f"policy {said['from']['policy']} ({said['from']['source']})"
    yield f"    -> {said['to']['policy']} ({said['to']['source']})"
    for change in said["changes"]:
        yield f"{change['container']}: {_place(change['from'])} -> {_place(change['to'])}"
        yield from (f"    {reason}" for reason in change["reasons"])
    for unfit in said["unfit"]:
        yield f"{unfit['container']}: does not fit: {unfit['reason']}"
    yield from (f"warning: {text}" for text in said["warnings"])
    moves = amounts.many(len(said["changes"]), "container")
    yield f"{moves} of {said['containers']} would change, {len(said['unfit'])} would not fit"


def _nameless(container: Container) -> Pod:
    return Pod(container.pod_id, "", "", "")


def _change(stored: Stored, container: Container, decision: Decision) -> Values:
    return {
        "container": stored.name(container),
        "from": _where(container.given, container.wanted, container.holding),
        "to": _where(decision.assignment, container.wanted, decision.holding),
        "reasons": list(decision.reasons),
    }


def _where(given: Assignment, asked: Resources, holding: Holding) -> Values:
    has = given.over(asked)
    return {"cpus": has.cpuset_cpus, "mems": has.cpuset_mems, "cpu_shares": has.cpu_shares, "pool": holding.pool}


def _refusal(policy: Policy, state: State, container: Container, pod: Pod) -> str:
    """Why the policy would not make the container beside all others, "" if it would."""
    if container.adopted:  # it gets what is left, whatever that is
        return ""
    try:
        policy.create(policy.release(state, container.key)[1], container, pod)
    except PolicyRefusal as refusal:
        return str(refusal)
    return ""


def _place(where: Values) -> str:
    parts = [f"CPUs {where['cpus'] or 'as asked'}"]
    parts += [f"memory {where['mems']}"] if where["mems"] else []
    return ", ".join(parts + ([where["pool"]] if where["pool"] else []))
