"""Readings: numbers that somebody else keeps and that are asked for at each scrape."""

import os
import resource
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cri_resmgr.values import cpusets
from cri_resmgr.values.workloads import State

if TYPE_CHECKING:  # the agent reads `of_process` and has neither store nor policy: 3 MiB
    from cri_resmgr.policies.contract import Pool
    from cri_resmgr.state.ledger import Ledger
    from cri_resmgr.state.store import Store
    from cri_resmgr.state.writer import Writer

Reading = float | Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Gauge:
    """One metric of one number, or of one number for each value of `label`.  A name in `_total` is a counter's."""

    name: str
    help: str  # with the unit
    read: Callable[[], Reading]
    label: str = ""


def of_state(ledger: "Ledger", store: "Store", writer: "Writer") -> tuple[Gauge, ...]:
    """What runs, and how its store is."""

    def containers() -> Mapping[str, float]:
        found = Counter(container.state for container in ledger.containers.values())
        return {state.value: found[state] for state in State}

    return (
        Gauge("cri_resmgr_ledger_pods", "Pods that the ledger knows.", lambda: len(ledger.pods)),
        Gauge("cri_resmgr_ledger_containers", "Containers that the ledger knows, by state.", containers, "state"),
        Gauge("cri_resmgr_store_bytes", "Bytes that the store takes on disk, log included.", lambda: store.size_bytes),
        Gauge(
            "cri_resmgr_store_healthy", "1 if the last write to the store succeeded, 0 if not.", lambda: writer.healthy
        ),
    )


def of_pools(pools: "Callable[[], Sequence[Pool]]", ledger: "Ledger") -> tuple[Gauge, ...]:
    """What the policy's pools have, what of it is taken, and by how many; nothing for a policy without pools."""

    def each(read: "Callable[[Pool], float]") -> Callable[[], Reading]:
        return lambda: {pool.name: read(pool) for pool in pools()}

    def containers() -> Mapping[str, float]:
        found = Counter(container.holding.pool for container in ledger.holders.values())
        return {pool.name: found[pool.name] for pool in pools()}

    return (
        Gauge(
            "cri_resmgr_pool_exclusive_cpus",
            "CPUs of the pool that containers have to themselves.",
            each(lambda pool: _size(pool.exclusive)),
            "pool",
        ),
        Gauge(
            "cri_resmgr_pool_shared_cpus",
            "CPUs of the pool that containers share.",
            each(lambda pool: _size(pool.shared)),
            "pool",
        ),
        Gauge(
            "cri_resmgr_pool_free_cpus",
            "CPUs of the pool that nobody has asked for, in CPUs.",
            each(lambda pool: pool.free_millicpu / 1000),
            "pool",
        ),
        Gauge(
            "cri_resmgr_pool_free_memory_bytes",
            "Memory of the pool that nobody has asked for, in bytes.",
            each(lambda pool: pool.free_memory_bytes),
            "pool",
        ),
        Gauge("cri_resmgr_pool_containers", "Containers that are placed in the pool.", containers, "pool"),
    )


def of_process() -> tuple[Gauge, ...]:
    """What this process takes, under the names that dashboards know."""
    return (
        Gauge("process_resident_memory_bytes", "Resident memory in bytes.", _resident_bytes),
        Gauge("process_cpu_seconds_total", "User and system CPU time in seconds.", _cpu_s),
        Gauge("process_open_fds", "Open file descriptors.", _open_fds),
    )


def _resident_bytes() -> float:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system


def _open_fds() -> float:
    return sum(1 for _ in Path("/proc/self/fd").iterdir()) - 1  # the one that reads is not counted


def _size(cpus: str) -> int:
    return cpusets.parse(cpus).bit_count()
