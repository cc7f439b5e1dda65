"""`cri-resmgr-installer VERB`: the command line.

    preflight   is this node fit?  Changes nothing
    install     put the bundle on the node and point the kubelet at the relay; also what `upgrade` does
    upgrade     the same, but only where something is installed already
    uninstall   the kubelet back to its runtime, then everything away
    status      what is installed, and what the last run came to
    probe       for a readiness probe: 0 while the node is as it should be, or loudly is not
    run         what the pod does: `install`, or with `--mode uninstall` the opposite; then sleep
    logs        the service's journal, followed: for a side container

Exit codes: 0 done, 1 something on the host failed (a failed install has been undone), 2 the input was wrong or the
node is refused, and nothing was changed.
"""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from installer.errors import BadInput, Error
from installer.options import Options

PROGRAM = "cri-resmgr-installer"
_FLAG = re.compile(r"-[A-Za-z0-9_-]+(=[A-Za-z0-9_.,:/@%+*-]*)?")
_RUNTIMES = "containerd's or CRI-O's, whichever the kubelet is told to use"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line, `sys.argv` unless given; the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        options = _options(arguments)
        run: Callable[[Options], int] = import_module(f"installer.verbs.{arguments.verb}").run
        return run(options)
    except Error as error:
        for line in str(error).splitlines():
            sys.stderr.write(f"{PROGRAM}: {line}\n")
        return error.code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description="Puts CRI Resource Manager on a node, and off again.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb, about in _VERBS.items():
        one = verbs.add_parser(verb, help=about, description=about)
        one.add_argument("--host-root", type=Path, default=Path("/"), help="where the host's root is (default /)")
        one.add_argument("--kubelet-unit", default="kubelet.service", help="the kubelet's unit (kubelet.service)")
        if verb in _INSTALLING:
            _add_installing(one)
        if verb in {"run", "probe"}:
            one.add_argument("--mode", choices=("install", "uninstall"), default="install", help="(install)")
        if verb in {"preflight", "status", "probe"}:
            one.add_argument("--output", choices=("text", "json"), default="text", help="(text)")
    return parser


def _add_installing(one: argparse.ArgumentParser) -> None:
    one.add_argument("--bundle", type=Path, default=Path("/bundle"), help="the bundle's tree (/bundle)")
    one.add_argument("--config-dir", type=Path, help="directory with fallback.cfg or force.cfg; each may be missing")
    one.add_argument("--runtime-socket", default="", help=f"the runtime's socket ({_RUNTIMES})")
    one.add_argument("--daemon-flag", action="append", default=[], help="one more flag for the daemon, -FLAG=VALUE")
    one.add_argument("--deadline", type=float, default=60.0, help="seconds for each wait for kubelet or daemon (60)")
    one.add_argument("--force", action="store_true", help="install although preflight refuses, or a last try failed")


def _options(arguments: argparse.Namespace) -> Options:
    given = {name: value for name, value in vars(arguments).items() if name != "verb"}
    if not arguments.host_root.is_dir():
        raise BadInput(f"--host-root {arguments.host_root}: no such directory; mount the host's root there")
    for flag in given.get("daemon_flag", []):
        if not _FLAG.fullmatch(flag):
            raise BadInput(f"--daemon-flag {flag}: write -FLAG or -FLAG=VALUE, without blanks and quotes")
    given["deadline_s"] = given.pop("deadline", 60.0)
    given["daemon_flags"] = tuple(given.pop("daemon_flag", ()))
    return Options(**given)


_INSTALLING = frozenset({"preflight", "install", "upgrade", "run"})
_VERBS = {
    "preflight": "is this node fit? Changes nothing",
    "install": "put the bundle on the node and point the kubelet at the relay",
    "upgrade": "as install, but only where something is installed already",
    "uninstall": "the kubelet back to its runtime, then everything away",
    "status": "what is installed, and what the last run came to",
    "probe": "for a readiness probe: the relay answers and the kubelet is well, or the node loudly goes without",
    "run": "what the pod does: install, or with --mode uninstall the opposite; then sleep",
    "logs": "the service's journal, followed",
}

if __name__ == "__main__":
    sys.exit(main())
