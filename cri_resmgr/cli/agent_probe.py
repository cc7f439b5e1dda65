"""`cri-resmgr-agent-probe`: asks the agent on this node how it is, for a pod's probes.

Without a query the answer is whether the agent lives; with `config-status`, whether the node's configuration is as it
should be, and if not, why.  Exit codes: 0 yes, 1 no, or nobody answers, 2 the user's input was wrong.

It runs twice a minute on each node, so it imports next to nothing.
"""

import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from cri_resmgr import __version__
from cri_resmgr.cli import goflags
from cri_resmgr.cli.goflags import number, switch, text

PROGRAM = "cri-resmgr-agent-probe"
AGENT_SOCKET = "/var/run/cri-resmgr/cri-resmgr-agent.sock"
DEADLINE_S = 1.0
ANSWER_LIMIT_BYTES = 64 << 10
PATHS = {"": "/healthz", "config-status": "/readyz"}


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line says."""

    agent_socket: str = text("socket of the agent", default=AGENT_SOCKET)
    query: str = text("what to ask: '' for whether the agent lives, config-status for the configuration")
    v: int = number("accepted without effect")
    version: bool = switch("print the version, and exit")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line, `sys.argv` unless given; the exit code."""
    try:
        flags = _read(sys.argv[1:] if argv is None else argv)
    except goflags.HelpWanted as wanted:
        sys.stderr.write(wanted.usage)
        return 0
    except goflags.FlagError as error:
        sys.stderr.write(f"{error}\n{error.usage}")
        return 2
    if flags.version:
        sys.stdout.write(f"{PROGRAM} {__version__}\n")
        return 0
    return _probe(flags.agent_socket.removeprefix("unix://"), PATHS[flags.query])


def _read(arguments: Sequence[str]) -> Flags:
    flags, words = goflags.parse(Flags, arguments, os.environ, program=PROGRAM)
    if words or flags.query not in PATHS:
        wrong = words[0] if words else flags.query
        raise goflags.FlagError(f"unknown query: {wrong}; write -query config-status, or nothing")
    return flags


def _probe(path: str, target: str) -> int:
    try:
        status, body = _asked(path, target)
    except (OSError, ValueError) as error:
        sys.stdout.write(f"health check negative: {path}: {error}; does the agent run?\n")
        return 1
    if status == "200":
        sys.stdout.write(f"Health check OK\n{body}")
        return 0
    sys.stdout.write(f"health check negative: {body}")
    return 1


def _asked(path: str, target: str) -> tuple[str, str]:
    """Status and text of the answer to one GET. Raises OSError and ValueError."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(DEADLINE_S)
        connection.connect(path)
        connection.sendall(f"GET {target} HTTP/1.1\r\n\r\n".encode("ascii"))
        answer = b""
        while len(answer) < ANSWER_LIMIT_BYTES and (part := connection.recv(ANSWER_LIMIT_BYTES)):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    _, status, _ = head.split(b" ", 2)
    return status.decode(), body.decode(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
