"""Adjustments: what somebody else than a pod's author wants containers to have.

An `Adjustment` names its containers by a scope; its `Effect` is what it says about each of them, all of it optional.
What a container gets of it is its `Adjusted`, which the ledger keeps beside what the kubelet asked: never instead of
it, so that it can be given back.

Between agent and daemon, and in the store, an adjustment is a name and a JSON text: `written`, `read`.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from cri_resmgr.values import quantities
from cri_resmgr.values.resources import Assignment, Resources

META_KEY = "adjustments"  # beside the ledger: those in force, one JSON list of [name, text]
ERRORS_META_KEY = "adjustment-errors"  # beside the ledger: JSON, by adjustment, a key, and a sentence
AMOUNTS = ("cpu_shares", "cpu_quota_us", "cpu_period_us", "memory_limit_bytes")
"""What of a container's resources an adjustment may change."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What an adjustment says about a container; None is *nothing*. Requests never exceed limits."""

    cpu_request_millicpu: int | None = None
    cpu_limit_millicpu: int | None = None
    memory_request_bytes: int | None = None
    memory_limit_bytes: int | None = None
    rdt_class: str | None = None
    blockio_class: str | None = None
    toptier_limit_bytes: int | None = None

    @property
    def has_resources(self) -> bool:
        """Whether it says anything about CPU or memory."""
        said = (self.cpu_request_millicpu, self.cpu_limit_millicpu, self.memory_request_bytes, self.memory_limit_bytes)
        return said != (None, None, None, None)


@dataclass(frozen=True, slots=True)
class Statement:
    """An expression about a container, as `policies.expressions` reads it."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scope:
    """Containers of which one of the statements is true, on nodes with one of the names; without any, all of them."""

    nodes: tuple[str, ...] = ()
    containers: tuple[Statement, ...] = ()


@dataclass(frozen=True, slots=True)
class Adjustment:
    """One adjustment; a container is in its scope if it is in one of the scopes, or if there is none."""

    name: str
    scopes: tuple[Scope, ...] = ()
    effect: Effect = Effect()


@dataclass(frozen=True, slots=True)
class Adjusted:
    """What one container gets; `by` is the adjustment's name, "" for none."""

    by: str = ""
    effect: Effect = Effect()

    def over(self, asked: Resources) -> Resources:
        """What the container wants: what the kubelet asked, with the amounts of the adjustment.

        What the adjustment does not say stays; a limit of the kubelet's that is lower than the adjusted request rises
        to it.
        """
        effect = self.effect
        if not effect.has_resources:
            return asked
        shares, memory = asked.cpu_shares, asked.memory_limit_bytes
        if effect.cpu_request_millicpu is not None:
            shares = quantities.shares_of(effect.cpu_request_millicpu)
        if effect.memory_limit_bytes is not None:
            memory = effect.memory_limit_bytes
        elif memory > 0:
            memory = max(memory, effect.memory_request_bytes or 0)
        quota_us, period_us = self._quota(asked)
        return replace(
            asked, cpu_shares=shares, cpu_quota_us=quota_us, cpu_period_us=period_us, memory_limit_bytes=memory
        )

    def _quota(self, asked: Resources) -> tuple[int, int]:
        period_us = asked.cpu_period_us or quantities.PERIOD_US
        if self.effect.cpu_limit_millicpu is not None:
            return quantities.quota_of(self.effect.cpu_limit_millicpu, period_us), period_us
        least_us = quantities.quota_of(self.effect.cpu_request_millicpu or 0, period_us)
        if 0 < asked.cpu_quota_us < least_us:
            return least_us, period_us
        return asked.cpu_quota_us, asked.cpu_period_us


UNADJUSTED = Adjusted()


def due(given: Assignment, adjusted: Adjusted, asked: Resources) -> Assignment:
    """What the runtime must be told: what a policy has given, and the amounts that only the adjustment changes."""
    wanted = adjusted.over(asked)
    changed = {
        name: value
        for name in AMOUNTS
        if getattr(given, name) is None and (value := getattr(wanted, name)) != getattr(asked, name)
    }
    return replace(given, **changed)


def names(nodes: Iterable[str], node: str) -> bool:
    """Whether a scope's `nodes` have this node: by name, by a beginning such as `gpu-*`, or by naming none."""
    patterns = tuple(nodes)
    return not patterns or any(
        node.startswith(pattern[:-1]) if pattern.endswith("*") else pattern in {"", node} for pattern in patterns
    )


def written(adjustment: Adjustment) -> str:
    """The text that goes with the name; what is not said is left out."""
    scopes = [
        {"nodes": scope.nodes, "containers": [(one.key, one.operator, one.values) for one in scope.containers]}
        for scope in adjustment.scopes
    ]
    return json.dumps({"scopes": scopes, "effect": plain(adjustment.effect)}, separators=(",", ":"), sort_keys=True)


def read(name: str, text: str) -> Adjustment:
    """The adjustment with that name and text. Raises ValueError for what was not written here."""
    try:
        said = json.loads(text)
        scopes = tuple(
            Scope(tuple(map(_text, scope["nodes"])), tuple(map(_statement, scope["containers"])))
            for scope in said["scopes"]
        )
        return Adjustment(name, scopes, effect_of(said["effect"]))
    except (TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"this is no adjustment: {type(error).__name__}: {error}") from error


def kept(stored: str | None) -> Iterator[tuple[str, Adjustment]]:
    """Texts and adjustments that stand under `META_KEY`, without what this version does not understand."""
    with suppress(ValueError, TypeError, RecursionError):
        for name, text in json.loads(stored or "[]"):
            with suppress(ValueError):
                yield text, read(name, text)


def plain(effect: Effect) -> dict[str, Any]:
    """What an effect says, by name."""
    return {name: value for name, value in asdict(effect).items() if value is not None}


def effect_of(said: dict[str, Any]) -> Effect:
    """What `plain` was given. Raises ValueError and TypeError; what a newer version has is wrong, too."""
    for one in fields(Effect):
        kind = str if one.name.endswith("_class") else int
        if one.name in said and type(said[one.name]) is not kind:
            raise ValueError(f"{one.name} is no {kind.__name__}")
    return Effect(**said)


def _statement(said: tuple[str, str, list[str]]) -> Statement:
    key, operator, values = said
    return Statement(_text(key), _text(operator), tuple(map(_text, values)))


def _text(said: Any) -> str:
    if not isinstance(said, str):
        raise ValueError(f"{said!r} is no text")  # noqa: TRY004 - what is wrong is the text that it stood in
    return said
