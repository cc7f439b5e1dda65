"""`probe`: for a readiness probe.

Ready is a node on which relay, runtime and kubelet answer, and also one that was refused, rolled back or bypassed: new
nodes wait for this pod, and a probe that never succeeds would stop autoscaling.  The state says what is the matter.
"""

import sys

from installer import looking
from installer.host import Host
from installer.options import Options
from installer.reporting import SETTLED


def run(options: Options) -> int:
    """Print the state; 0 when ready."""
    sight = looking.look(options, Host(options.host_root))
    if options.mode == "uninstall":
        sys.stdout.write("installed\n" if sight.installed else "nothing is installed\n")
        return 1 if sight.installed else 0
    problems = sight.problems or (() if sight.status.state in SETTLED else ("the installation is not finished",))
    sys.stdout.write(f"{'; '.join(problems) or sight.status.state}\n")
    return 1 if problems else 0
