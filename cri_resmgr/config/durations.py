"""Durations as Go writes them, `1h2m3.5s`: in flags and in configurations."""

from cri_resmgr.errors import BadInput
from cri_resmgr.values import durations

REMEDY = durations.REMEDY
LEAST_INTERVAL_S = 1.0


def seconds(text: str) -> float:
    """The seconds in a duration; a bare `0` needs no unit. Raises BadInput."""
    try:
        return durations.seconds(text)
    except ValueError as error:
        raise BadInput(str(error)) from error


def interval_s(value: object) -> float:
    """The seconds between two rounds of something; 0 for never. Raises BadInput."""
    remedy = "write a duration of 1s or more, such as 10s, or 0 for never"
    if isinstance(value, int) and not isinstance(value, bool) and value == 0:
        return 0.0
    if not isinstance(value, str):
        raise BadInput(f"{value!r} is no duration; {remedy}")
    found_s = seconds(value)
    if found_s and found_s < LEAST_INTERVAL_S:
        raise BadInput(f"'{value}' is too short; {remedy}")
    return found_s
