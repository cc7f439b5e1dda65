"""The command line's flags: those that every extension of Gardener has, under their names, and a few of ours.

Values come as `--flag=value` or `--flag value`; a switch is `--switch`, `--switch=true` or `--switch=false`.
"""

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from cri_resmgr import __version__
from cri_resmgr.config import durations, logwords
from cri_resmgr.config.endpoints import Endpoint
from cri_resmgr.errors import BadInput
from extension.rendering.monitoring import PARTS
from extension.rendering.templates import CHARTS

PROGRAM = "gardener-extension-cri-resmgr"
NAMESPACE_VARIABLES = ("EXTENSION_CONFIGMAP_NAMESPACE", "LEADER_ELECTION_NAMESPACE")
_SWITCHES = {"true": True, "false": False}
T = TypeVar("T")


def parser(environment: Mapping[str, str]) -> ArgumentParser:
    """The parser; some defaults are from the environment.  A wrong command line ends the process with exit code 2."""
    configs, lead = (environment.get(name, "") for name in NAMESPACE_VARIABLES)
    made = ArgumentParser(prog=PROGRAM, description="The seed's side of CRI-resmgr.", allow_abbrev=False)
    made.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    _of_api_server(made, configs)
    _of_leading(made, lead or configs)
    _of_work(made)
    _of_watching(made)
    return made


def _of_api_server(made: ArgumentParser, namespace: str) -> None:
    _add(made, "--kubeconfig", Path, None, "file that says how to reach the seed; default: our pod's service account")
    _add(
        made, "--namespace", str, namespace,
        f"where the ConfigMap with the operator's configurations is; default from {NAMESPACE_VARIABLES[0]}",
    )  # fmt: skip
    _add(made, "--gardener-version", str, "", "accepted without effect: nothing depends on Gardener's version")
    _add(
        made, "--image-vector", Path, CHARTS / "images.yaml",
        "file that says which images shoots get; the one that IMAGEVECTOR_OVERWRITE names is laid over it",
    )  # fmt: skip


def _of_leading(made: ArgumentParser, namespace: str) -> None:
    _add(made, "--leader-election", _switch, True, "act only while holding a Lease; without it run one replica only")
    _add(made, "--leader-election-id", str, "cri-resmgr-leader-election", "name of the Lease")
    _add(
        made, "--leader-election-namespace", str, namespace,
        f"namespace of the Lease; default from {NAMESPACE_VARIABLES[1]}, or as --namespace",
    )  # fmt: skip
    _add(made, "--leader-election-lease-duration", _duration, 15.0, "others may lead after so long without a renewal")
    _add(made, "--leader-election-renew-deadline", _duration, 10.0, "a leader that has not renewed for so long stops")
    _add(made, "--leader-election-retry-period", _duration, 2.0, "how often the Lease is renewed, or looked at")
    _add(made, "--heartbeat-namespace", str, "", "namespace of the heartbeat Lease; default: that of the other Lease")
    _add(made, "--heartbeat-renew-interval-seconds", _positive, 30, "how often the heartbeat is written")


def _of_work(made: ArgumentParser) -> None:
    _add(made, "--max-concurrent-reconciles", _positive, 10, "how many Extensions are worked on at once")
    _add(made, "--healthcheck-max-concurrent-reconciles", _positive, 5, "how many conditions are looked at at once")
    _add(
        made, "--healthcheck-refresh-period", _duration, 0.0,
        "write conditions anew that are so old: for Gardener before v1.58, which knows no heartbeat; 0 for never",
    )  # fmt: skip
    _add(
        made, "--removal-timeout", _duration, 1800.0,
        "how long a removal waits for nodes that do not answer, before it goes on without them",
    )  # fmt: skip
    _add(
        made, "--monitoring", _parts, (),
        f"what each shoot's monitoring in the seed gets, with commas between: {', '.join(PARTS)}; default: nothing",
    )  # fmt: skip
    _add(
        made, "--pull-secrets-directory", Path, None,
        "one file for each pull secret that shoots get: its name, and a .dockerconfigjson as its text",
    )  # fmt: skip


def _of_watching(made: ArgumentParser) -> None:
    _add(made, "--health-bind-address", _address, Endpoint(port=8081), "where /healthz and /readyz are; 0 for nowhere")
    _add(made, "--metrics-bind-address", _address, Endpoint(port=8080), "where /metrics is; 0 for nowhere")
    _add(made, "--log-level", _checked(logwords.level), "info", "least level that is logged")
    _add(made, "--log-format", _log_format, "json", "form of log lines: json or text")


def _add(made: ArgumentParser, name: str, kind: Callable[[str], Any], default: Any, text: str) -> None:
    more: dict[str, Any] = {"nargs": "?", "const": True} if kind is _switch else {}
    made.add_argument(name, type=kind, default=default, help=text, metavar="VALUE", **more)


def _checked(check: Callable[[str], T]) -> Callable[[str], T]:
    """A check that raises BadInput, as argparse wants it."""

    def checked(text: str) -> T:
        try:
            return check(text)
        except BadInput as error:
            raise ArgumentTypeError(str(error)) from error

    return checked


_duration = _checked(durations.seconds)


def _switch(text: str) -> bool:
    if text.lower() not in _SWITCHES:
        raise ArgumentTypeError(f"'{text}' is neither true nor false")
    return _SWITCHES[text.lower()]


def _parts(text: str) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    if unknown := sorted({*parts} - {*PARTS}):
        raise ArgumentTypeError(f"there is no '{unknown[0]}'; there are {', '.join(PARTS)}")
    return parts


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise ArgumentTypeError(f"'{text}' is no count; write a whole number from 1 on")
    return int(text)


def _log_format(text: str) -> str:
    return logwords.backend({"text": "fmt"}.get(text, text)) if text in {"text", "json"} else _no_format(text)


def _no_format(text: str) -> str:
    raise ArgumentTypeError(f"'{text}' is no form of log lines; write json or text")


def _address(text: str) -> Endpoint | None:
    """`:PORT` for every address of the pod, `HOST:PORT` for one, `0` for nowhere."""
    if text in {"", "0"}:
        return None
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) >= 1 << 16:
        raise ArgumentTypeError(f"'{text}' is no address; write :PORT, HOST:PORT, or 0 for nowhere")
    return Endpoint(host=host.strip("[]"), port=int(port))
