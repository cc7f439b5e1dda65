"""`cri-resmgr config check FILE`: is this configuration right, and if not, what is wrong where?

The daemon runs it, too, with `--output json --limited`: law 11, it parses no configuration text itself.
"""

import json
import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from cri_resmgr.cli import goflags
from cri_resmgr.config.child import LIMIT_ADDRESS_BYTES, LIMIT_ANSWER_BYTES, LIMIT_CPU_S
from cri_resmgr.config.settings import Settings
from cri_resmgr.errors import BadInput

USAGE = "cri-resmgr config check [-output text|json] FILE    (- reads standard input)"


@dataclass(frozen=True, slots=True)
class CheckFlags:
    """What `config check` takes before the file."""

    output: str = goflags.text("form of the answer: text for people, json for programs", default="text")
    limited: bool = goflags.switch("give up beyond limits of time and memory, as the daemon wants it")


def run(arguments: Sequence[str]) -> int:
    """Do what the words after `config` say; the exit code. Raises BadInput."""
    match arguments:
        case ["check", *rest]:
            flags, files = goflags.parse(CheckFlags, rest, {}, program="cri-resmgr config check")
        case _:
            raise BadInput(f"config knows one thing to do, check; write {USAGE}")
    if len(files) != 1 or flags.output not in {"text", "json"}:
        raise BadInput(f"config check takes one file; write {USAGE}")
    if flags.limited:
        _limit_this_process()
    return _check(files[0], as_json=flags.output == "json")


def _check(path: str, *, as_json: bool) -> int:
    from cri_resmgr.config import check  # noqa: PLC0415 - pydantic and yaml, under the limits that were just set

    try:
        settings = check.settings(check.read(path), path)
    except BadInput as error:
        if not as_json:
            raise
        sys.stdout.write(json.dumps({"problems": str(error).splitlines()}) + "\n")
        return 2
    sys.stdout.write((settings.to_json() if as_json else _told(settings)) + "\n")
    return 0


def _told(settings: Settings) -> str:
    notes = (f"{settings.source}: note: {note}" for note in settings.notes)
    return "\n".join((f"{settings.source}: right, policy {settings.policy.active}", *notes))


def _limit_this_process() -> None:
    for what, most in (
        (resource.RLIMIT_AS, LIMIT_ADDRESS_BYTES),
        (resource.RLIMIT_CPU, LIMIT_CPU_S),
        (resource.RLIMIT_FSIZE, LIMIT_ANSWER_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
