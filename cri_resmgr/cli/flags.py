"""The flags of `cri-resmgr`, the daemon: all that the predecessor had, those of the seed's logger, and a few of ours.

A flag whose function comes with a later version is taken only with an off value, so that nobody believes in
something that is not there.
"""

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cri_resmgr.cli import goflags
from cri_resmgr.cli.goflags import duration, number, switch, text
from cri_resmgr.config import durations, endpoints, logwords, sourcemap
from cri_resmgr.config.settings import LoggerSettings
from cri_resmgr.errors import BadInput

PROGRAM = "cri-resmgr"
_SIGNALS_IN_USE = ("SIGKILL", "SIGSTOP", "SIGTERM", "SIGINT", "SIGCHLD", "SIGUSR1")
_NO_SOCKET = ("", "disabled")
_RELAY_SOCKET = "/var/run/cri-resmgr/cri-resmgr.sock"
_CONFIG_SOCKET = "/var/run/cri-resmgr/cri-resmgr-config.sock"
_ROOT_PID_FILE = f"/var/run/{PROGRAM}.pid"
_USER_PID_FILE = f"/tmp/{PROGRAM}.pid"  # noqa: S108 - the predecessor's name; opened exclusively


@dataclass(frozen=True, slots=True)
class Flags:
    """The daemon's command line. Sockets are paths; durations are in seconds; "" means *none* where nothing is said."""

    runtime_socket: str = text(
        "socket of the container runtime; unix:// may stand before it", default="/var/run/containerd/containerd.sock"
    )
    image_socket: str = text(
        "socket of the image service; 'default' is the runtime's, '-' serves no images", default="default"
    )
    relay_socket: str = text("socket that the kubelet talks to", default=_RELAY_SOCKET)
    relay_dir: str = text("directory of our state", default="/var/lib/cri-resmgr")
    allow_untested_runtimes: bool = switch("accept a runtime that is neither containerd nor CRI-O")
    call_budget_s: float = duration(
        "how long an intercepted call may wait for the policy before it passes as the kubelet sent it",
        default_s=2.0,
        name="call-budget",
    )

    fallback_config: str = text("configuration file for when there is no other; excludes -force-config")
    force_config: str = text("configuration file that overrides everything else")
    force_config_signal: str = text(
        "signal that reads the -force-config file again; '' or disable* for none", default="SIGHUP"
    )
    agent_socket: str = text(
        "socket of the node agent", default="disabled", later="the agent uses -config-socket", off=_NO_SOCKET
    )
    config_socket: str = text(
        "socket on which the node agent gives us configuration, beside -relay-socket if that is elsewhere; "
        "'' or 'disabled' for none, as with -force-config",
        default=_CONFIG_SOCKET,
    )
    reset_config: bool = switch("forget the configuration that the agent gave, and exit; no daemon may run")
    reset_policy: bool = switch("forget the active policy and what it has given, and exit; no daemon may run")
    disable_policy_switch: bool = switch("refuse any other policy than the last one, at start and later")
    rebalance_interval_s: float = duration("time between two rebalancings; 0 for none", name="rebalance-interval")

    metrics_address: str = text(
        "where metrics and health are served, unix:///PATH or 127.0.0.1:PORT; '' for nowhere", variable="HTTP_ENDPOINT"
    )
    metrics_interval_s: float = duration("accepted without effect: metrics are always fresh", name="metrics-interval")
    page_address: str = text(
        "where a page that shows the node to people is served, unix:///PATH or 127.0.0.1:PORT; '' for nowhere"
    )
    disable_ui: bool = switch("no page, whatever -page-address says")
    external_visualizers: str = text(
        "directories of further user interfaces", later="there is one page, and it is built in", off=("",)
    )
    bpf_install_path: str = text(
        "directory of the AVX-512 program", later="it comes with AVX-512 accounting", off=("", "/usr/libexec/bpf")
    )

    host_root: str = text("directory under which the host's /sys is found; '' for /")
    pid_file: str = text(f"file with our process id; without root {_USER_PID_FILE}", default=_ROOT_PID_FILE)
    cgroup_mount: str = text("where cgroups are mounted", default="/sys/fs/cgroup")
    cgroup_v2_dir: str = text(
        "where cgroup v2 is mounted beside v1", default="/sys/fs/cgroup/unified", aliases=("cgroupv2-path",)
    )
    cgroup_path: str = text("root of the cgroups that statistics are about", default="/sys/fs/cgroup")
    kubelet_cgroup_root: str = text("accepted without effect: pods say which cgroup they are in")

    print_config: bool = switch("print the built-in default configuration, and exit")
    list_policies: bool = switch("print the available policies, and exit")
    version: bool = switch("print the version, and exit")

    logger: str = text(f"form of log lines: {' or '.join(logwords.BACKENDS)}", default="fmt")
    logger_level: str = text(f"least level that is logged: {', '.join(logwords.LEVELS)}", default="info")
    logger_sources: str = text("which sources log, such as 'off:relay' or 'off:*,on:policy'; '' for all")
    logger_debug: str = text("which sources log at debug level, '*' for all", variable="LOGGER_DEBUG")
    v: int = number("4 and more is -logger-debug '*'", variable="LOGGER_V")
    vmodule: str = text("accepted without effect: use -logger-debug", variable="LOGGER_VMODULE")
    logtostderr: bool = switch("log to standard error, not to files", default=True, variable="LOGGER_LOGTOSTDERR")
    alsologtostderr: bool = switch("log to standard error as well as to a file", variable="LOGGER_ALSOLOGTOSTDERR")
    stderrthreshold: str = text(
        "least level that goes to standard error even when a file is logged to: 0 to 3 or INFO, WARNING, ERROR, FATAL",
        default="ERROR",
        variable="LOGGER_STDERRTHRESHOLD",
    )
    log_dir: str = text(
        f"directory of {PROGRAM}.log, with -logtostderr=false", name="log_dir", variable="LOGGER_LOG_DIR"
    )
    log_file: str = text("file to log to, with -logtostderr=false", name="log_file", variable="LOGGER_LOG_FILE")
    log_file_max_size: int = number(
        "accepted without effect: logrotate limits files, and a signal to re-read reopens them",
        default=1800,
        name="log_file_max_size",
        variable="LOGGER_LOG_FILE_MAX_SIZE",
    )
    skip_headers: bool = switch(
        "lines without time and level; always on under systemd's journal",
        name="skip_headers",
        variable="LOGGER_SKIP_HEADERS",
    )
    skip_log_headers: bool = switch("accepted without effect: files have no headers", name="skip_log_headers")
    add_dir_header: bool = switch("accepted without effect: lines name their source", name="add_dir_header")
    one_output: bool = switch("accepted without effect: there is one file for all levels", name="one_output")
    log_backtrace_at: str = text("accepted without effect: errors carry their own trace", name="log_backtrace_at")

    @property
    def reload_signal(self) -> signal.Signals | None:
        """The signal that reads a forced configuration again; None without one."""
        name = self.force_config_signal
        if not self.force_config or not name or name.lower().startswith("disable"):
            return None
        return signal.Signals[name]

    @property
    def logging(self) -> LoggerSettings:
        """What the flags say about logging: every field is set, a configuration goes over it."""
        return LoggerSettings(
            backend=self.logger,
            level=self.logger_level,
            debug=self.logger_debug,
            sources=self.logger_sources,
            log_source=True,
            skip_headers=self.skip_headers,
            verbosity=self.v,
            to_stderr=self.logtostderr,
            also_to_stderr=self.alsologtostderr,
            stderr_threshold=self.stderrthreshold,
            file=self.log_file or (f"{self.log_dir}/{PROGRAM}.log" if self.log_dir else ""),
        )


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[Flags, tuple[str, ...]]:
    """The flags as they were written, and the words after them. Raises FlagError and HelpWanted."""
    return goflags.parse(Flags, arguments, environment, program=PROGRAM)


