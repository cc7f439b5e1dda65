"""Rates of calls: turns, medians, claims."""

import dataclasses
from pathlib import Path

import pytest

from bench import rates
from bench.rates import LOADS, Load, Round, in_turn, measure, summarise
from bench.rig import Bench, Drive

DRIVE = Drive(done=10, calls_made=70, elapsed_s=1, per_s=10, p50_ms=2, call_p50_ms={}, errors=0, first_error="")
LOAD = Load("l", "a load", ("-mode", "pod"), ratio_least=0.5, cpu_most_us=20)


def turn(direct: float, relayed: float, cpu_s: float = 0.0007, **changes: object) -> Round:
    return Round(
        dataclasses.replace(DRIVE, per_s=direct, p50_ms=1),
        dataclasses.replace(DRIVE, per_s=relayed, **changes),
        cpu_s,
    )


def test_who_goes_first_changes_from_round_to_round() -> None:
    order: list[str] = []

    def half(name: str) -> Drive:
        order.append(name)
        return dataclasses.replace(DRIVE, first_error=name)

    pairs = list(in_turn(3, lambda: half("direct"), lambda: half("relayed")))
    assert order == ["direct", "relayed", "relayed", "direct", "direct", "relayed"]
    assert {(direct.first_error, relayed.first_error) for direct, relayed in pairs} == {("direct", "relayed")}


def test_a_summary_takes_medians_and_ratios_round_by_round() -> None:
    got = summarise(LOAD, [turn(100, 60), turn(10, 9), turn(100, 50)])
    assert (got.direct.median, got.relayed.median) == (100, 50)
    assert (got.ratio.low, got.ratio.median, got.ratio.high) == (0.5, 0.6, 0.9)
    assert (got.direct_p50_ms, got.relayed_p50_ms) == (1, 2)
    assert got.met is True


def test_processor_time_is_that_of_one_call_not_of_one_pod() -> None:
    got = summarise(LOAD, [turn(100, 60, cpu_s=0.0014)])
    assert got.relay_cpu_us == pytest.approx(20)


def test_a_relay_that_is_fast_but_costs_too_much_misses_its_target() -> None:
    got = summarise(LOAD, [turn(100, 60, cpu_s=0.0021)])
    assert [(claim.what, claim.met) for claim in got.claims] == [("ratio", True), ("CPU", False)]
    assert got.met is False


def test_a_relay_through_which_nothing_came_is_told_not_divided_by() -> None:
    got = summarise(LOAD, [turn(100, 0, calls_made=0, errors=50, first_error="UNAVAILABLE")])
    assert (got.met, got.errors, got.first_error) == (False, 50, "UNAVAILABLE")


def test_an_error_of_the_direct_connection_counts_as_well() -> None:
    one = Round(dataclasses.replace(DRIVE, errors=1, first_error="refused"), DRIVE, 0.0)
    assert (summarise(LOAD, [one]).errors, summarise(LOAD, [one]).first_error) == (1, "refused")


def test_a_load_without_targets_claims_nothing() -> None:
    assert summarise(Load("l", "a load", ()), [turn(100, 1)]).met is None


def test_the_targets_are_those_that_were_promised() -> None:
    assert {load.name: (load.ratio_least, load.cpu_most_us) for load in LOADS if load.ratio_least} == {
        "version-1": (0.60, None),
        "version-16": (0.85, 15),
        "bulk-1": (0.85, None),
        "bulk-16": (0.78, None),
        "pod-16": (0.36, None),
    }


class Bookkeeping:
    """Stands for a rig: its relay uses 10 ms of processor time in each drive of its own."""

    direct, relayed = Path("d"), Path("r")

    def __init__(self) -> None:
        self.cpu_s = 5.0
        self.driven: list[tuple[Path, tuple[str, ...]]] = []

    def __enter__(self) -> "Bookkeeping":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def relay_cpu_s(self) -> float:
        return self.cpu_s

    def drive(self, path: Path, *flags: str) -> Drive:
        self.driven.append((path, flags))
        self.cpu_s += 0.010 if path == self.relayed else 0.0
        return DRIVE


def test_both_sockets_are_warmed_up_and_only_the_relays_own_rounds_count(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Bookkeeping()
    monkeypatch.setattr(Bench, "rig", lambda _bench: rig)
    got = measure(Bench(Path(), rounds=4, seconds=2.5), rates.LOADS[-1])
    warm_up, rounds = rig.driven[:2], rig.driven[2:]
    assert [path for path, _ in warm_up] == [rig.direct, rig.relayed]
    assert len(rounds) == 8
    assert {flags[-1] for _, flags in rounds} == {"2.5s"}
    assert got.relay_cpu_us == pytest.approx(0.010 / 70 * 1e6)
