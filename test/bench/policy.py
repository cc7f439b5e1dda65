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


@dataclass(frozen=True)
class Took:
    """Time on the clock and on the processor: they differ by what else the machine has to do."""

    wall_s: float
    cpu_s: float

    @classmethod
    def now(cls) -> "Took":
        """Where both clocks stand."""
        return cls(time.perf_counter(), time.thread_time())

    def since(self) -> "Took":
        """What has passed since these were now."""
        now = Took.now()
        return Took(now.wall_s - self.wall_s, now.cpu_s - self.cpu_s)


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
    rounds = [decisions(full) for _ in range(bench.rounds)]
    walked = steps(full)
    refused = Claim("refused", 100 * full.refused / full.asked, "most", REFUSED_MOST_PERCENT, " %")
    claims = (*_most("steps", walked.wall_s, size.steps_most_s, " s"), refused)
    return [
        _percentile(rounds, 50, name=name, title=f"allocation, {size.title}", limit_ms=size.p50_most_ms),
        _percentile(rounds, 99, name=f"{name}-p99", title="of it p99", limit_ms=size.p99_most_ms),
        Result(
            name=f"{name}-steps",
            title=f"{STEPS:,} creates, deletes, resizes",
            direct=None,
            relayed=Spread.of([walked.wall_s]),
            unit="s",
            relay_cpu_us=walked.cpu_s / STEPS * 1e6,
            claims=claims,
        ),
    ]


def by_pools(bench: Bench) -> Result:
    """The same CPUs in few pools and in many: a decision's cost grows no faster than their number."""
    few, many = crowd(FEW_POOLS), crowd(MANY_POOLS)
    medians = [
        lambda full=full: percentile([took.wall_s * 1e3 for took in decisions(full)], 50) for full in (few, many)
    ]
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


def decisions(full: Crowd) -> list[Took]:
    """What each of many allocations takes; whoever comes goes again, so the next one finds the same."""
    took = []
    for _ in range(DECISIONS):
        container, pod = full.next()
        before = Took.now()
        came = full.create(container, pod)
        took.append(before.since())
        if came:
            full.delete(container)
    return took


def steps(full: Crowd) -> Took:
    """What many random steps take, one after the other."""
    before = Took.now()
    for _ in range(STEPS):
        full.step()
    return before.since()


def percentile(values: list[float], n: int) -> float:
    """The value that so many percent do not exceed."""
    return statistics.quantiles(values, n=100)[n - 1]


def _percentile(rounds: list[list[Took]], n: int, *, name: str, title: str, limit_ms: float | None) -> Result:
    wall_ms = Spread.of([percentile([took.wall_s * 1e3 for took in one], n) for one in rounds])
    cpu_us = Spread.of([percentile([took.cpu_s * 1e6 for took in one], n) for one in rounds]).median
    claims = _most(f"p{n}", wall_ms.median, limit_ms, " ms")
    return Result(name, title, None, wall_ms, "ms", relay_cpu_us=cpu_us, claims=claims)


def _most(what: str, value: float, limit: float | None, unit: str) -> tuple[Claim, ...]:
    return () if limit is None else (Claim(what, value, "most", limit, unit),)
