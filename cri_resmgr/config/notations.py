"""The notations that values are written in: how each is checked, and its form for people and editors.

Every check is a function of the plain modules around here, which say themselves what is wrong and what to write.
"""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from cri_resmgr.config import constraints, dumprules, durations, endpoints, logwords, sourcemap
from cri_resmgr.config.forms import Form, any_case, one_of
from cri_resmgr.config.messages import by
from cri_resmgr.errors import BadInput
from cri_resmgr.policies import registry

NULL = "null"  # the seed's name for a policy that does nothing
FAIL_POLICIES = ("pass", "reject")

_DURATION = r"^[+-]?(0|(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$"
_CPUS = r"^\s*([0-9]+(\.[0-9]+)?m?|(cpuset:)?[0-9,\s-]+|(cgroup:|/).+)\s*$"
_SWITCH_WORDS = ("true", "false", "t", "f", "yes", "no", "y", "n", "on", "off", "[01]")


def _policy(name: str) -> None:
    if name != NULL:
        registry.find(name)


def _fail_policy(word: str) -> None:
    if word not in FAIL_POLICIES:
        raise BadInput(f"'{word}' is no fail policy; write pass or reject, or leave the key out")


def _absolute(path: str) -> None:
    if path and not path.startswith("/"):
        raise BadInput(f"'{path}' is not absolute; write the whole path")


def _no_tracing(value: object) -> None:
    if value not in (0, "0", "", "disabled", None):
        raise BadInput(f"{value!r}: tracing is not in this version; write disabled or leave the key out")


def _no_collector(value: object) -> None:
    if value not in ("", None):
        raise BadInput(f"{value!r}: tracing is not in this version; leave the key out")


def _period(value: object) -> None:
    if isinstance(value, str):
        durations.seconds(value)
    elif isinstance(value, bool) or not isinstance(value, int):
        raise BadInput(f"{value!r} is no duration; {durations.REMEDY}")


def _no_switch(value: object) -> None:
    if isinstance(value, bool):
        raise BadInput(f"{value!r} will not do; write a whole number")


def _map_text(value: object) -> object:
    """The seed's form of a source map is a mapping; everything behind this knows the text only."""
    if isinstance(value, dict) and all(isinstance(state, bool) for state in value.values()):
        return sourcemap.written(value)
    return value


PolicyName = Annotated[
    str,
    BeforeValidator(lambda name: NULL if name is None else name),
    AfterValidator(by(_policy)),
    Form(
        f"a policy's name: {', '.join(sorted(registry.POLICIES))}",
        {"enum": [*sorted(registry.POLICIES), NULL, None]},
    ),
]
FailPolicy = Annotated[str, AfterValidator(by(_fail_policy)), one_of(*FAIL_POLICIES)]
Constraint = Annotated[
    dict[str, Any],
    AfterValidator(by(constraints.parse)),
    Form(
        "`CPU:` and below it an amount such as `750m` or `2`, a set such as `cpuset:0-3,8`, or `cgroup:DIRECTORY`",
        {
            "type": "object",
            "patternProperties": {
                any_case("CPU"): {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": _CPUS}]}
            },
            "additionalProperties": False,
            "maxProperties": 1,
            "examples": [{"CPU": "750m"}, {"CPU": "cpuset:0-3,8"}],
        },
        unit="CPUs, with m thousandths of one",
    ),
]
Interval = Annotated[
    Any,
    AfterValidator(by(durations.interval_s)),
    Form(
        "a duration of 1s or more, or 0 for never",
        {
            "anyOf": [{"type": "integer", "const": 0}, {"type": "string", "pattern": _DURATION}],
            "examples": ["10s", "1m30s"],
        },
        unit="ms, s, m or h, written with it",
    ),
]
Period = Annotated[
    Any,
    AfterValidator(by(_period)),
    Form(
        "a duration, or a whole number of nanoseconds",
        {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": _DURATION}]},
        unit="nanoseconds, unless another unit is written with it",
    ),
]
SourceMap = Annotated[
    str,
    BeforeValidator(_map_text),
    AfterValidator(by(sourcemap.parse)),
    Form(
        "`[STATE:]SOURCE` separated by commas, STATE being on or off; or a mapping from sources to true or false",
        {"anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": {"type": "boolean"}}]},
    ),
]
DumpRules = Annotated[
    str,
    AfterValidator(by(dumprules.parse)),
    Form(
        "`[LEVEL:]METHOD` separated by commas, LEVEL being off, short or full",
        {"type": "string", "examples": ["full:.*", "off:.*,full:CreateContainer"]},
    ),
]
Address = Annotated[
    str,
    AfterValidator(by(endpoints.parse)),
    Form(
        "`unix:///PATH`, `127.0.0.1:PORT`, or `:PORT`; empty for nowhere",
        {"type": "string", "examples": ["unix:///run/cri-resmgr/metrics.sock", "127.0.0.1:8891"]},
    ),
]
Absolute = Annotated[
    str,
    AfterValidator(by(_absolute)),
    Form("an absolute path; empty for none", {"type": "string", "pattern": "^$|^/"}),
]
Level = Annotated[str, AfterValidator(by(logwords.level)), one_of(*logwords.LEVELS, in_any_case=True)]
Backend = Annotated[str, AfterValidator(by(logwords.backend)), one_of(*logwords.BACKENDS)]
Severity = Annotated[
    str,
    BeforeValidator(lambda value: str(value) if type(value) is int else value),
    AfterValidator(by(logwords.severity)),
    Form(
        "0 to 3, or INFO, WARNING, ERROR or FATAL",
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": 3},
                {"type": "string", "pattern": any_case("[0-3]", *logwords.SEVERITIES)},
            ]
        },
    ),
]
TracingOff = Annotated[
    Any, AfterValidator(by(_no_tracing)), Form("`disabled` or 0", {"enum": ["disabled", 0, "0", "", False, None]})
]
NoCollector = Annotated[Any, AfterValidator(by(_no_collector)), Form("empty", {"enum": ["", None]})]

# The predecessor took the values of klog's flags as texts, so texts and YAML's own types are the same here.
KlogSwitch = Annotated[
    bool,
    Form(
        "true or false",
        {
            "anyOf": [
                {"type": "boolean"},
                {"enum": [0, 1]},
                {"type": "string", "pattern": any_case(*_SWITCH_WORDS)},
            ]
        },
    ),
]
KlogNumber = Annotated[
    int,
    BeforeValidator(by(_no_switch)),
    Form(
        "a whole number",
        {"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^\s*[+-]?[0-9_]+(\.0*)?\s*$"}]},
    ),
]
