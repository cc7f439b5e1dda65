"""`uninstall`: the kubelet back to its runtime, then everything away."""

from installer import undoing
from installer.host import Host
from installer.locking import alone
from installer.log import say
from installer.options import Options


def run(options: Options) -> int:
    """Do it; nothing to do is done."""
    with alone(options.host_root, deadline_s=options.deadline_s):
        if not undoing.uninstall(options, Host(options.host_root)):
            say("node.has_nothing")
    return 0
