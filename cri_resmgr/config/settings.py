"""What the daemon is told: plain frozen values, made from a user's text by another process.

`models` turns text into `Settings`, `to_json` and `from_json` carry them over a process border.  Everything here is
valid already; `Settings()` is what holds when there is no configuration at all.  A key that a user may leave open so
that a command line flag decides is None here: see `LoggerSettings.over`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from cri_resmgr.config import dumprules
from cri_resmgr.policies.contract import PINNABLE_HANDLERS


@dataclass(frozen=True, slots=True)
class CpuConstraint:
    """An amount of CPU or a set of CPUs, as `policy.AvailableResources` names it; exactly one field is set."""

    cpuset: str | None = None
    """A Linux list such as `0-3,8`."""
    cgroup: str | None = None
    """A directory whose `cpuset.cpus` says which CPUs."""
    millicpu: int | None = None


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """Section `policy`."""

    active: str = "none"
    available: CpuConstraint | None = None
    reserved: CpuConstraint | None = None
    pinnable_handlers: tuple[str, ...] = tuple(sorted(PINNABLE_HANDLERS))
    """Runtime handlers whose containers can have CPUs of their own."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The section of the active policy, plain values under the names of its `options` module."""


@dataclass(frozen=True, slots=True)
class LoggerSettings:
    """Section `logger`, and what the flags say about logging; None leaves a matter to the other of the two.

    `debug` and `sources` are source maps (`config.sourcemap`): who may log at debug level, who may log at all.
    """

    backend: str | None = None
    """`fmt` for people, `json` for machines."""
    level: str | None = None
    debug: str | None = None
    sources: str | None = None
    log_source: bool | None = None
    """False leaves the source out of each line."""
    skip_headers: bool | None = None
    """Lines without time and level, for a reader that adds its own."""
    verbosity: int | None = None
    """klog's `v`; from 4 on everything is debugged."""
    to_stderr: bool | None = None
    """False sends the lines to `file` only, apart from those at or above `stderr_threshold`."""
    also_to_stderr: bool | None = None
    stderr_threshold: str | None = None
    file: str | None = None

    def over(self, base: "LoggerSettings") -> "LoggerSettings":
        """These settings, and where they say nothing those of `base`."""
        said = {f.name: value for f in fields(self) if (value := getattr(self, f.name)) is not None}
        return replace(base, **said)


@dataclass(frozen=True, slots=True)
class DumpSettings:
    """Section `dump`; `rules` is the text that `config.dumprules` parses, known to be right."""

    rules: str = dumprules.DEFAULT
    debug: bool = False
    disabled: bool = False
    file: str = ""


@dataclass(frozen=True, slots=True)
class InstrumentationSettings:
    """Section `instrumentation`; `http_endpoint` is what `config.endpoints` parses, "" for none."""

    http_endpoint: str = ""
    prometheus_export: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """One whole configuration. `digest` is the SHA-256 of the text it came from, "" if there was none."""

    policy: PolicySettings = PolicySettings()
    logger: LoggerSettings = LoggerSettings()
    dump: DumpSettings = DumpSettings()
    instrumentation: InstrumentationSettings = InstrumentationSettings()
    on_policy_error: str = ""
    """`pass` or `reject` for all that goes wrong in the policy; "": refusals are rejected, failures pass."""
    drift_interval_s: float = 10.0
    """Between two looks at what the kernel holds containers to; 0 for never."""
    notes: tuple[str, ...] = ()
    """What the user should know though it is no error: old words that we take for new ones."""
    digest: str = ""
    source: str = field(default="built-in defaults")
    """Where the text came from, for logs."""

    def to_json(self) -> str:
        """One line; `from_json` gives an equal value."""
        # Not by `asdict`: it copies each item of a list of any length first, while the loop waits.
        return json.dumps(self, default=_fields, separators=(",", ":"), sort_keys=True)


def _fields(part: Any) -> dict[str, Any]:
    return {one.name: getattr(part, one.name) for one in fields(part)}


def from_json(text: str | bytes) -> Settings:
    """The value that `Settings.to_json` wrote; raises KeyError, TypeError or ValueError for anything else."""
    raw = json.loads(text)
    return Settings(
        policy=_policy(raw["policy"]),
        logger=LoggerSettings(**raw["logger"]),
        dump=DumpSettings(**raw["dump"]),
        instrumentation=InstrumentationSettings(**raw["instrumentation"]),
        on_policy_error=str(raw["on_policy_error"]),
        drift_interval_s=float(raw["drift_interval_s"]),
        notes=tuple(raw["notes"]),
        digest=raw["digest"],
        source=raw["source"],
    )


def _policy(raw: Mapping[str, Any]) -> PolicySettings:
    constraints = {name: CpuConstraint(**raw[name]) for name in ("available", "reserved") if raw[name] is not None}
    return PolicySettings(
        active=raw["active"],
        pinnable_handlers=tuple(raw["pinnable_handlers"]),
        options=dict(raw["options"]),
        **constraints,
    )
