"""`cri-resmgr`: the daemon when there is no verb, else what the verb says.

Exit codes: 0 done, 1 the daemon could not go on, 2 the user's input was wrong.  Everything is imported where it is
needed, so that `--version` answers at once and the daemon carries nothing that only verbs need.
"""

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from cri_resmgr import __version__
from cri_resmgr.cli import flags as flags_
from cri_resmgr.cli import goflags
from cri_resmgr.errors import BadInput, Error

BUILD_VARIABLE = "CRI_RESMGR_BUILD"  # set by the bundle: the commit that it was made from
_VERBS = (
    "config",
    "config-help",
    "doctor",
    "explain",
    "help",
    "plan",
    "record",
    "release",
    "replay",
    "simulate",
    "status",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line, `sys.argv` unless given; the exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    try:
        return _run(arguments)
    except goflags.HelpWanted as wanted:
        sys.stderr.write(wanted.usage)
        return 0
    except goflags.FlagError as error:
        sys.stderr.write(f"{error}\n{error.usage or goflags.usage(flags_.PROGRAM, flags_.Flags)}")
        return 2
    except Error as error:
        for line in str(error).splitlines():
            sys.stderr.write(f"{flags_.PROGRAM}: {line}\n")
        return 2 if isinstance(error, BadInput) else 1


def _run(arguments: Sequence[str]) -> int:
    flags, words = flags_.parse(arguments, os.environ)
    if flags.version:
        build = os.environ.get(BUILD_VARIABLE, "unknown")
        sys.stdout.write(f"{flags_.PROGRAM} version information:\n  - version: {__version__}\n  - build:   {build}\n")
        return 0
    if words:
        return _verb(words, flags_given=len(words) < len(arguments))
    if flags.list_policies:
        return _list_policies()
    if flags.print_config:
        return _print_config()
    from cri_resmgr.cli import daemon  # noqa: PLC0415

    return daemon.run(flags_.checked(flags))


def _verb(words: Sequence[str], *, flags_given: bool) -> int:
    verb, *rest = words
    if verb not in _VERBS:
        raise goflags.FlagError(f"unknown command line argument: {verb}")
    if flags_given:
        raise BadInput(f"flags before '{verb}' are the daemon's; write those of {verb} after it")
    module = "config_help" if verb == "help" else verb.replace("-", "_")
    run: Callable[[Sequence[str]], int] = import_module(f"cri_resmgr.cli.verbs.{module}").run
    return run(rest)


def _list_policies() -> int:
    from cri_resmgr.policies import registry  # noqa: PLC0415

    lines = (f"  * {name}: {entry.description}\n" for name, entry in sorted(registry.POLICIES.items()))
    sys.stdout.write("".join(("Available policies:\n", *lines)))
    return 0


def _print_config() -> int:
    from cri_resmgr.config import defaults  # noqa: PLC0415

    sys.stdout.write(defaults.text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