def checked(flags: Flags) -> Flags:
    """The same in a form to run with: sockets are paths, words are in their one spelling.

    Raises BadInput that names everything that is wrong.
    """
    problems = [*_too_early(flags), *_contradictions(flags)]
    normal: dict[str, Any] = {}
    for at, normalise in _NORMALISERS.items():
        try:
            normal[at] = normalise(getattr(flags, at))
        except BadInput as error:
            problems.append(f"flag -{_FLAGS[at].name}: {error}")
    if problems:
        raise BadInput("\n".join(problems))
    if flags.image_socket == "default":
        normal["image_socket"] = normal["runtime_socket"]
    if flags.config_socket == _CONFIG_SOCKET:
        normal["config_socket"] = str(Path(normal["relay_socket"]).with_name(Path(_CONFIG_SOCKET).name))
    return replace(flags, **normal)


def _too_early(flags: Flags) -> Iterator[str]:
    for at, flag in _FLAGS.items():
        given = getattr(flags, at)
        if flag.later and given not in flag.off:
            shown = str(given).lower() if isinstance(given, bool) else given
            yield f"flag -{flag.name}={shown}: not in this version, {flag.later}; leave the flag out"


def _contradictions(flags: Flags) -> Iterator[str]:
    if flags.force_config and flags.fallback_config:
        yield "flags -force-config and -fallback-config exclude each other; leave one of them out"
    if not flags.call_budget_s > 0:
        yield "flag -call-budget: a call needs time; write a duration above 0, such as 2s"
    if flags.rebalance_interval_s and flags.rebalance_interval_s < durations.LEAST_INTERVAL_S:
        yield "flag -rebalance-interval: too short; write a duration of 1s or more, or 0 for never"
    if flags.page_address and flags.page_address == flags.metrics_address:
        yield "flags -page-address and -metrics-address are the same; each needs an address of its own"
    if not flags.logtostderr and not flags.log_file and not flags.log_dir:
        yield "flag -logtostderr=false: then -log_file or -log_dir must say where to"


