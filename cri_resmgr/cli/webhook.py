"""`cri-resmgr-webhook`: the annotating webhook's command line.

Exit codes: 0 stopped by a signal, 1 it could not go on, 2 the user's input was wrong.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cri_resmgr import __version__
from cri_resmgr.cli import goflags
from cri_resmgr.cli.flags import Flags as DaemonFlags
from cri_resmgr.cli.goflags import number, same, switch, text
from cri_resmgr.config import logwords, sourcemap
from cri_resmgr.config.settings import LoggerSettings
from cri_resmgr.errors import BadInput, Error

PROGRAM = "cri-resmgr-webhook"
_PORTS = range(1 << 16)


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line says; the flags of the log are the daemon's, without those for files."""

    port: int = number("port to serve HTTPS on, at all addresses; 0 for any", default=443)
    cert_file: str = text("file with the server's certificate as PEM; read again when it changes")
    key_file: str = text("file with the certificate's key as PEM; read again when it changes")
    version: bool = switch("print the version, and exit")

    logger: str = same(DaemonFlags, "logger")
    logger_level: str = same(DaemonFlags, "logger_level")
    logger_sources: str = same(DaemonFlags, "logger_sources")
    logger_debug: str = same(DaemonFlags, "logger_debug")
    v: int = same(DaemonFlags, "v")
    skip_headers: bool = same(DaemonFlags, "skip_headers")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line, `sys.argv` unless given; the exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    try:
        return _run(arguments)
    except goflags.HelpWanted as wanted:
        sys.stderr.write(wanted.usage)
        return 0
    except goflags.FlagError as error:
        sys.stderr.write(f"{error}\n{error.usage}")
        return 2
    except Error as error:
        for line in str(error).splitlines():
            sys.stderr.write(f"{PROGRAM}: {line}\n")
        return 2 if isinstance(error, BadInput) else 1


def _run(arguments: Sequence[str]) -> int:
    flags, words = goflags.parse(Flags, arguments, os.environ, program=PROGRAM)
    if words:
        raise goflags.FlagError(f"unknown command line argument: {words[0]}")
    if flags.version:
        sys.stdout.write(f"{PROGRAM} {__version__}\n")
        return 0
    settings = _checked(flags)
    from cri_resmgr.observe import logging  # noqa: PLC0415
    from cri_resmgr.webhook import running  # noqa: PLC0415

    logging.configure(settings)
    asyncio.run(running.run(running.Options(flags.port, Path(flags.cert_file), Path(flags.key_file))))
    return 0


def _checked(flags: Flags) -> LoggerSettings:
    """How to log.  Raises BadInput that names everything that is wrong."""
    problems = [] if flags.port in _PORTS else [f"flag -port: {flags.port}: a port is from 0, for any, to 65535"]
    for at, check in _CHECKS.items():
        try:
            check(getattr(flags, at))
        except BadInput as error:
            problems.append(f"flag -{_FLAGS[at].name}: {error}")
    if problems:
        raise BadInput("\n".join(problems))
    return LoggerSettings(
        backend=flags.logger,
        level=logwords.level(flags.logger_level),
        sources=flags.logger_sources,
        debug=flags.logger_debug,
        verbosity=flags.v,
        skip_headers=flags.skip_headers,
    )


def _file(path: str) -> None:
    if not path:
        raise BadInput("nothing is said; name a file")


_CHECKS: Mapping[str, Callable[[str], object]] = {
    "cert_file": _file,
    "key_file": _file,
    "logger": logwords.backend,
    "logger_level": logwords.level,
    "logger_sources": sourcemap.parse,
    "logger_debug": sourcemap.parse,
}
_FLAGS = goflags.flags_of(Flags)
