"""`status`: what is installed, and what the last run came to."""

import json
import sys
from dataclasses import asdict

from installer import looking
from installer.host import Host
from installer.options import Options


def run(options: Options) -> int:
    """Print it; 1 when something is not as it should be."""
    sight = looking.look(options, Host(options.host_root))
    if options.output == "json":
        facts = {**asdict(sight.status), "installed": sight.installed, "problems": sight.problems}
        sys.stdout.write(json.dumps(facts) + "\n")
    else:
        state = sight.status.state or ("unknown" if sight.installed else "not installed")
        sys.stdout.write(" ".join(filter(None, (state, sight.status.version))) + "\n")
        sys.stdout.writelines(f"  {text}\n" for text in (sight.status.reason, *sight.problems) if text)
    return 1 if sight.problems else 0
