"""`python3 -m bypass --runtime-socket PATH --path PATH`."""

import argparse
import asyncio
import sys
from pathlib import Path

from .serving import Bypass


def main() -> int:
    """Run one command line; the exit code."""
    parser = argparse.ArgumentParser(description="pass bytes between kubelet and runtime")
    parser.add_argument("--check", action="store_true", help="do nothing: this interpreter runs")
    parser.add_argument("--path", type=Path, default=Path("/run/cri-resmgr/cri-resmgr.sock"))
    parser.add_argument("--runtime-socket", default="/run/containerd/containerd.sock")
    options = parser.parse_args()
    if options.check:
        return 0
    return asyncio.run(Bypass(options.path, options.runtime_socket).run())


if __name__ == "__main__":
    sys.exit(main())