def _runtime_socket(text: str) -> str:
    if text == "-":
        raise BadInput("there is nothing to relay to without a runtime; write the path of its socket")
    return endpoints.socket_path(text)


def _image_socket(text: str) -> str:
    return {"default": "", "-": ""}[text] if text in {"default", "-"} else endpoints.socket_path(text)


def _config_socket(text: str) -> str:
    return "" if text in _NO_SOCKET else endpoints.socket_path(text)


def _absolute(text: str) -> str:
    if not text.startswith("/"):
        raise BadInput(f"'{text}' is not absolute; write the whole path")
    return text


def _absolute_or_none(text: str) -> str:
    return _absolute(text) if text else text


def _pid_file(text: str) -> str:
    return _USER_PID_FILE if text in {"", _ROOT_PID_FILE} and os.geteuid() else _absolute(text or _ROOT_PID_FILE)


def _signal_name(text: str) -> str:
    if text and not text.lower().startswith("disable"):
        if text not in signal.Signals.__members__:
            raise BadInput(f"'{text}' is no signal; write a name such as SIGHUP, or disabled")
        if text in _SIGNALS_IN_USE:
            raise BadInput(f"{text} means something else already; write another one, such as SIGHUP")
    return text


def _address(text: str) -> str:
    endpoints.parse(text)
    return text


def _source_map(text: str) -> str:
    sourcemap.parse(text)
    return text


_NORMALISERS: Mapping[str, Callable[[str], str]] = {
    "runtime_socket": _runtime_socket,
    "image_socket": _image_socket,
    "relay_socket": endpoints.socket_path,
    "config_socket": _config_socket,
    "relay_dir": _absolute,
    "force_config_signal": _signal_name,
    "metrics_address": _address,
    "page_address": _address,
    "host_root": _absolute_or_none,
    "pid_file": _pid_file,
    "logger": logwords.backend,
    "logger_level": logwords.level,
    "logger_sources": _source_map,
    "logger_debug": _source_map,
    "stderrthreshold": logwords.severity,
}
_FLAGS = goflags.flags_of(Flags)
