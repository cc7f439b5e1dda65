"""What a measurement gives: numbers with their spread, and claims that they are held against.  No I/O."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Spread:
    """The median of some rounds, and how far they lie apart."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of at least one value."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Claim:
    """What a number must be."""

    what: str
    value: float
    at: Literal["least", "most"]
    limit: float
    unit: str = ""

    @property
    def met(self) -> bool:
        """A value on the limit meets it."""
        return self.value >= self.limit if self.at == "least" else self.value <= self.limit

    def __str__(self) -> str:
        sign = "≥" if self.at == "least" else "≤"
        return f"{self.what} {sign} {self.limit:g}{self.unit}"


@dataclass(frozen=True)
class Result:
    """One line of the report."""

    name: str
    title: str
    direct: Spread | None
    """None where there is nothing to compare with."""
    relayed: Spread
    unit: str
    """Of `direct` and `relayed`."""
    ratio: Spread | None = None
    """Relayed to direct, computed for each round by itself: what disturbs a round disturbs both halves."""
    direct_p50_ms: float | None = None
    relayed_p50_ms: float | None = None
    relay_cpu_us: float | None = None
    """Processor time of the relay for each call."""
    claims: tuple[Claim, ...] = ()
    errors: int = 0
    first_error: str = ""

    @property
    def met(self) -> bool | None:
        """All claims hold and no call failed; None if nothing is claimed and nothing failed."""
        if self.errors:
            return False
        return all(claim.met for claim in self.claims) if self.claims else None


def ratios(relayed: Sequence[float], direct: Sequence[float]) -> Spread:
    """Round by round."""
    return Spread.of([mine / theirs if theirs else 0.0 for mine, theirs in zip(relayed, direct, strict=True)])
