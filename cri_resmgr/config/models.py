"""The sections that users write: one truth for parsing, messages, defaults and documentation.

Imported by the checking process, the agent and the extension, never by the daemon.  The text below each field is its
documentation.  None means *not said*, so that a command line flag decides.
"""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_pascal
from pydantic_core import PydanticCustomError

from cri_resmgr.config import constraints, dumprules, durations, endpoints, logwords, sourcemap
from cri_resmgr.errors import BadInput
from cri_resmgr.policies import contract, registry
from cri_resmgr.policies.topology_aware.options import Section as TopologyAware

NULL = "null"  # the seed's name for a policy that does nothing
FAIL_POLICIES = ("pass", "reject")


def _by(parse: Callable[[Any], object]) -> Callable[[Any], Any]:
    """A validator that keeps the value when `parse` takes it, and tells its objection otherwise."""

    def validate(value: Any) -> Any:
        try:
            parse(value)
        except BadInput as error:
            raise PydanticCustomError("refused", "{reason}", {"reason": str(error)}) from error
        return value

    return validate


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


def _map_text(value: object) -> object:
    """The seed's form of a source map is a mapping; everything behind this knows the text only."""
    if isinstance(value, dict) and all(isinstance(state, bool) for state in value.values()):
        return sourcemap.written(value)
    return value


SourceMapText = Annotated[str, BeforeValidator(_map_text), AfterValidator(_by(sourcemap.parse))]


class Section(BaseModel):
    """What all sections share: unknown keys are wrong, and nothing is converted silently."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=to_pascal, use_attribute_docstrings=True
    )


_MAY_BE_EMPTY = BeforeValidator(lambda value: {} if value is None else value)  # a section of comments is null in YAML


class NoOptions(Section):
    """A section that may be there and stay empty."""


class Policy(Section):
    """Which policy decides, and about which CPUs."""

    active: Annotated[
        str, BeforeValidator(lambda name: NULL if name is None else name), AfterValidator(_by(_policy))
    ] = "none"
    """The policy's name; `cri-resmgr --list-policies` prints those there are. `null` is an old word for `none`."""

    available_resources: Annotated[dict[str, Any], AfterValidator(_by(constraints.parse))] = Field(default_factory=dict)
    """What containers may use. Below `CPU`: a set such as `cpuset:0-15` or `0-3,8`, an amount such as `8` or `7500m`,
    or the set of a cgroup, `cgroup:DIRECTORY`. Policy `none` takes no notice of it."""

    reserved_resources: Annotated[dict[str, Any], AfterValidator(_by(constraints.parse))] = Field(default_factory=dict)
    """What is kept for the system and for `kube-system`, in the same forms."""

    pinnable_runtime_handlers: list[str] = Field(default=sorted(contract.PINNABLE_HANDLERS))
    """Runtime handlers whose containers can have CPUs of their own, `''` being the runtime's default. The threads of
    others (gVisor, Kata) are not bound by a set of CPUs as those of runc are: they share."""

    none: NoOptions = Field(default=NoOptions(), alias="none", exclude=True)
    """Policy `none` has no options."""

    topology_aware: Annotated[TopologyAware, _MAY_BE_EMPTY] = Field(default=TopologyAware(), alias="topology-aware")
    """How policy `topology-aware` places containers."""

    memtier: Annotated[TopologyAware, _MAY_BE_EMPTY] = Field(default=TopologyAware(), alias="memtier")
    """The same for `memtier`, its old name."""

    def options(self) -> dict[str, Any]:
        """What is said about the active policy, plain values."""
        names = {field.alias: name for name, field in Policy.model_fields.items()}
        section: BaseModel = getattr(self, names.get(self.active, "none"))
        return section.model_dump(mode="json")


class ResourceManager(Section):
    """How decisions are brought to containers, and kept there."""

    on_policy_error: Annotated[str | None, AfterValidator(_by(lambda word: word is None or _fail_policy(word)))] = (
        Field(default=None, alias="onPolicyError")
    )
    """What becomes of a container when the policy gives no decision. `pass`: it is made as the kubelet asked, on CPUs
    that nobody has to himself. `reject`: it is not made, and the kubelet tries again. Without this key it is rejected
    where the policy refuses for lack of resources, and passes where the policy breaks or takes too long."""

    drift_scan_interval: Annotated[Any, AfterValidator(_by(durations.interval_s))] = Field(
        default="10s", alias="driftScanInterval"
    )
    """Time between two looks at the CPUs and memory nodes that the kernel holds containers to, as a duration of `1s` or
    more; what somebody else has changed is put right through the runtime. `0` for never."""


