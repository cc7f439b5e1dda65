"""What a decision costs: policy `topology-aware` on simulated machines full of containers; no runtime, no relay.

Times are those of a stage, which does with a decision what the manager does, less the store and the runtime.
"""

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass

from bench.policy_crowd import Crowd
from bench.rates import in_turn
from bench.results import Claim, Result, Spread, ratios
from bench.rig import Bench
from cri_resmgr.host.grids import grid
from cri_resmgr.policies import registry
from cri_resmgr.policies.contract import Context, CpuLimit

POLICY = "topology-aware"
NODE_BYTES = 64 << 30
RESERVED_MILLICPU = 750
ALIVE = 500
DECISIONS = 400  # timed in each round
STEPS = 10_000
REFUSED_MOST_PERCENT = 5  # with more, the times would be those of refusals


@dataclass(frozen=True)
class Size:
    """A machine, each number per the level above, and what is claimed on it."""

    title: str
    shape: Mapping[str, int]
    p50_most_ms: float | None = None
    p99_most_ms: float | None = None
    steps_most_s: float | None = None


SIZES = {
    "policy-16": Size("16 CPUs, 2 nodes", {"packages": 2, "cores": 4, "threads": 2}),
    "policy-256": Size("256 CPUs, 8 nodes", {"packages": 2, "nodes": 4, "cores": 16, "threads": 2}, 1, 5, 20),
    "policy-1024": Size("1,024 CPUs, 16 nodes", {"packages": 4, "nodes": 4, "cores": 32, "threads": 2}),
}
FEW_POOLS = {"packages": 2, "nodes": 2, "cores": 32, "threads": 2}
MANY_POOLS = {"packages": 2, "nodes": 16, "cores": 4, "threads": 2}


def crowd(shape: Mapping[str, int]) -> Crowd:
    """A machine with all that runs on it."""
    machine = grid(**shape, memory_bytes=NODE_BYTES)
    policy = registry.find(POLICY).make(Context(machine, reserved=CpuLimit(millicpu=RESERVED_MILLICPU)))
    return Crowd(policy, cpus=machine.online.bit_count(), alive=ALIVE)


def on_one_machine(bench: Bench, name: str) -> list[Result]:
    """An allocation, its median and its worst, and a long run of all kinds of events."""
    size = SIZES[name]
    full = crowd(size.shape)
    rounds = [decisions_ms(full) for _ in range(bench.rounds)]
    p50, p99 = (Spread.of([percentile(times, n) for times in rounds]) for n in (50, 99))
    steps = Spread.of([steps_s(full)])
    refused = Claim("refused", 100 * full.refused / full.asked, "most", REFUSED_MOST_PERCENT, " %")
    claims = (*_most(steps, size.steps_most_s, "steps", " s"), refused)
    return [
        Result(name, f"allocation, {size.title}", None, p50, "ms", claims=_most(p50, size.p50_most_ms, "p50", " ms")),
        Result(f"{name}-p99", "of it p99", None, p99, "ms", claims=_most(p99, size.p99_most_ms, "p99", " ms")),
        Result(f"{name}-steps", f"{STEPS:,} creates, deletes, resizes", None, steps, "s", claims=claims),
    ]


def by_pools(bench: Bench) -> Result:
    """The same CPUs in few pools and in many: a decision's cost grows no faster than their number."""
    few, many = crowd(FEW_POOLS), crowd(MANY_POOLS)
    medians = [lambda full=full: percentile(decisions_ms(full), 50) for full in (few, many)]
    pairs = list(in_turn(bench.rounds, *medians))
    few_ms, many_ms = [first for first, _ in pairs], [second for _, second in pairs]
    ratio = ratios(many_ms, few_ms)
    return Result(
        name="policy-pools",
        title=f"allocation with {few.pools} pools, with {many.pools}",
        direct=Spread.of(few_ms),
        relayed=Spread.of(many_ms),
        unit="ms",
        ratio=ratio,
        claims=(Claim("ratio", ratio.median, "most", round(many.pools / few.pools, 1)),),
    )


def decisions_ms(full: Crowd) -> list[float]:
    """How long each of many allocations takes; whoever comes goes again, so the next one finds the same."""
    took_ms = []
    for _ in range(DECISIONS):
        container, pod = full.next()
        begin_s = time.perf_counter()
        came = full.create(container, pod)
        took_ms.append((time.perf_counter() - begin_s) * 1e3)
        if came:
            full.delete(container)
    return took_ms


def steps_s(full: Crowd) -> float:
    """How long many random steps take, one after the other."""
    begin_s = time.perf_counter()
    for _ in range(STEPS):
        full.step()
    return time.perf_counter() - begin_s


def percentile(values: list[float], n: int) -> float:
    """The value that so many percent do not exceed."""
    return statistics.quantiles(values, n=100)[n - 1]


def _most(spread: Spread, limit: float | None, what: str, unit: str) -> tuple[Claim, ...]:
    return () if limit is None else (Claim(what, spread.median, "most", limit, unit),)
