"""The report of `make bench` as text."""

from bench.results import Claim, Result, Spread
from bench.table import table

RATE = Result(
    "version-1",
    "small call, 1 caller",
    Spread(5901, 5000, 6000),
    Spread(3600.4, 3000, 4000),
    "calls/s",
    ratio=Spread(0.61, 0.5849, 0.7),
    direct_p50_ms=0.1649,
    relayed_p50_ms=0.3,
    relay_cpu_us=91.04,
    claims=(Claim("ratio", 0.61, "least", 0.6),),
)
MEMORY = Result("memory", "memory", None, Spread.of([41.26]), "MiB", claims=(Claim("RSS", 41.26, "most", 40, " MiB"),))


def cells(text: str, line: int) -> list[str]:
    return [cell.strip() for cell in text.splitlines()[line].strip("|").split("|")]


def test_a_rate_shows_both_sides_their_ratio_and_what_was_asked() -> None:
    assert cells(table([RATE]), 2) == [
        "small call, 1 caller",
        "5,901",
        "3,600",
        "calls/s",
        "0.61 (0.58-0.70)",
        "0.165",
        "0.3",
        "91",
        "ratio ≥ 0.6",
        "yes",
    ]


def test_a_missed_target_is_loud_and_what_has_no_counterpart_is_empty() -> None:
    assert cells(table([MEMORY]), 2) == ["memory", "", "41.3", "MiB", "", "", "", "", "RSS ≤ 40 MiB", "NO"]


def test_columns_stand_in_line() -> None:
    lines = table([RATE, MEMORY]).splitlines()
    bars = [[at for at, character in enumerate(line) if character == "|"] for line in lines]
    assert len(lines) == 4
    assert all(line == bars[0] for line in bars)


def test_nothing_is_said_about_a_load_that_nothing_was_claimed_of() -> None:
    assert cells(table([Result("n", "t", None, Spread.of([1]), "s")]), 2)[-2:] == ["", ""]


def test_failed_calls_are_told_below_with_an_example() -> None:
    broken = Result("pod-16", "pods", None, Spread.of([1]), "pods/s", errors=3, first_error="Unavailable: gone")
    text = table([MEMORY, broken])
    assert text.splitlines()[-1] == "pod-16: 3 calls failed, the first with: Unavailable: gone"
    assert cells(text, 3)[-1] == "NO"
