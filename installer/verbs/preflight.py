"""`preflight`: what is to be said about this node."""

import json
import sys
from dataclasses import asdict

from installer import files, layout, preflight
from installer.host import Host
from installer.journal import Journal
from installer.options import Options


def run(options: Options) -> int:
    """Print the findings; 2 when the node is refused."""
    installed = Journal(files.inside(options.host_root, layout.OURS)).exists
    found = preflight.findings(Host(options.host_root), options, installed=installed)
    if options.output == "json":
        sys.stdout.write(json.dumps([asdict(one) for one in found]) + "\n")
    else:
        sys.stdout.writelines(f"{one.level}: {one.text}\n" for one in found)
    return 2 if preflight.refusals(found) else 0
