"""A configuration that is right to the plain settings that the daemon takes, with what the user should know of it."""

from collections.abc import Iterator

from cri_resmgr.config import constraints, durations, logwords, models, notations
from cri_resmgr.config.settings import (
    DumpSettings,
    InstrumentationSettings,
    LoggerSettings,
    PolicySettings,
    Settings,
)


def settings(configuration: models.Configuration, *, source: str, digest: str) -> Settings:
    """The settings that a configuration means; `digest` is that of its text, `source` its name in messages."""
    policy, dump, instrumentation = configuration.policy, configuration.dump, configuration.instrumentation
    manager = configuration.resource_manager
    return Settings(
        policy=PolicySettings(
            active="none" if policy.active == notations.NULL else policy.active,
            available=constraints.parse(policy.available_resources),
            reserved=constraints.parse(policy.reserved_resources),
            pinnable_handlers=tuple(policy.pinnable_runtime_handlers),
            options=policy.options(),
        ),
        logger=_logger(configuration.logger),
        dump=DumpSettings(rules=dump.config, debug=dump.debug, disabled=dump.disabled, file=dump.file),
        instrumentation=InstrumentationSettings(
            http_endpoint=instrumentation.http_endpoint, prometheus_export=instrumentation.prometheus_export
        ),
        on_policy_error=manager.on_policy_error or "",
        drift_interval_s=durations.interval_s(manager.drift_scan_interval),
        notes=tuple(_notes(configuration)),
        digest=digest,
        source=source,
    )


def _logger(section: models.Logger) -> LoggerSettings:
    klog = section.klog
    return LoggerSettings(
        backend=section.logger,
        level=section.level and logwords.level(section.level),
        debug=section.debug,
        sources=section.enable,
        log_source=section.log_source,
        skip_headers=klog.skip_headers,
        verbosity=klog.v,
        to_stderr=klog.logtostderr,
        also_to_stderr=klog.alsologtostderr,
        stderr_threshold=klog.stderrthreshold and logwords.severity(klog.stderrthreshold),
        file=klog.log_file or (f"{klog.log_dir}/cri-resmgr.log" if klog.log_dir else klog.log_file),
    )


def _notes(configuration: models.Configuration) -> Iterator[str]:
    if configuration.policy.active == notations.NULL:
        yield "policy.Active: 'null' is an old word; taken as none"
    for name, section in (
        ("topology-aware", configuration.policy.topology_aware),
        ("memtier", configuration.policy.memtier),
    ):
        yield from (f"policy.{name}.{key}: has no effect" for key in section.without_effect())
    if configuration.instrumentation.http_endpoint.startswith(":"):
        endpoint = configuration.instrumentation.http_endpoint
        yield f"instrumentation.HTTPEndpoint: '{endpoint}' is served on this machine only, 127.0.0.1{endpoint}"
    if configuration.instrumentation.report_period != models.Instrumentation().report_period:
        yield "instrumentation.ReportPeriod: has no effect, metrics are always fresh"
