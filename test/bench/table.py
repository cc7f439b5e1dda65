"""Results as text.  No I/O."""

from collections.abc import Sequence

from bench.results import Result, Spread

_HEAD = (
    "load",
    "direct",
    "relayed",
    "unit",
    "ratio (range)",
    "p50 ms direct",
    "relayed",
    "CPU µs/call",
    "target",
    "met",
)


def table(results: Sequence[Result]) -> str:
    """A table in Markdown, one line each; failed calls are said below it."""
    rows = [_HEAD, *map(_row, results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    rule = tuple("-" * width for width in widths)
    lines = [_line(row, widths) for row in (rows[0], rule, *rows[1:])]
    lines += [
        f"{result.name}: {result.errors} calls failed, the first with: {result.first_error}"
        for result in results
        if result.errors
    ]
    return "\n".join(lines)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"


def _row(result: Result) -> tuple[str, ...]:
    return (
        result.title,
        _number(result.direct and result.direct.median),
        _number(result.relayed.median),
        result.unit,
        _ratio(result.ratio),
        _number(result.direct_p50_ms),
        _number(result.relayed_p50_ms),
        _number(result.relay_cpu_us),
        ", ".join(map(str, result.claims)),
        {True: "yes", False: "NO", None: ""}[result.met],
    )


def _ratio(ratio: Spread | None) -> str:
    return f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f})" if ratio else ""


def _number(value: float | None) -> str:
    """Three digits that mean something, and no exponents."""
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
