"""The CRI conformance suite (critest v1.30.0) against a socket, and two of its runs compared spec by spec.

Some specs fail whatever the runtime, because they want images that exist on the internet only; others depend on the
machine.  So a relay is not held to a list but to the runtime itself: what passes directly passes through the relay.
"""

import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from equipment.tools import tool

SUBSET = "PodSandbox|Runtime info|Container runtime should support basic operations|Streaming|Container OOM|log"
"""What each change is tested with: 28 of 94 specs, in about a minute."""

OFFLINE = "public image with digest|NoNewPrivs|MaskedPaths"
"""Specs that cannot pass here: two kinds of images are not ours to make, and busybox runs `ls` without a file."""

RUN_DEADLINE_S = 1800
PULL_DEADLINE = "30s"


@dataclass(frozen=True)
class Outcome:
    """How one spec ended."""

    verdict: Literal["passed", "failed", "skipped"]
    message: str
    """Why it failed; else empty."""
    duration_s: float


def run(socket: Path, directory: Path, *, focus: str = "", skip: str = "") -> Mapping[str, Outcome]:
    """Run the specs that match `focus` and not `skip` (regular expressions); outcomes by the spec's name.

    Everything critest says goes to `directory`/critest.log; raises RuntimeError when it gives no report.
    """
    directory.mkdir(parents=True, exist_ok=True)
    report = directory / "junit.xml"
    report.unlink(missing_ok=True)
    selection = [f"-ginkgo.focus={focus}"] * bool(focus) + [f"-ginkgo.skip={skip}"] * bool(skip)
    command: list[str | Path] = [
        tool("critest"),
        f"-runtime-endpoint=unix://{socket}",
        "-ginkgo.no-color",
        f"-ginkgo.junit-report={report}",
        *selection,
    ]
    log = directory / "critest.log"
    with log.open("w") as output:
        # It ends with 1 when a spec fails, which is for the comparison to judge.
        subprocess.run(command, check=False, cwd=directory, stdout=output, stderr=output, timeout=RUN_DEADLINE_S)
    if not report.exists():
        raise RuntimeError(f"critest wrote no report for {socket}:\n{log.read_text()[-2000:]}")
    return parse(report.read_text())


def parse(junit: str) -> Mapping[str, Outcome]:
    """The specs in a report; what ginkgo does around them (`[BeforeSuite]` and the like) counts only when it fails."""
    outcomes = {}
    for case in ET.fromstring(junit).iter("testcase"):  # noqa: S314 - written by our own critest
        name, status = case.get("name", ""), case.get("status")
        if status == "passed" and name.startswith("[It]"):
            verdict: Literal["passed", "failed", "skipped"] = "passed"
        elif status in {"skipped", "pending"}:
            verdict = "skipped"
        elif status == "passed":
            continue
        else:
            verdict = "failed"  # also panicked, timedout, interrupted, aborted
        trouble = case.find("failure") if case.find("failure") is not None else case.find("error")
        message = "" if trouble is None else trouble.get("message", "") or (trouble.text or "")
        outcomes[name.removeprefix("[It] ")] = Outcome(verdict, message.strip(), float(case.get("time", "0")))
    return outcomes


def passed(outcomes: Mapping[str, Outcome]) -> set[str]:
    """The names of the specs that passed."""
    return {name for name, outcome in outcomes.items() if outcome.verdict == "passed"}


def compare(direct: Mapping[str, Outcome], relayed: Mapping[str, Outcome]) -> list[str]:
    """A line for each spec that passes directly and not through the relay; empty is good."""
    differences = []
    for name in sorted(passed(direct) - passed(relayed)):
        outcome = relayed.get(name)
        differences.append(f"{name}: {outcome.verdict}: {outcome.message}" if outcome else f"{name}: did not run")
    return differences
