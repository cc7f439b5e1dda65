"""Values in one cell: maps and lists, as JSON that a person can read with `sqlite3`.

Writing is on the way of each CreateContainer, so what is nearly always empty, or short, is written without a detour.
Reading believes nothing: TypeError and ValueError for what was not written here.
"""

import json
from collections.abc import Mapping
from json.encoder import encode_basestring as _quoted
from typing import Any

from cri_resmgr.values import cpusets
from cri_resmgr.values.adjustments import UNADJUSTED, Adjusted, effect_of, plain
from cri_resmgr.values.decisions import Candidate
from cri_resmgr.values.hints import Hint


# json.dumps makes an encoder for each call, which costs more than encoding a few strings.
def of_map(strings: Mapping[str, str]) -> str:
    """`{"key":"value"}`."""
    return f"{{{','.join([f'{_quoted(key)}:{_quoted(value)}' for key, value in strings.items()])}}}"


def of_list(strings: tuple[str, ...]) -> str:
    """`["one","another"]`."""
    return f"[{','.join(map(_quoted, strings))}]"


def of_hints(hints: tuple[Hint, ...]) -> str:
    """`[["/sys/devices/…","0-3","0",""]]`: provider, CPUs, nodes, packages."""
    if not hints:
        return "[]"
    return json.dumps([(hint.provider, *map(cpusets.text, (hint.cpus, hint.nodes, hint.packages))) for hint in hints])


def of_candidates(candidates: tuple[Candidate, ...]) -> str:
    """`[["NUMA node #0",{"cpus":2.0},"chosen"]]`: pool, scores, verdict."""
    if not candidates:
        return "[]"
    return json.dumps([(one.pool, dict(one.scores), one.verdict) for one in candidates])


def of_adjusted(adjusted: Adjusted) -> str:
    """`["external",{"cpu_limit_millicpu":500}]`: by which adjustment, and what it says; nothing for none."""
    if adjusted is UNADJUSTED:
        return ""
    return json.dumps([adjusted.by, plain(adjusted.effect)])


def to_map(cell: str) -> dict[str, str]:
    """What `of_map` was given."""
    found = json.loads(cell)
    if not isinstance(found, dict) or not _are(str, found.values()):
        raise TypeError(f"no map of strings: {cell[:80]}")
    return found


def to_list(cell: str) -> tuple[str, ...]:
    """What `of_list` was given."""
    found = json.loads(cell)
    if not isinstance(found, list) or not _are(str, found):
        raise TypeError(f"no list of strings: {cell[:80]}")
    return tuple(found)


def to_hints(cell: str) -> tuple[Hint, ...]:
    """What `of_hints` was given."""
    found = _lists(cell)
    if not all(_are(str, hint) for hint in found):
        raise TypeError(f"no list of hints: {cell[:80]}")
    return tuple(Hint(provider, *map(cpusets.parse, sets)) for provider, *sets in found)


def to_candidates(cell: str) -> tuple[Candidate, ...]:
    """What `of_candidates` was given."""
    found = tuple(Candidate(*one) for one in _lists(cell))
    for one in found:
        if not (_are(str, (one.pool, one.verdict)) and isinstance(one.scores, dict)):
            raise TypeError(f"no list of candidates: {cell[:80]}")
        if not _are(float | int | str, one.scores.values()):
            raise TypeError(f"no scores: {cell[:80]}")
    return found


def to_adjusted(cell: str) -> Adjusted:
    """What `of_adjusted` was given."""
    if not cell:
        return UNADJUSTED
    by, said = json.loads(cell)
    if not isinstance(by, str) or not isinstance(said, dict):
        raise TypeError(f"no adjustment: {cell[:80]}")
    return Adjusted(by, effect_of(said))


def _lists(cell: str) -> list[list[Any]]:
    found = json.loads(cell)
    if not isinstance(found, list) or not _are(list, found):
        raise TypeError(f"no list of lists: {cell[:80]}")
    return found


def _are(kind: Any, values: Any) -> bool:
    return all(isinstance(value, kind) for value in values)
