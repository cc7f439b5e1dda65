"""`install`: the service, then the kubelet."""

from installer import installing
from installer.host import Host
from installer.locking import alone
from installer.options import Options


def run(options: Options) -> int:
    """Do it; Failed, Refused and BadInput say why not."""
    with alone(options.host_root, deadline_s=options.deadline_s):
        installing.install(options, Host(options.host_root))
    return 0
