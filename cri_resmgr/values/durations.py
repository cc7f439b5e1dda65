"""Durations as Go writes them, `1h2m3.5s`."""

import re

_UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)"
_WHOLE = re.compile(rf"([+-]?)((?:{_PART})+|0)")
_LIMIT_CHARS = 64
REMEDY = "write a number with its unit, such as 1.5s, 300ms or 1h2m"


def seconds(text: str) -> float:
    """The seconds in a duration; a bare `0` needs no unit. Raises ValueError."""
    found = _WHOLE.fullmatch(text) if len(text) <= _LIMIT_CHARS else None
    if found is None:
        raise ValueError(f"'{text[:_LIMIT_CHARS]}' is no duration; {REMEDY}")
    total_s = sum(float(amount) * _UNITS_S[unit] for amount, unit in re.findall(_PART, found[2]))
    return -total_s if found[1] == "-" else total_s
