"""Text to `Settings`, with everything that is wrong said at once: where, which value, and what to do.

Runs in the checking process, the agent and the extension: `config.child` is what the daemon has.
"""

import sys
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from cri_resmgr.config import constraints, durations, logwords, models, texts
from cri_resmgr.config.problems import Invalid, Problem
from cri_resmgr.config.settings import (
    DumpSettings,
    InstrumentationSettings,
    LoggerSettings,
    PolicySettings,
    Settings,
)
from cri_resmgr.errors import BadInput

STDIN = "-"
_SHOWN_CHARS = 60
_SHOWN_PROBLEMS = 50
_LATER = {
    "rdt": "the RDT controller",
    "blockio": "the block I/O controller",
    "cpu": "CPU classes",
    "resource-manager.control": "the controllers",
    **{
        f"policy.{name}": f"policy {name}"
        for name in ("static", "static-pools", "podpools", "balloons", "dynamic-pools")
    },
}
_EXPECTED = {
    "bool_type": "write true or false",
    "bool_parsing": "write true or false",
    "string_type": "write a text; quote it if YAML takes it for something else",
    "int_type": "write a whole number",
    "int_parsing": "write a whole number",
    "dict_type": "write keys and values below it",
    "model_type": "write keys and values below it",
    "model_attributes_type": "write keys and values below it",
}


def read(path: str) -> str:
    """The text of a configuration file, or of standard input for `-`. Raises BadInput."""
    try:
        if path == STDIN:
            raw = sys.stdin.buffer.read(texts.LIMIT_BYTES + 1)
        else:
            with Path(path).open("rb") as file:
                raw = file.read(texts.LIMIT_BYTES + 1)
        if len(raw) > texts.LIMIT_BYTES:
            raise BadInput(f"{path}: larger than {texts.LIMIT_BYTES} bytes; is it a configuration file?")
        return raw.decode()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}; name a readable file") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from error


def settings(text: str, source: str) -> Settings:
    """The settings that the text says. Raises Invalid with all problems; `source` is its name in messages."""
    tree = texts.load(text)
    if tree.problems:
        raise Invalid(tree.problems, source)
    # A section with nothing below it is null in YAML.
    sections = {key: {} if value is None else value for key, value in tree.values.items()}
    try:
        configuration = models.Configuration.model_validate(sections)
    except ValidationError as error:
        in_order = sorted(_problems(error, tree), key=lambda problem: problem.line)
        raise Invalid(in_order, source) from error
    digest = sha256(text.encode()).hexdigest()
    return _settings(configuration, source=source, digest=digest)


def _problems(error: ValidationError, tree: texts.Tree) -> Iterator[Problem]:
    details = error.errors(include_url=False)
    if len(details) > _SHOWN_PROBLEMS:
        yield Problem("", f"has {len(details) - _SHOWN_PROBLEMS} more problems than those shown; start with these")
    for detail in details[:_SHOWN_PROBLEMS]:
        path = tuple(str(part) for part in detail["loc"])
        if detail["type"] == "extra_forbidden":
            message = _unknown_key(path)
        elif detail["type"] == "refused":
            message = detail["msg"]
        else:
            message = f"{_shown(detail['input'])} will not do; {_EXPECTED.get(detail['type'], detail['msg'])}"
        yield Problem(".".join(path), message, tree.line_of(path))


def _unknown_key(path: texts.Path) -> str:
    where, key = path[:-1], path[-1]
    later = _LATER.get(".".join(path))
    if later is not None:
        return f"not in this version, it comes with {later}; remove it"
    known = _keys(where)
    by_lower = {name.lower(): name for name in known}
    near = get_close_matches(key.lower(), by_lower, n=1)
    if near:
        return f"unknown key; did you mean {by_lower[near[0]]}?"
    return f"unknown key; known here: {', '.join(known)}" if known else "unknown key; nothing can be said here"


def _keys(path: texts.Path) -> list[str]:
    model: type[BaseModel] = models.Configuration
    for part in path:
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        annotation = fields[part].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return [field.alias or name for name, field in model.model_fields.items() if not field.exclude]


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…"


def _settings(configuration: models.Configuration, *, source: str, digest: str) -> Settings:
    policy, dump, instrumentation = configuration.policy, configuration.dump, configuration.instrumentation
    manager = configuration.resource_manager
    return Settings(
        policy=PolicySettings(
            active="none" if policy.active == models.NULL else policy.active,
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
    if configuration.policy.active == models.NULL:
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
