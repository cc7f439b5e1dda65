"""What placement costs where a real runtime does the work: a burst of pods among others, with us and without.

    30 pods before the daemon starts   26 share CPU 0, 4 ask for more memory than there is and share all CPUs
    a burst of 32, 8 at a time         30 share CPU 0, 2 have CPU 1 for themselves, one after the other

Whenever somebody gets CPU 1 for himself, and when he has gone, those who share all CPUs are moved; nobody else is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from bench.pods_rig import PODS, Burst, PodsRig
from bench.rates import in_turn
from bench.results import Claim, Result, Spread, ratios
from bench.rig import Bench

Pair = tuple[Burst, Burst]


@dataclass(frozen=True)
class Row:
    """One thing about a burst, in milliseconds, and by how much it may exceed what it is without us."""

    name: str
    title: str
    value: Callable[[Burst], float]
    times_most: float | None = None
    more_most_ms: float | None = None


ROWS = (
    Row("pods", f"{PODS} pods among 30, containerd 2", lambda burst: burst.elapsed_s * 1e3, times_most=1.15),
    Row("pods-cpu", "the runtime's CPU a pod", lambda burst: burst.runtime_cpu_s / PODS * 1e3, times_most=1.15),
    Row("pods-create", "CreateContainer p50 of 8 callers", lambda burst: burst.create_p50_ms, times_most=1.3),
    Row("pods-version", "Version p99 meanwhile", lambda burst: burst.version_p99_ms, more_most_ms=2),
)


def burst(bench: Bench) -> list[Result]:
    """How long it takes, what the runtime spends, and what callers wait for."""
    with PodsRig.running(bench) as rig:
        for path in (rig.direct, rig.relayed):
            rig.burst(path)
        return summarise(list(in_turn(bench.rounds, partial(rig.burst, rig.direct), partial(rig.burst, rig.relayed))))


def summarise(pairs: Sequence[Pair]) -> list[Result]:
    """All rows; no I/O."""
    return [_result(row, pairs) for row in ROWS]


def _result(row: Row, pairs: Sequence[Pair]) -> Result:
    bursts = [burst for pair in pairs for burst in pair]
    direct, relayed = [row.value(first) for first, _ in pairs], [row.value(second) for _, second in pairs]
    ratio = ratios(relayed, direct)
    claims = []
    if row.times_most is not None:
        claims.append(Claim("ratio", ratio.median, "most", row.times_most))
    if row.more_most_ms is not None:
        more = Spread.of([mine - theirs for mine, theirs in zip(relayed, direct, strict=True)])
        claims.append(Claim("more", more.median, "most", row.more_most_ms, " ms"))
    return Result(
        name=row.name,
        title=row.title,
        direct=Spread.of(direct),
        relayed=Spread.of(relayed),
        unit="ms",
        ratio=ratio,
        relay_cpu_us=Spread.of([burst.relay_cpu_s / burst.calls_made * 1e6 for _, burst in pairs]).median,
        claims=tuple(claims),
        errors=sum(burst.errors for burst in bursts),
        first_error=next((burst.first_error for burst in bursts if burst.first_error), ""),
    )
