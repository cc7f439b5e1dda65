"""What the extension needs for one shoot, for 200 at once and for 2,000, with a real API server on the same cores.

The controller is a process of its own command with the rights of its chart; its writes are counted in the API server's
audit log.  Clusters weigh 300 KiB each, as those of large CloudProfiles do.
"""

import asyncio
import time
from pathlib import Path

from bench.extension_seed import Seed, seed
from bench.results import Claim, Result, Spread
from bench.rig import Bench
from equipment.garden import Garden
from garden.replicas import Replicas, installed, others, settled

MANY, CROWD = 200, 2_000
WEIGHT_BYTES = 290 << 10
STEADY_S = 20.0
REPLICA, HEIR = "replica-a", "replica-b"
AS_SHIPPED = (
    "--leader-election-lease-duration=15s",
    "--leader-election-renew-deadline=10s",
    "--leader-election-retry-period=2s",
    "--heartbeat-renew-interval-seconds=30",
)
"""The command's own values, in place of the tests' quick ones."""


def measure(bench: Bench) -> list[Result]:
    """All of it, from an empty seed to 2,000 shoots."""
    with Garden() as garden, installed(garden, REPLICA, HEIR) as replicas:
        replicas.start(REPLICA, *AS_SHIPPED)
        replicas.wait_leading(REPLICA)
        return asyncio.run(_measured(garden, replicas, rounds=bench.rounds))


async def _measured(garden: Garden, replicas: Replicas, *, rounds: int) -> list[Result]:
    async with seed(garden.seed.kubeconfig) as made:
        idle_mib = _rss_mib(replicas, REPLICA)
        results = [await _one(made, rounds)]
        results += await _many(made, replicas)
        results += await _crowd(made, replicas, idle_mib=idle_mib)
        return [*results, await asyncio.to_thread(_restart, replicas)]


async def _one(made: Seed, rounds: int) -> Result:
    """After one that does not count: the first of all makes connections and compiles templates."""
    names = [f"one-{number}" for number in range(rounds + 1)]
    await made.prepare(names, weight_bytes=WEIGHT_BYTES)
    took_s = [await made.create([name]) for name in names][1:]
    await made.delete(names)
    return _result("one", "one Extension created → accepted", took_s, most=0.15)


async def _many(made: Seed, replicas: Replicas) -> list[Result]:
    names = [f"many-{number}" for number in range(MANY)]
    await made.prepare(names, weight_bytes=WEIGHT_BYTES)
    created_s = await made.create(names)
    at = await asyncio.to_thread(settled, replicas)
    rss_mib = _rss_mib(replicas, REPLICA)
    again_s = await made.reconcile(names)
    await asyncio.sleep(1)
    written = others(replicas.writes(since=at))
    to_resources = sum(write.plural.startswith("managedresources") for write in written)
    healthy_s = await _healthy(made, names[:5])
    steady = await asyncio.to_thread(_steady, replicas)
    deleted_s = await made.delete(names)
    return [
        _result("created", f"{MANY} at once → all accepted", [created_s], most=6),
        _result("again", f"{MANY} annotated again, nothing changed", [again_s], most=4),
        _result("writes", "of it writes for each", [len(written) / MANY], most=4, unit=""),
        _result("resources", "of it to ManagedResources", [to_resources], most=0, unit=""),
        _result("healthy", "ManagedResource turns healthy → condition True", healthy_s, most=2),
        _result("steady", f"writes but to Leases while nothing changes, {STEADY_S:g} s", [steady], most=0, unit=""),
        _result("deleted", f"{MANY} deleted", [deleted_s], most=15),
        _result("memory-many", f"resident with {MANY}", [rss_mib], most=100, unit="MiB"),
    ]


async def _healthy(made: Seed, names: list[str]) -> list[float]:
    for name in names:
        await made.turns(name, healthy=False)
    return [await made.turns(name, healthy=True) for name in names]


async def _crowd(made: Seed, replicas: Replicas, *, idle_mib: float) -> list[Result]:
    names = [f"crowd-{number}" for number in range(CROWD)]
    await made.prepare(names, weight_bytes=WEIGHT_BYTES)
    took_s = await made.create(names)
    return [
        _result("memory-idle", "resident, no Extension", [idle_mib], most=80, unit="MiB"),
        _result("crowd", f"{CROWD:,} at once → all accepted", [took_s]),
        _result("memory-crowd", f"resident with {CROWD:,}", [_rss_mib(replicas, REPLICA)], most=200, unit="MiB"),
    ]


def _steady(replicas: Replicas) -> int:
    at = settled(replicas)
    time.sleep(STEADY_S)
    return len(others(replicas.writes(since=at)))


def _restart(replicas: Replicas) -> Result:
    """The leader ends at SIGTERM, and another one that was just started works: its Lease was released."""
    begun_s = time.monotonic()
    replicas.terminate(REPLICA)
    replicas.start(HEIR, *AS_SHIPPED)
    replicas.wait_leading(HEIR)
    return _result("restart", "restart after SIGTERM → working", [time.monotonic() - begun_s], most=3)


def _rss_mib(replicas: Replicas, name: str) -> float:
    lines = Path(f"/proc/{replicas.pid(name)}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def _result(name: str, title: str, values: list[float], *, most: float | None = None, unit: str = "s") -> Result:
    spread = Spread.of(values)
    unit_after = f" {unit}" if unit else ""
    claims = () if most is None else (Claim("median", spread.median, "most", most, unit_after),)
    return Result(f"extension-{name}", title, None, spread, unit, claims=claims)
