"""The daemon is killed at random moments while pods come and go that want CPUs of their own.

At every moment the store gives no CPU to two containers for themselves.  In the end ledger, runtime and kernel agree,
and a policy that begins with what the store says leaves everybody where he is.
"""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import grpc
import pytest

from equipment import cgroups
from equipment.load import Load, Wish, memory_of
from equipment.processes import wait_for
from equipment.runtimes import Runtime
from equipment.stand_ins import BUSYBOX
from node.placed import Placed, Row
from node.test_faults import SETTLE_DEADLINE_S
from node.test_placement import PARENT, PASSING

pytestmark = pytest.mark.needs_root

WORKERS = 8
PERIOD_US = 100_000
FREE = 'cri_resmgr_pool_free_cpus{pool="socket #0"}'


def cpu(millicpu: int) -> dict[str, int]:
    """A request and a limit of CPU, as the kubelet says them."""
    return {"cpu_shares": millicpu * 1024 // 1000, "cpu_quota": millicpu * 100, "cpu_period": PERIOD_US}


Kind = tuple[str, str, dict[str, int], dict[str, int]]  # class of pod, namespace, what it asks for, then resized to
STUBBORN: Kind = ("", "default", cpu(1000), {})
GROWING: Kind = ("", "default", cpu(1000), cpu(1500))
SHRINKING: Kind = ("", "default", cpu(1000), cpu(500))
SYSTEM: Kind = ("besteffort", "kube-system", {"cpu_shares": 2}, {})
LATE: Kind = ("", "default", cpu(300), cpu(1000))
SHARING: Kind = ("burstable", "default", {"cpu_shares": 102}, {"cpu_shares": 204})
# Who shares keeps the others from having a CPU, so these are few and come last.
KINDS = (STUBBORN, STUBBORN, GROWING, STUBBORN, SYSTEM, STUBBORN, GROWING, STUBBORN, SHRINKING, SYSTEM, LATE, SHARING)
STAYING = len(KINDS)


def mixed(number: int, pods: int) -> Wish:
    """All kinds in turn; the last ones stay."""
    qos, namespace, asked, resized = KINDS[number % len(KINDS)]
    memory = {"memory_limit_in_bytes": memory_of(number)}
    parent = "/" + "/".join(filter(None, (PARENT, qos, f"podload-{number}")))
    return Wish(asked | memory, resized | memory, number >= pods - STAYING, parent, namespace)


@pytest.fixture
def placed(containerd16: Runtime, tmp_path: Path) -> Iterator[Placed]:
    with Placed(containerd16, tmp_path, PASSING) as daemon:
        yield daemon
    remove_pods(containerd16)
    cgroups.remove_root(PARENT)


def remove_pods(runtime: Runtime) -> None:
    def removed() -> bool:
        with suppress(grpc.RpcError):
            runtime.remove_pods()
            return True
        return False

    wait_for(removed, "the pods to go", SETTLE_DEADLINE_S)


@dataclass
class Witness:
    """Looks at the store all the time, whether the daemon lives or not."""

    shared: list[tuple[Row, Row]] = field(default_factory=list)
    """Pairs that were given one CPU for themselves each."""
    sets: set[tuple[str, int]] = field(default_factory=set)
    """By container: all that it was ever given."""
    owners: set[str] = field(default_factory=set)

    def look(self, rows: list[Row]) -> None:
        """One more moment."""
        owners = [row for row in rows if row.own]
        self.shared += [pair for pair in combinations(owners, 2) if pair[0].own & pair[1].own]
        self.owners.update(row.key for row in owners)
        self.sets.update((row.key, row.given) for row in rows)

    @property
    def moved(self) -> int:
        """Changes of what somebody had."""
        return len(self.sets) - len({key for key, _ in self.sets})


@contextmanager
def watching(daemon: Placed) -> Iterator[Witness]:
    witness, over = Witness(), threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            witness.look(daemon.holders())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield witness
    finally:
        over.set()
        thread.join()


@contextmanager
def killing(daemon: Placed, load: Load, *, kills: int, seed: int) -> Iterator[list[BaseException]]:
    """Kill the daemon at moments that nobody chose, until the load is over; yields what went wrong with that."""
    dice, over, errors = random.Random(seed), threading.Event(), list[BaseException]()

    def kill() -> None:
        for place in sorted(dice.sample(range(1, load.pods - WORKERS), kills)):
            while load.done < place:
                if over.wait(0.01):
                    return
            over.wait(dice.random() * 0.3)
            daemon.kill()
            daemon.start()

    def run() -> None:
        try:
            kill()
        except BaseException as error:  # noqa: BLE001 - shown by the test
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield errors
    finally:
        over.set()
        thread.join()


def check_cpus(rows: list[Row]) -> None:
    """The kernel holds everybody to what the store says, and nobody is on a CPU that is another's own."""
    for row in rows:
        row.check()
        assert not [other for other in rows if other is not row and other.own & row.given]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("pods", "kills"),
    [pytest.param(48, 5, id="short"), pytest.param(240, 40, id="long", marks=pytest.mark.slow)],
)
def test_whenever_the_daemon_is_killed_ledger_runtime_and_kernel_agree_in_the_end(
    placed: Placed, containerd16: Runtime, shown, pods: int, kills: int
):
    seed = random.randrange(1 << 30)
    assert placed.settle(containerd16) == []
    free = placed.metric(FREE)
    load = Load(placed.socket, BUSYBOX, pods, lambda number: mixed(number, pods))
    with watching(placed) as witness, killing(placed, load, kills=kills, seed=seed) as errors:
        load.run(WORKERS)
    with shown():
        print(f"\nseed {seed}: {dict(load.outcomes)}; {len(witness.owners)} owned CPUs, {witness.moved} moves")
    assert not errors
    assert placed.log().count("daemon.starting") == kills + 1  # some are killed before they are ready
    assert (load.done, load.lost, load.surprises) == (pods, [], [])
    assert not witness.shared
    assert witness.owners
    assert witness.moved

    rows = placed.settle(containerd16)
    assert 0 < sum(row.state == "running" for row in rows) <= STAYING  # a start that is cut off ends the container
    check_cpus(rows)

    placed.restart()  # those who passed are placed as well as it goes
    rows = placed.settle(containerd16)
    check_cpus(rows)
    placed.restart()
    assert placed.settle(containerd16) == rows
    assert placed.metric("cri_resmgr_updates_sent_total") == 0
    check_cpus(rows)

    remove_pods(containerd16)
    assert placed.settle(containerd16) == []
    assert placed.metric(FREE) == free
    assert "Traceback" not in placed.log()
