"""Make a snapshot before tests need it: `python -m equipment.guest n4c16 systemd`."""

import argparse
import sys

from equipment import Unavailable
from equipment.guest.inits import INITS
from equipment.guest.snapshots import snapshot
from equipment.guest.topologies import TOPOLOGIES


def main() -> int:
    """Make it, and say where it is."""
    parser = argparse.ArgumentParser(prog="equipment.guest", description="Make a guest that is ready for pods.")
    parser.add_argument("topology", choices=TOPOLOGIES)
    parser.add_argument("init", choices=INITS)
    chosen = parser.parse_args()
    try:
        print(snapshot(TOPOLOGIES[chosen.topology], INITS[chosen.init]).directory)
    except Unavailable as error:
        print(f"equipment.guest: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
