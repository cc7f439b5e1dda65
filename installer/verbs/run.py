"""`run`: what the pod does.  A node that is refused or rolled back is no reason to fail: its state says so, loudly.

A pod that is made anew does nothing to a node that is as it should be, and does not try again what has failed: another
bundle or configuration does, and `install` on the node.
"""

import os
import signal
import sys

from installer import installing, undoing
from installer.errors import BadInput, Failed, Refused
from installer.host import Host
from installer.locking import alone
from installer.log import say
from installer.options import Options
from installer.reporting import Reports

_SLEEP = "import signal; signal.sigwait({signal.SIGTERM, signal.SIGINT})"


def run(options: Options) -> int:
    """Do what `--mode` says, then sleep until a signal."""
    host = Host(options.host_root)
    with alone(options.host_root, deadline_s=options.deadline_s):
        if options.mode == "uninstall":
            undoing.uninstall(options, host)
        else:
            _install(options, host)
    _sleep()
    return 0


def _install(options: Options, host: Host) -> None:
    try:
        installing.install(options, host, again=options.force)
    except (BadInput, Refused) as error:
        say("node.refused", reason=error)
    except Failed:
        if Reports(options.host_root).read().state != "rolled_back":
            raise


def _sleep() -> None:
    """A fresh interpreter has nothing of ours in memory; where there is none, this one sleeps."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    sys.stderr.flush()
    try:
        os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", _SLEEP])  # noqa: S606 - no shell is wanted
    except OSError:
        signal.sigwait({signal.SIGTERM, signal.SIGINT})
