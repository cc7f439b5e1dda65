"""What the programs around the daemon have in common: exit codes, checked flags, and flags for the log.

Exit codes: 0 done, or stopped by a signal, 1 it could not go on, 2 the user's input was wrong.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from cri_resmgr.cli import goflags
from cri_resmgr.config import logwords, sourcemap
from cri_resmgr.config.settings import LoggerSettings
from cri_resmgr.errors import BadInput, Error

Checks = Mapping[str, Callable[[Any], object]]
"""By the name of a field; a check raises BadInput that says what is wrong with the value."""

LOG_CHECKS: Checks = MappingProxyType(
    {
        "logger": logwords.backend,
        "logger_level": logwords.level,
        "logger_sources": sourcemap.parse,
        "logger_debug": sourcemap.parse,
    }
)


def main(run: Callable[[Sequence[str]], int], argv: Sequence[str] | None, *, program: str) -> int:
    """Run one command line, `sys.argv` unless given; the exit code."""
    try:
        return run(sys.argv[1:] if argv is None else argv)
    except goflags.HelpWanted as wanted:
        sys.stderr.write(wanted.usage)
        return 0
    except goflags.FlagError as error:
        sys.stderr.write(f"{error}\n{error.usage}")
        return 2
    except Error as error:
        for line in str(error).splitlines():
            sys.stderr.write(f"{program}: {line}\n")
        return 2 if isinstance(error, BadInput) else 1


def check(flags: Any, checks: Checks) -> None:
    """Raise BadInput that names everything that is wrong."""
    problems = []
    named = goflags.flags_of(type(flags))
    for at, judge in checks.items():
        try:
            judge(getattr(flags, at))
        except BadInput as error:
            problems.append(f"flag -{named[at].name}: {error}")
    if problems:
        raise BadInput("\n".join(problems))


def logger(flags: Any) -> LoggerSettings:
    """How to log, from flags that have been checked."""
    return LoggerSettings(
        backend=flags.logger,
        level=logwords.level(flags.logger_level),
        sources=flags.logger_sources,
        debug=flags.logger_debug,
        verbosity=flags.v,
        skip_headers=flags.skip_headers,
    )
