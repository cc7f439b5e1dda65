"""What is no rate: a burst of pods, the start, memory, and what a CreateContainer costs on a full node."""

import json
import subprocess
import time
from collections.abc import Sequence

from bench.rates import in_turn
from bench.results import Claim, Result, Spread, ratios
from bench.rig import Bench, Drive, Rig

MIB = 1 << 20
BURST_PODS = 64
STARTS = 10
FIRST_DEADLINE_S = 30
PODS_EARLY, PODS_LATE = 2_000, 10_000
GROWTH_MOST_MIB = 1.0  # a leak of 128 bytes a pod, or of one page in thirty pods
CREATES = 100  # CreateContainer calls of each round of the curve


def burst(bench: Bench) -> Result:
    """Nobody waits for a slow neighbour: 64 lives at once, of which create and start take 50 ms each."""
    with bench.rig("-create", "50ms", "-start", "50ms") as rig:
        flags = ("-mode", "burst", "-callers", str(BURST_PODS))
        for path in (rig.direct, rig.relayed):
            rig.drive(path, *flags)
        pairs = list(
            in_turn(bench.rounds, lambda: rig.drive(rig.direct, *flags), lambda: rig.drive(rig.relayed, *flags))
        )
    direct, relayed = [first.elapsed_s * 1e3 for first, _ in pairs], [second.elapsed_s * 1e3 for _, second in pairs]
    ratio = ratios(relayed, direct)
    return Result(
        name="burst",
        title=f"{BURST_PODS} pods at once, 50 ms each for create and start",
        direct=Spread.of(direct),
        relayed=Spread.of(relayed),
        unit="ms",
        ratio=ratio,
        claims=(Claim("ratio", ratio.median, "most", 1.25),),
        **_errors([drive for pair in pairs for drive in pair]),
    )


def start(bench: Bench) -> Result:
    """From the spawn of the daemon to the first answer through its socket."""
    with bench.rig(relay=False) as rig:
        _start_once(rig)  # which may have to write bytecode, and finds no files of an earlier life
        took_s = Spread.of([_start_once(rig) for _ in range(STARTS)])
    claim = Claim("start", took_s.median, "most", 0.4, " s")
    return Result("start", "daemon start to first relayed call", None, took_s, "s", claims=(claim,))


def _start_once(rig: Rig) -> float:
    command = [rig.programs / "drive", "-socket", rig.relayed, "-mode", "first", "-length", f"{FIRST_DEADLINE_S}s"]
    # It polls already when the daemon is spawned, so its own start does not count.
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as waiter:
        time.sleep(0.1)
        spawn_ns = time.time_ns()
        rig.start_relay()
        output, _ = waiter.communicate(timeout=FIRST_DEADLINE_S + 10)
    rig.stop_relay()
    if waiter.returncode:
        raise RuntimeError(f"the relay gave no answer within {FIRST_DEADLINE_S} s of its start")
    return (json.loads(output)["unix_ns"] - spawn_ns) / 1e9


def memory(bench: Bench) -> list[Result]:
    """Resident memory after many pods have lived and gone, and what the later ones have added."""
    with bench.rig() as rig:
        flags = ("-mode", "pod", "-callers", "16", "-count")
        drives = [rig.drive(rig.relayed, *flags, str(PODS_EARLY))]
        early_mib = rig.relay_rss_bytes() / MIB
        drives.append(rig.drive(rig.relayed, *flags, str(PODS_LATE - PODS_EARLY)))
        late_mib = rig.relay_rss_bytes() / MIB
    errors = _errors(drives)
    grown_mib = late_mib - early_mib
    rss = Claim("RSS", late_mib, "most", 40, " MiB")
    growth = Claim("growth", grown_mib, "most", GROWTH_MOST_MIB, " MiB")
    title = f"memory after {PODS_LATE:,} pod lives"
    return [
        Result("memory", title, None, Spread.of([late_mib]), "MiB", claims=(rss,), **errors),
        Result(
            "growth", f"of it since pod {PODS_EARLY:,}", None, Spread.of([grown_mib]), "MiB", claims=(growth,), **errors
        ),
    ]


def create_among(bench: Bench, alive: int) -> Result:
    """CreateContainer's median when so many containers run already: the cost must not follow what runs."""
    with bench.rig() as rig:
        flags = ("-mode", "pod", "-callers", "1", "-count", str(CREATES))
        # Through the relay, so that they are in its ledger; the back end knows them either way.
        rig.drive(rig.relayed, "-mode", "version", "-count", "1", "-alive", str(alive))
        rounds = in_turn(bench.rounds, lambda: rig.drive(rig.direct, *flags), lambda: rig.drive(rig.relayed, *flags))
        pairs = list(rounds)
    direct = [first.call_p50_ms["CreateContainer"] for first, _ in pairs]
    relayed = [second.call_p50_ms["CreateContainer"] for _, second in pairs]
    return Result(
        name=f"create-{alive}",
        title=f"CreateContainer p50, {alive:,} containers alive",
        direct=Spread.of(direct),
        relayed=Spread.of(relayed),
        unit="ms",
        ratio=ratios(relayed, direct),
        claims=(Claim("p50", Spread.of(relayed).median, "most", 2, " ms"),),
        **_errors([drive for pair in pairs for drive in pair]),
    )


def _errors(drives: Sequence[Drive]) -> dict[str, object]:
    return {
        "errors": sum(drive.errors for drive in drives),
        "first_error": next((drive.first_error for drive in drives if drive.first_error), ""),
    }