class Klog(Section):
    """The predecessor's log flags, each as on the command line."""

    model_config = ConfigDict(alias_generator=None, strict=False)

    v: int | None = None
    """4 and more debugs every source."""
    vmodule: str | None = None
    """No effect; use `logger.Debug`."""
    logtostderr: bool | None = None
    """false logs to a file only."""
    alsologtostderr: bool | None = None
    """Log to standard error as well as to a file."""
    stderrthreshold: Annotated[
        str | None,
        BeforeValidator(lambda value: None if value is None else str(value)),
        AfterValidator(_by(lambda v: v and logwords.severity(v))),
    ] = None
    """Least severity that goes to standard error even when a file is logged to."""
    log_dir: Annotated[str | None, AfterValidator(_by(lambda v: v and _absolute(v)))] = None
    """Directory of `cri-resmgr.log`."""
    log_file: Annotated[str | None, AfterValidator(_by(lambda v: v and _absolute(v)))] = None
    """File to log to."""
    log_file_max_size: int | None = None
    """No effect; logrotate limits files."""
    skip_headers: bool | None = None
    """Lines without time and level."""
    skip_log_headers: bool | None = None
    """No effect."""
    add_dir_header: bool | None = None
    """No effect."""
    one_output: bool | None = None
    """No effect."""
    log_backtrace_at: str | None = None
    """No effect."""


class Logger(Section):
    """How and what is logged. What is not said here is as the command line has it."""

    level: Annotated[str | None, AfterValidator(_by(lambda v: v and logwords.level(v)))] = None
    """Least level: debug, info, warning, error, fatal or panic."""

    debug: SourceMapText | None = None
    """Sources that log at debug level, such as `policy,relay`, `off:wire,on:*`, or `'*'` for all."""

    enable: SourceMapText | None = None
    """Sources that log at all, in the same form; all of them unless said otherwise."""

    log_source: bool | None = None
    """false leaves the source out of each line."""

    logger: Annotated[str | None, AfterValidator(_by(lambda v: v and logwords.backend(v)))] = None
    """Form of the lines: `fmt` for people, `json` for machines."""

    klog: Klog = Klog()
    """The predecessor's log flags."""


class Dump(Section):
    """Which CRI messages are written down, for those who look for a fault."""

    config: Annotated[str, AfterValidator(_by(dumprules.parse))] = dumprules.DEFAULT
    """Comma-separated `[LEVEL:]METHOD`, LEVEL being off, short or full, METHOD a name or an expression; the last match
    decides. `full:.*` dumps everything."""

    debug: bool = False
    """Log dumps at debug level instead of info."""

    disabled: bool = False
    """No dumps at all."""

    file: Annotated[str, AfterValidator(_by(_absolute))] = ""
    """A file that gets a copy, made anew at each change of this section."""


class Instrumentation(Section):
    """Metrics and health."""

    http_endpoint: Annotated[str, AfterValidator(_by(endpoints.parse))] = Field(default="", alias="HTTPEndpoint")
    """Where they are served: `unix:///PATH` or `127.0.0.1:PORT`; a bare `:PORT` is on this machine only."""

    prometheus_export: bool = False
    """Serve `/metrics`."""

    sampling: Annotated[Any, AfterValidator(_by(_no_tracing))] = "disabled"
    """Tracing is not in this version: `disabled` or 0."""

    jaeger_collector: Annotated[Any, AfterValidator(_by(_no_collector))] = ""
    """Tracing is not in this version: empty."""

    jaeger_agent: Annotated[Any, AfterValidator(_by(_no_collector))] = ""
    """Tracing is not in this version: empty."""

    report_period: Annotated[Any, AfterValidator(_by(_period))] = "15s"
    """No effect: metrics are always fresh."""


class Configuration(Section):
    """A whole configuration; every section may be left out."""

    model_config = ConfigDict(alias_generator=None)

    policy: Policy = Policy()
    """Which policy decides, and about which CPUs."""
    resource_manager: ResourceManager = Field(default=ResourceManager(), alias="resource-manager")
    """How decisions are brought to containers, and kept there."""
    logger: Logger = Logger()
    """How and what is logged."""
    dump: Dump = Dump()
    """Which CRI messages are written down."""
    instrumentation: Instrumentation = Instrumentation()
    """Metrics and health."""
