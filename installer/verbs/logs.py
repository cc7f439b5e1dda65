"""`logs`: the service's journal, followed; becomes the host's journalctl."""

import os
from pathlib import Path

from installer.errors import Failed
from installer.options import BYPASS, SERVICE, Options


def run(options: Options) -> int:
    """Does not return while it works."""
    units = (f"--unit={SERVICE}", f"--unit={BYPASS}")
    try:
        if options.host_root != Path("/"):
            os.chroot(options.host_root)
        os.chdir("/")
        os.execvp("journalctl", ["journalctl", "--follow", "--lines=100", "--output=short-iso", *units])  # noqa: S606, S607
    except OSError as error:
        raise Failed(f"journalctl: {error}; it must work on the host") from error
