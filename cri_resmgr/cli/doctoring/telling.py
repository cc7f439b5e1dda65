"""Findings for people and for programs."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from textwrap import wrap

from cri_resmgr.cli.doctoring.findings import Finding, Grade

_COLUMNS = 100
_MARKS = {Grade.WELL: "ok", Grade.WARNING: "WARN", Grade.WRONG: "WRONG", Grade.UNKNOWN: "?"}


def as_text(found: Sequence[Finding]) -> Iterator[str]:
    """A paragraph for each finding, and a last line that counts."""
    for finding in found:
        yield from wrap(
            f"{_MARKS[finding.grade]:<6}{finding.about}: {finding.text}", _COLUMNS, subsequent_indent=" " * 6
        )
        if finding.remedy:
            yield from wrap(f"→ {finding.remedy}", _COLUMNS, initial_indent=" " * 6, subsequent_indent=" " * 8)
    counts = ((sum(finding.grade is grade for finding in found), grade) for grade in Grade)
    yield ", ".join(f"{count} {grade}" for count, grade in counts if count)


def as_json(found: Sequence[Finding]) -> str:
    """`{"well": true, "findings": [{"about", "grade", "text", "remedy"}]}`; `well` is what the exit code says."""
    return json.dumps({"well": exit_code(found) == 0, "findings": [asdict(finding) for finding in found]}, indent=1)


def exit_code(found: Sequence[Finding]) -> int:
    """1 if anything is wrong."""
    return int(any(finding.grade is Grade.WRONG for finding in found))
