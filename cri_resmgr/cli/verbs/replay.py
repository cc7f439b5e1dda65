"""`cri-resmgr replay FILE [--config NEW.yaml]`: what happened on a node, and what would have happened with NEW?

Runs anywhere: the file says all that is needed, and nothing is touched.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cri_resmgr.cli import goflags, making, printing
from cri_resmgr.cli.replaying import comparing, reading, telling
from cri_resmgr.cli.replaying.comparing import Comparison
from cri_resmgr.cli.replaying.reading import Recording
from cri_resmgr.cli.replaying.running import Replayed
from cri_resmgr.config import check
from cri_resmgr.config.problems import Invalid
from cri_resmgr.config.settings import Settings
from cri_resmgr.errors import BadInput
from cri_resmgr.observe.recording_events import Configured, There
from cri_resmgr.policies.contract import Policy
from cri_resmgr.values import cpusets

PROGRAM = "cri-resmgr replay"
USAGE = f"{PROGRAM} [--config NEW.yaml] [--output text|json] FILE"


@dataclass(frozen=True, slots=True)
class ReplayFlags:
    """What `replay` takes, before the file or after it."""

    config: str = goflags.text(
        "the configuration to replay with, - for standard input; '' for the recorded one; "
        "the exit code is 0 if all comes out as it happened, 1 if anything does not, 2 if the input is wrong"
    )
    output: str = goflags.text("form of the answer: text for people, json for programs", default="text")


def run(arguments: Sequence[str]) -> int:
    """Replay; the exit code. Raises BadInput."""
    if arguments and not arguments[0].startswith("-"):  # the file may come first, as one says it
        arguments = [*arguments[1:], arguments[0]]
    flags, words = goflags.parse(ReplayFlags, arguments, {}, program=PROGRAM)
    if len(words) != 1 or flags.output not in {"text", "json"}:
        raise BadInput(f"replay takes one file; write {USAGE}")
    recording = reading.read(words[0])
    settings = check.settings(check.read(flags.config), flags.config) if flags.config else recording.settings
    comparison = Comparison(recording, _replayed(recording, settings, exact=not flags.config), exact=not flags.config)
    _answer(recording, settings, comparison, flags)
    return 1 if comparison.different or comparison.refused else 0


def _answer(recording: Recording, settings: Settings, comparison: Comparison, flags: ReplayFlags) -> None:
    names = {
        side: {"policy": said.policy.active, "source": said.source}
        for side, said in (("happened", recording.settings), ("replayed", settings))
    }
    entries = list(comparison.entries())
    said = comparing.summed(comparison)
    if flags.output == "json":
        facts = {"torn": recording.torn, "began_s": recording.header.began_s, "version": recording.header.version}
        printing.lines([json.dumps({**facts, **names, "events": entries, **said}, indent=1)])
        return
    printing.lines(telling.heading(recording, names))
    printing.lines(telling.lines(entries))
    printing.lines(telling.ending(said, exact=not flags.config, events=len(entries) - 1))


def _replayed(recording: Recording, settings: Settings, *, exact: bool) -> Replayed:
    there = tuple(event for event in recording.events if isinstance(event, There))

    def policy_of(event: Configured) -> Policy:
        where = f"{recording.path}, {event.at_s} s"
        return _policy(recording, reading.settings_in(event.settings, where), event.cgroups)

    policy = _policy(recording, settings, recording.header.cgroups)
    return Replayed(policy, there, policy_of=policy_of if exact else None)


def _policy(recording: Recording, settings: Settings, cgroups: Mapping[str, str]) -> Policy:
    def cgroup_cpus(directory: str) -> int:
        if not cgroups.get(directory):
            raise BadInput(f"cgroup:{directory} is not in {recording.path}; write the set, as cpuset:0-3")
        return cpusets.parse(cgroups[directory])

    try:
        return making.policy(settings.policy, recording.machine, cgroup_cpus=cgroup_cpus)
    except Invalid:
        raise
    except BadInput as error:
        raise BadInput(f"{settings.source}: policy: {error}") from error
