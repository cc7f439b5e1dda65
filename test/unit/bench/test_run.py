"""The command line of `make bench`, with measurements that take no time."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import build, run
from bench.results import Claim, Result, Spread
from bench.rig import Bench
from equipment import Unavailable, machine


def named(name: str, value: float = 1.0) -> Result:
    return Result(name, name, None, Spread.of([value]), "s", claims=(Claim("x", value, "most", 2),))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Bench]]:
    """What was measured, in order; `memory` gives two results, as the real one does."""
    seen: list[tuple[str, Bench]] = []

    def stand_in(name: str) -> Callable[[Bench], Result | list[Result]]:
        def measure(bench: Bench) -> Result | list[Result]:
            seen.append((name, bench))
            return [named("memory", 3.0), named("growth")] if name == "memory" else named(name)

        return measure

    stand_ins = {name: stand_in(name) for name in run.measurements()}
    monkeypatch.setattr(run, "measurements", lambda: stand_ins)
    monkeypatch.setattr(build, "programs", lambda: Path("/programs"))
    return seen


def test_a_missed_target_is_no_failure_of_the_bench(measured: list, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--only", "memory"]) == 0
    assert "NO" in capsys.readouterr().out


def test_everything_is_measured_in_the_order_of_the_report(
    measured: list, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine, "is_root", lambda: True)
    assert run.main([]) == 0
    names = [name for name, _ in measured]
    assert names == list(run.measurements())
    assert "left out" not in capsys.readouterr().err
    assert {"version-1", "pod-16", "burst", "start", "memory", "create-0", "create-300", "create-1000"} <= set(names)


def test_what_only_root_may_do_is_left_out_for_others_and_said(
    measured: list, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine, "is_root", lambda: False)
    assert run.main([]) == 0
    assert [name for name, _ in measured] == [name for name in run.measurements() if name not in {"pods", "extension"}]
    assert "left out, since only root may start a runtime or a seed: pods, extension" in capsys.readouterr().err


def test_only_what_is_named_is_measured_with_the_options_given(measured: list) -> None:
    options = ["--rounds", "7", "--seconds", "0.5", "--relay-command", "other {relay}"]
    assert run.main(["--only", "burst", "--only", "start", *options]) == 0
    bench = Bench(Path("/programs"), "other {relay}", 7, 0.5)
    assert measured == [("burst", bench), ("start", bench)]


def test_json_says_what_was_claimed_and_whether_it_holds(measured: list, capsys: pytest.CaptureFixture[str]) -> None:
    run.main(["--only", "memory", "--output", "json"])
    report = json.loads(capsys.readouterr().out)
    assert [(result["name"], result["met"]) for result in report["results"]] == [("memory", False), ("growth", True)]
    assert report["results"][0]["claims"] == [
        {"what": "x", "value": 3.0, "at": "most", "limit": 2, "unit": "", "met": False}
    ]
    assert report["machine"]["cpus"]


def test_progress_does_not_spoil_the_report(measured: list, capsys: pytest.CaptureFixture[str]) -> None:
    run.main(["--only", "burst", "--output", "json"])
    captured = capsys.readouterr()
    assert "1/1 burst" in captured.err
    json.loads(captured.out)


@pytest.mark.parametrize("arguments", [["--only", "bursts"], ["--rounds", "0"], ["--rounds", "x"], ["--seconds", "-1"]])
def test_input_that_makes_no_sense_is_refused_before_anything_is_measured(measured: list, arguments: list) -> None:
    with pytest.raises(SystemExit) as refused:
        run.main(arguments)
    assert refused.value.code == 2
    assert measured == []


def test_a_machine_without_go_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> Path:
        raise Unavailable("no Go on this machine")

    monkeypatch.setattr(build, "programs", missing)
    assert run.main([]) == 1
    assert capsys.readouterr().err == "bench: no Go on this machine\n"
