"""`cri-resmgr config …`: is a configuration right, what does a key mean, what is there to say at all?

    config check FILE       is it right, and if not, what is wrong where?
    config explain KEY      what does it mean, and where does a file say it?
    config schema           everything as JSON schema, for editors

The daemon runs the first, too, with `--output json --limited`: law 11, it parses no configuration text itself.
"""

import json
import resource
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from cri_resmgr.cli import goflags, printing
from cri_resmgr.config.child import LIMIT_ADDRESS_BYTES, LIMIT_ANSWER_BYTES, LIMIT_CPU_S
from cri_resmgr.config.settings import Settings
from cri_resmgr.errors import BadInput

PROGRAM = "cri-resmgr config"
CHECK = f"{PROGRAM} check [-output text|json] [-sections] [-source NAME] FILE    (- reads standard input)"
EXPLAIN = f"{PROGRAM} explain [-config FILE] KEY"
SCHEMA = f"{PROGRAM} schema"


@dataclass(frozen=True, slots=True)
class CheckFlags:
    """What `config check` takes before the file."""

    output: str = goflags.text("form of the answer: text for people, json for programs", default="text")
    sections: bool = goflags.switch(
        "FILE is the data of a ConfigMap as JSON: kubectl get configmap … -o jsonpath={.data}"
    )
    source: str = goflags.text("what to call the file in messages; '' for its path")
    limited: bool = goflags.switch("give up beyond limits of time and memory, as the daemon wants it")


@dataclass(frozen=True, slots=True)
class ExplainFlags:
    """What `config explain` takes before or after the key."""

    config: str = goflags.text("file in which to look for the key; '' for none")


@dataclass(frozen=True, slots=True)
class SchemaFlags:
    """What `config schema` takes: nothing."""


def run(arguments: Sequence[str]) -> int:
    """Do what the words after `config` say; the exit code. Raises BadInput."""
    verb = _VERBS.get(arguments[0]) if arguments else None
    if verb is None:
        raise BadInput(f"config does one of {', '.join(_VERBS)}; write\n{CHECK}\n{EXPLAIN}\n{SCHEMA}")
    return verb(arguments[1:])


def _check(arguments: Sequence[str]) -> int:
    flags, files = goflags.parse(CheckFlags, arguments, {}, program=f"{PROGRAM} check")
    if len(files) != 1 or flags.output not in {"text", "json"}:
        raise BadInput(f"config check takes one file; write {CHECK}")
    if flags.limited:
        _limit_this_process()
    from cri_resmgr.config import check  # noqa: PLC0415 - pydantic and yaml, under the limits that were just set

    source = flags.source or files[0]
    try:
        if flags.sections:
            settings = check.settings_of_sections(check.read_sections(files[0]), source)
        else:
            settings = check.settings(check.read(files[0]), source)
    except BadInput as error:
        if flags.output == "text":
            raise
        sys.stdout.write(json.dumps({"problems": str(error).splitlines()}) + "\n")
        return 2
    return printing.lines([settings.to_json()] if flags.output == "json" else _told(settings))


def _explain(arguments: Sequence[str]) -> int:
    key_first = bool(arguments) and not arguments[0].startswith("-")
    in_order = [*arguments[1:], arguments[0]] if key_first else arguments
    flags, keys = goflags.parse(ExplainFlags, in_order, {}, program=f"{PROGRAM} explain")
    if len(keys) != 1:
        raise BadInput(f"config explain takes one key; write {EXPLAIN}")
    from cri_resmgr.config import check, explaining  # noqa: PLC0415

    entries = explaining.find(check.ROOT, keys[0])
    said = None
    if flags.config:
        text = check.read(flags.config)
        check.settings(text, flags.config)
        said = check.tree(text)
    return printing.lines(line for entry in entries for line in explaining.lines(check.ROOT, entry, said, flags.config))


def _schema(arguments: Sequence[str]) -> int:
    _, words = goflags.parse(SchemaFlags, arguments, {}, program=f"{PROGRAM} schema")
    if words:
        raise BadInput(f"config schema takes nothing; write {SCHEMA}")
    from cri_resmgr.config import models, schema  # noqa: PLC0415

    return printing.lines([schema.text(models.Configuration)])


def _told(settings: Settings) -> Iterator[str]:
    yield f"{settings.source}: right, policy {settings.policy.active}"
    yield from (f"{settings.source}: note: {note}" for note in settings.notes)


def _limit_this_process() -> None:
    for what, most in (
        (resource.RLIMIT_AS, LIMIT_ADDRESS_BYTES),
        (resource.RLIMIT_CPU, LIMIT_CPU_S),
        (resource.RLIMIT_FSIZE, LIMIT_ANSWER_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


_VERBS: Mapping[str, Callable[[Sequence[str]], int]] = MappingProxyType(
    {"check": _check, "explain": _explain, "schema": _schema}
)
