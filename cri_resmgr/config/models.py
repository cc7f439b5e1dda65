"""The sections that users write: one truth for parsing, messages, defaults and documentation.

Imported by the checking process, the agent and the extension, never by the daemon.  The text below each field is its
documentation: what it means, and what follows from it.  None means *not said*, so that a command line flag decides.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_pascal

from cri_resmgr.config import dumprules
from cri_resmgr.config.notations import (
    Absolute,
    Address,
    Backend,
    Constraint,
    DumpRules,
    FailPolicy,
    Interval,
    KlogNumber,
    KlogSwitch,
    Level,
    NoCollector,
    Period,
    PolicyName,
    Severity,
    SourceMap,
    TracingOff,
)
from cri_resmgr.policies import contract
from cri_resmgr.policies.topology_aware.options import Section as TopologyAware


class Section(BaseModel):
    """What all sections share: unknown keys are wrong, and nothing is converted silently."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=to_pascal, use_attribute_docstrings=True
    )


class NoOptions(Section):
    """A section that may be there and stay empty."""


class Policy(Section):
    """Which policy decides, and about which CPUs."""

    active: PolicyName = "none"
    """The policy's name; `cri-resmgr --list-policies` prints those there are. `null` is an old word for `none`. On a
    running node another policy decides at once: it moves what runs, restarts nothing, and if that does not work the
    old one goes on; the daemon's flag `-disable-policy-switch` forbids it. `cri-resmgr plan` says who would move."""

    available_resources: Constraint = Field(default_factory=dict)
    """What containers may use; everything that is online unless said. A bare number is an amount and never the id of a
    CPU: one CPU of its own is `cpuset:3`. Policy `none` takes no notice of it."""

    reserved_resources: Constraint = Field(default_factory=dict)
    """What is kept for the system and for containers of `kube-system`. Policy `none` takes no notice of it."""

    pinnable_runtime_handlers: list[str] = Field(default=sorted(contract.PINNABLE_HANDLERS))
    """Runtime handlers whose containers can have CPUs of their own, `''` being the runtime's default. The threads of
    others (gVisor, Kata) are not bound by a set of CPUs as those of runc are: they share."""

    none: NoOptions = Field(default=NoOptions(), alias="none", exclude=True)
    """Policy `none` has no options."""

    topology_aware: TopologyAware = Field(default=TopologyAware(), alias="topology-aware")
    """How policy `topology-aware` places containers."""

    memtier: TopologyAware = Field(default=TopologyAware(), alias="memtier")
    """How policy `memtier` places containers; it is the old name of `topology-aware`."""

    def options(self) -> dict[str, Any]:
        """What is said about the active policy, plain values."""
        names = {field.alias: name for name, field in Policy.model_fields.items()}
        section: BaseModel = getattr(self, names.get(self.active, "none"))
        return section.model_dump(mode="json")


class ResourceManager(Section):
    """How decisions are brought to containers, and kept there."""

    on_policy_error: FailPolicy | None = Field(default=None, alias="onPolicyError")
    """What becomes of a container when the policy gives no decision. `pass`: it is made as the kubelet asked, on CPUs
    that nobody has to himself. `reject`: it is not made, and the kubelet tries again. Without this key it is rejected
    where the policy refuses for lack of resources, and passes where the policy breaks or takes too long."""

    drift_scan_interval: Interval = Field(default="10s", alias="driftScanInterval")
    """Time between two looks at the CPUs and memory nodes that the kernel holds containers to; what somebody else has
    changed is put right through the runtime. With `0` nobody looks."""


class Klog(Section):
    """The predecessor's log flags, each as on the command line."""

    model_config = ConfigDict(alias_generator=None, strict=False)

    v: KlogNumber | None = None
    """4 and more debugs every source."""
    vmodule: str | None = None
    """No effect; use `logger.Debug`."""
    logtostderr: KlogSwitch | None = None
    """false logs to a file only."""
    alsologtostderr: KlogSwitch | None = None
    """Log to standard error as well as to a file."""
    stderrthreshold: Severity | None = None
    """Least severity that goes to standard error even when a file is logged to."""
    log_dir: Absolute | None = None
    """Directory of `cri-resmgr.log`."""
    log_file: Absolute | None = None
    """File to log to."""
    log_file_max_size: KlogNumber | None = None
    """No effect; logrotate limits files."""
    skip_headers: KlogSwitch | None = None
    """Lines without time and level."""
    skip_log_headers: KlogSwitch | None = None
    """No effect."""
    add_dir_header: KlogSwitch | None = None
    """No effect."""
    one_output: KlogSwitch | None = None
    """No effect."""
    log_backtrace_at: str | None = None
    """No effect."""


class Logger(Section):
    """How and what is logged."""

    level: Level | None = None
    """Least level of the lines that are logged."""

    debug: SourceMap | None = None
    """Sources that log at debug level, such as `policy,relay`, `off:wire,on:*`, or `'*'` for all."""

    enable: SourceMap | None = None
    """Sources that log at all, such as `off:relay`; all of them unless said otherwise."""

    log_source: bool | None = None
    """false leaves the source out of each line."""

    logger: Backend | None = None
    """Form of the lines: `fmt` for people, `json` for machines."""

    klog: Klog = Klog()
    """The predecessor's log flags, each as on the command line."""


class Dump(Section):
    """Which CRI messages are written down, for those who look for a fault."""

    config: DumpRules = dumprules.DEFAULT
    """How much of which calls: METHOD is a name or an expression, and the last one that matches decides. `full:.*`
    dumps everything; that is meant for minutes, it costs every call some time."""

    debug: bool = False
    """Log dumps at debug level instead of info."""

    disabled: bool = False
    """No dumps at all."""

    file: Absolute = ""
    """A file that gets a copy, made anew at each change of this section."""


class Instrumentation(Section):
    """Metrics and health."""

    http_endpoint: Address = Field(default="", alias="HTTPEndpoint")
    """Where they are served. A bare `:PORT` is on this machine only, since nobody authenticates there."""

    prometheus_export: bool = False
    """Serve `/metrics`."""

    sampling: TracingOff = "disabled"
    """Tracing is not in this version."""

    jaeger_collector: NoCollector = ""
    """Tracing is not in this version."""

    jaeger_agent: NoCollector = ""
    """Tracing is not in this version."""

    report_period: Period = "15s"
    """No effect: metrics are always fresh."""


class Configuration(Section):
    """A whole configuration; every section may be left out."""

    model_config = ConfigDict(alias_generator=None)

    policy: Policy = Policy()
    """Which policy decides, and about which CPUs."""
    resource_manager: ResourceManager = Field(default=ResourceManager(), alias="resource-manager")
    """How decisions are brought to containers, and kept there. A change counts from the next decision on."""
    logger: Logger = Logger()
    """How and what is logged, from the moment on that the configuration is taken. What is not said here is as the
    command line has it."""
    dump: Dump = Dump()
    """Which CRI messages are written down, for those who look for a fault; from the next message on."""
    instrumentation: Instrumentation = Instrumentation()
    """Where metrics and health are served. What has changed is served from there at once."""
