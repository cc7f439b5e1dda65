"""One installer at a time on a host: the lock is on a directory that is there anyway, so it leaves nothing."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from installer import files
from installer.errors import Failed


@contextlib.contextmanager
def alone(root: Path, *, deadline_s: float) -> Iterator[None]:
    """Hold the lock; Failed when somebody else does not let go."""
    descriptor = os.open(files.inside(root, "/var/lib"), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        end_s = time.monotonic() + deadline_s
        while not _locked(descriptor):
            if time.monotonic() > end_s:
                raise Failed("another cri-resmgr-installer works on this host; wait for its end, then try again")
            time.sleep(0.1)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
