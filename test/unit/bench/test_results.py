"""Numbers and claims of `make bench`."""

import pytest

from bench.results import Claim, Result, Spread, ratios


def result(*claims: Claim, errors: int = 0) -> Result:
    return Result("n", "t", None, Spread.of([1.0]), "s", claims=claims, errors=errors)


def test_a_spread_has_the_median_and_the_ends() -> None:
    assert Spread.of([5.0, 1.0, 3.0]) == Spread(median=3.0, low=1.0, high=5.0)
    assert Spread.of([4.0, 1.0]).median == 2.5


def test_a_claim_is_met_on_its_limit_and_beyond() -> None:
    assert [Claim("ratio", value, "least", 0.60).met for value in (0.59, 0.60, 0.61)] == [False, True, True]
    assert [Claim("ratio", value, "most", 0.60).met for value in (0.59, 0.60, 0.61)] == [True, True, False]


def test_a_claim_reads_as_in_the_table() -> None:
    assert str(Claim("ratio", 0.5, "least", 0.60)) == "ratio ≥ 0.6"
    assert str(Claim("RSS", 50, "most", 40, " MiB")) == "RSS ≤ 40 MiB"


def test_one_broken_claim_breaks_the_result() -> None:
    kept, broken = Claim("a", 1, "most", 2), Claim("b", 3, "most", 2)
    assert result(kept).met is True
    assert result(kept, broken).met is False


def test_a_result_without_claims_is_neither_met_nor_missed() -> None:
    assert result().met is None


def test_failed_calls_break_a_result_whatever_its_speed() -> None:
    assert result(Claim("a", 1, "most", 2), errors=1).met is False
    assert result(errors=1).met is False


def test_ratios_compare_the_halves_of_one_round() -> None:
    # The machine was ten times slower in the second round: the ratio of medians would be 0.55.
    assert ratios([50.0, 5.0], [100.0, 10.0]) == Spread(0.5, 0.5, 0.5)


def test_a_direct_connection_that_did_nothing_gives_no_division_by_zero() -> None:
    assert ratios([50.0], [0.0]).median == 0.0


def test_rounds_must_be_whole() -> None:
    with pytest.raises(ValueError, match="argument 2 is longer"):
        ratios([1.0], [1.0, 2.0])
