"""How many calls a second: the same load on both sockets in turn, again and again, in one run."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from bench.results import Claim, Result, Spread, ratios
from bench.rig import Bench, Drive, Rig

WARM_UP_S = 0.3
T = TypeVar("T")


@dataclass(frozen=True)
class Load:
    """A load and what is claimed of the relay under it."""

    name: str
    title: str
    flags: tuple[str, ...]
    unit: str = "calls/s"
    ratio_least: float | None = None
    cpu_most_us: float | None = None


def _flags(mode: str, callers: int, *more: str) -> tuple[str, ...]:
    return ("-mode", mode, "-callers", str(callers), *more)


LOADS = (
    Load("version-1", "small call, 1 caller", _flags("version", 1), ratio_least=0.60),
    Load("version-16", "small call, 16 callers", _flags("version", 16), ratio_least=0.85, cpu_most_us=15),
    # The kubelet's deadlines put a new grpc-timeout into each header block, which keeps header tables moving.
    Load("deadline-16", "small call with deadline, 16 callers", _flags("version", 16, "-timeout", "2m")),
    Load("bulk-1", "200 KiB reply, 1 caller", _flags("bulk", 1), ratio_least=0.85),
    Load("bulk-16", "200 KiB reply, 16 callers", _flags("bulk", 16), ratio_least=0.78),
    Load("pod-1", "pod life cycle, 1 caller", _flags("pod", 1), unit="pods/s"),
    Load("pod-16", "pod life cycle, 16 callers", _flags("pod", 16), unit="pods/s", ratio_least=0.36),
)


@dataclass(frozen=True)
class Round:
    """One turn on each socket."""

    direct: Drive
    relayed: Drive
    relay_cpu_s: float


def in_turn(rounds: int, direct: Callable[[], T], relayed: Callable[[], T]) -> Iterable[tuple[T, T]]:
    """Who goes first changes, so that a machine that gets slower favours nobody."""
    for number in range(rounds):
        if number % 2:
            second = relayed()
            yield direct(), second
        else:
            first = direct()
            yield first, relayed()


def measure(bench: Bench, load: Load) -> Result:
    """One line of the table of rates."""
    with bench.rig() as rig:
        for path in (rig.direct, rig.relayed):
            rig.drive(path, *load.flags, "-length", f"{WARM_UP_S}s")
        return summarise(load, list(_rounds(bench, rig, load)))


def _rounds(bench: Bench, rig: Rig, load: Load) -> Iterable[Round]:
    flags = (*load.flags, "-length", f"{bench.seconds}s")
    used_s: list[float] = []

    def relayed() -> Drive:
        before_s = rig.relay_cpu_s()
        drive = rig.drive(rig.relayed, *flags)
        used_s.append(rig.relay_cpu_s() - before_s)
        return drive

    for through_nothing, through_relay in in_turn(bench.rounds, partial(rig.drive, rig.direct, *flags), relayed):
        yield Round(through_nothing, through_relay, used_s[-1])


def summarise(load: Load, rounds: list[Round]) -> Result:
    """Medians over the rounds; no I/O."""
    direct, relayed = [r.direct for r in rounds], [r.relayed for r in rounds]
    ratio = ratios([r.per_s for r in relayed], [r.per_s for r in direct])
    cpu_us = Spread.of([r.relay_cpu_s / max(r.relayed.calls_made, 1) * 1e6 for r in rounds]).median
    claims = []
    if load.ratio_least is not None:
        claims.append(Claim("ratio", ratio.median, "least", load.ratio_least))
    if load.cpu_most_us is not None:
        claims.append(Claim("CPU", cpu_us, "most", load.cpu_most_us, " µs"))
    return Result(
        name=load.name,
        title=load.title,
        direct=Spread.of([r.per_s for r in direct]),
        relayed=Spread.of([r.per_s for r in relayed]),
        unit=load.unit,
        ratio=ratio,
        direct_p50_ms=Spread.of([r.p50_ms for r in direct]).median,
        relayed_p50_ms=Spread.of([r.p50_ms for r in relayed]).median,
        relay_cpu_us=cpu_us,
        claims=tuple(claims),
        errors=sum(r.errors for r in (*direct, *relayed)),
        first_error=next((r.first_error for r in (*relayed, *direct) if r.first_error), ""),
    )
