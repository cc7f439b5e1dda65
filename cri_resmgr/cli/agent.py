"""`cri-resmgr-agent`: the node agent's command line.

Exit codes: 0 stopped by a signal, 1 it could not go on, 2 the user's input was wrong.
"""

import asyncio
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cri_resmgr import __version__
from cri_resmgr.cli import goflags, programs
from cri_resmgr.cli.agent_probe import AGENT_SOCKET
from cri_resmgr.cli.flags import Flags as DaemonFlags
from cri_resmgr.cli.goflags import number, same, switch, text
from cri_resmgr.config import endpoints
from cri_resmgr.errors import BadInput

PROGRAM = "cri-resmgr-agent"
NODE_NAME = "NODE_NAME"
METRICS_PORT = 8891
INSTALLER_METRICS = "/var/lib/cri-resmgr/installer/metrics.prom"
_NOWHERE = ("", "disabled")
_PORTS = range(1 << 16)
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_LABEL = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line says; the flags of the log are the daemon's, without those for files."""

    agent_socket: str = text(
        "socket on which cri-resmgr-agent-probe asks; '' or 'disabled' for none", default=AGENT_SOCKET
    )
    cri_resmgr_socket: str = text("the daemon's -config-socket", default=DaemonFlags().config_socket)
    kubeconfig: str = text("file with the credentials for the cluster; '' for those of the pod")
    config_ns: str = text(
        "namespace of the ConfigMaps and Adjustments", default="kube-system", aliases=("config-namespace",)
    )
    configmap_name: str = text("what the names of the ConfigMaps begin with", default="cri-resmgr-config")
    label_name: str = text("label of the Node that says its group", default="cri-resource-manager.intel.com/group")
    metrics_port: int = number(
        "port on which metrics of agent, daemon and installer are served, at all addresses; 0 for none",
        default=METRICS_PORT,
    )
    installer_metrics: str = text("file in which the installer leaves its metrics", default=INSTALLER_METRICS)
    version: bool = switch("print the version, and exit")

    logger: str = same(DaemonFlags, "logger")
    logger_level: str = same(DaemonFlags, "logger_level")
    logger_sources: str = same(DaemonFlags, "logger_sources")
    logger_debug: str = same(DaemonFlags, "logger_debug")
    v: int = same(DaemonFlags, "v")
    skip_headers: bool = same(DaemonFlags, "skip_headers")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line, `sys.argv` unless given; the exit code."""
    return programs.main(_run, argv, program=PROGRAM)


def _run(arguments: Sequence[str]) -> int:
    flags, words = goflags.parse(Flags, arguments, os.environ, program=PROGRAM)
    if words:
        raise goflags.FlagError(f"unknown command line argument: {words[0]}")
    if flags.version:
        sys.stdout.write(f"{PROGRAM} {__version__}\n")
        return 0
    programs.check(flags, {**_CHECKS, **programs.LOG_CHECKS})
    node = _node()
    from cri_resmgr.agent import running  # noqa: PLC0415 - half a second that help and mistakes need not wait for
    from cri_resmgr.agent.choosing import Names  # noqa: PLC0415 - the same
    from cri_resmgr.observe import logging  # noqa: PLC0415 - the same

    logging.configure(programs.logger(flags))
    options = running.Options(
        names=Names(node, flags.config_ns, flags.configmap_name, flags.label_name),
        daemon_socket=Path(endpoints.socket_path(flags.cri_resmgr_socket)),
        agent_socket="" if flags.agent_socket in _NOWHERE else endpoints.socket_path(flags.agent_socket),
        port=flags.metrics_port,
        kubeconfig=Path(flags.kubeconfig) if flags.kubeconfig else None,
        installer_metrics=Path(flags.installer_metrics),
    )
    asyncio.run(running.run(options))
    return 0


def _node() -> str:
    """The name of the Node. Raises BadInput."""
    name = os.environ.get(NODE_NAME, "")
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"environment variable {NODE_NAME} is '{name}'; set it to the name of the Node (kubectl get nodes), in a "
            f"pod from the field spec.nodeName"
        )
    return name


def _socket(path: str) -> None:
    if path not in _NOWHERE:
        endpoints.socket_path(path)


def _port(port: int) -> None:
    if port not in _PORTS:
        raise BadInput(f"{port}: a port is from 1 to 65535, or 0 for none")


def _name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise BadInput(f"'{name}' is no name; write lower case letters, digits, '-' and '.'")


def _label(name: str) -> None:
    if not _LABEL.fullmatch(name):
        raise BadInput(f"'{name}' is no label; write PREFIX/NAME")


_CHECKS: programs.Checks = {
    "agent_socket": _socket,
    "cri_resmgr_socket": endpoints.socket_path,
    "config_ns": _name,
    "configmap_name": _name,
    "label_name": _label,
    "metrics_port": _port,
}
