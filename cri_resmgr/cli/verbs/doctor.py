"""`cri-resmgr doctor`: is this node well, and does the relay pass everything that the kubelet sends?

With `--probe` only whether the relay passes calls, within a fraction of a second.  Changes nothing.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cri_resmgr.cli import goflags, printing
from cri_resmgr.cli.flags import Flags
from cri_resmgr.config import endpoints
from cri_resmgr.errors import BadInput

PROGRAM = "cri-resmgr doctor"
USAGE = f"{PROGRAM} [--probe] [--relay-socket PATH] [--runtime-socket PATH] [--config-socket PATH] [--output text|json]"
PROBE_DEADLINE_S = 5.0
_DAEMON = Flags()


@dataclass(frozen=True, slots=True)
class DoctorFlags:
    """What `doctor` takes."""

    probe: bool = goflags.switch("only whether the relay passes calls and the daemon answers, for a readiness probe")
    relay_socket: str = goflags.text("socket that the kubelet talks to", default=_DAEMON.relay_socket)
    runtime_socket: str = goflags.text("socket of the container runtime", default=_DAEMON.runtime_socket)
    config_socket: str = goflags.text("socket on which the daemon answers the agent", default=_DAEMON.config_socket)
    host_root: str = goflags.text("directory under which the host's /proc, /sys and /opt are found; '' for /")
    deadline_s: float = goflags.duration(
        "how long a probe waits for an answer", default_s=PROBE_DEADLINE_S, name="deadline"
    )
    output: str = goflags.text("form of the answer: text for people, json for programs", default="text")


def run(arguments: Sequence[str]) -> int:
    """Examine; 0 if nothing is wrong, 1 if something is. Raises BadInput, and Degraded for a probe that fails."""
    flags, words = goflags.parse(DoctorFlags, arguments, {}, program=PROGRAM)
    if words or flags.output not in {"text", "json"} or flags.deadline_s <= 0:
        raise BadInput(f"doctor takes no name, and a deadline above 0; write {USAGE}")
    sockets = [endpoints.socket_path(text) for text in (flags.relay_socket, flags.runtime_socket, flags.config_socket)]
    return _probe(flags, *sockets) if flags.probe else _examine(flags, *sockets)


def _probe(flags: DoctorFlags, relay: str, _runtime: str, config: str) -> int:
    from cri_resmgr.cli.doctoring import probing  # noqa: PLC0415 - without what the examination needs

    return printing.lines([asyncio.run(probing.probe(relay, config, deadline_s=flags.deadline_s))])


def _examine(flags: DoctorFlags, relay: str, runtime: str, config: str) -> int:
    from cri_resmgr.cli.doctoring import examining, telling  # noqa: PLC0415 - a probe does without

    node = examining.Node(relay, runtime, config, Path(flags.host_root or "/"))

    found = asyncio.run(examining.examine(node))
    printing.lines([telling.as_json(found)] if flags.output == "json" else telling.as_text(found))
    return telling.exit_code(found)
