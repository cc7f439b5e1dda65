"""From the spec of an Adjustment, as the API server has it, to the plain values that a daemon takes.

    named(spec, "node-1")            whether it is for this node at all
    adjustment(name, spec, "node-1") what it says about the containers of this node; raises Unusable

What the schema of the custom resource can say has been checked by the API server already, if it is ours; what it cannot
(limits below requests, keys and patterns that are none) is said here.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from cri_resmgr.config.adjustment_models import Quantity, Resources, Scope, Spec
from cri_resmgr.errors import BadInput
from cri_resmgr.policies.expressions import expression
from cri_resmgr.values import adjustments, quantities
from cri_resmgr.values.adjustments import Adjustment, Effect, Statement


class Unusable(BadInput):
    """An Adjustment that says what cannot be; the message has the path within its spec."""


def named(spec: Mapping[str, Any], node: str) -> bool:
    """Whether a scope names the node; of a spec that nobody understands, yes: somebody must say so."""
    try:
        scopes = spec.get("scope") or []
        return not scopes or any(adjustments.names(scope.get("nodes") or (), node) for scope in scopes)
    except (AttributeError, TypeError):
        return True


def adjustment(name: str, spec: Mapping[str, Any], node: str) -> Adjustment:
    """What an Adjustment says about the containers of the node; raises Unusable."""
    try:
        said = Spec.model_validate(spec)
    except ValidationError as error:
        raise Unusable("; ".join(f"spec.{_path(one['loc'])}: {one['msg']}" for one in error.errors())) from error
    scopes = [_scope(one, f"spec.scope[{at}]") for at, one in enumerate(said.scope)]
    mine = tuple(one for one in scopes if adjustments.names(one.nodes, node))
    return Adjustment(name, tuple(adjustments.Scope((), one.containers) for one in mine), _effect(said))


def _path(location: tuple[int | str, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).removeprefix(".")


def _scope(said: Scope, path: str) -> adjustments.Scope:
    for at, one in enumerate(said.containers):
        try:
            expression(one.key, one.operator, one.values)
        except ValueError as error:
            raise Unusable(f"{path}.containers[{at}].{error}") from error
    statements = tuple(Statement(one.key, one.operator, tuple(one.values)) for one in said.containers)
    return adjustments.Scope(tuple(said.nodes), statements)


def _effect(said: Spec) -> Effect:
    resources, classes = said.resources or Resources(), said.classes
    cpu = _amounts(resources, "cpu")
    memory = _amounts(resources, "memory")
    limit = said.toptier_limit
    return Effect(
        *cpu,
        *memory,
        rdt_class=classes.rdt if classes else None,
        blockio_class=classes.blockio if classes else None,
        toptier_limit_bytes=None if limit is None else _amount(limit, "memory", "spec.toptierLimit"),
    )


def _amounts(said: Resources, resource: str) -> tuple[int | None, int | None]:
    """A request and a limit: one that is missing is the limit."""
    path = "spec.resources"
    request = getattr(said.requests, resource, None)
    limit = getattr(said.limits, resource, None)
    wanted = None if request is None else _amount(request, resource, f"{path}.requests.{resource}")
    most = None if limit is None else _amount(limit, resource, f"{path}.limits.{resource}")
    if most == 0:
        raise Unusable(f"{path}.limits.{resource}: 0 would stop a container; leave it out for what the pod has")
    if wanted is not None and most is not None and wanted > most:
        raise Unusable(f"{path}.requests.{resource}: {request} is more than the limit, {limit}; make one fit the other")
    return most if wanted is None else wanted, most


def _amount(said: Quantity, resource: str, path: str) -> int:
    try:
        return quantities.cpu_millicpu(str(said)) if resource == "cpu" else quantities.bytes_of(str(said))
    except ValueError as error:
        raise Unusable(f"{path}: {error}") from error
