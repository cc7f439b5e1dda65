"""The PID file: says who we are, and refuses to overwrite a living other.

An empty file is what a crash, or a full disk, has left of a claim: it names nobody.
"""

import contextlib
import os
import re
from pathlib import Path

from cri_resmgr.errors import BadInput

MODE = 0o644
_PID = re.compile(rb"\s*([1-9][0-9]{0,8})\s*")
_LIMIT_BYTES = 64


def owner(path: Path) -> int | None:
    """The living process that the file names; None without one.  Raises `BadInput` if the file is none of ours."""
    try:
        with path.open("rb") as file:
            text = file.read(_LIMIT_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadInput(f"--pid-file {path}: {error.strerror}; name a file in a directory that we may use") from error
    if not text.strip():
        return None
    named = _PID.fullmatch(text)
    if named is None:
        raise BadInput(f"--pid-file {path}: holds no process id; remove it, or name another file")
    pid = int(named[1])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return pid


def claim(path: Path) -> None:
    """Write our process id; raises `BadInput` while a living process other than us is named there."""
    running = owner(path)
    if running not in {None, os.getpid()}:
        raise BadInput(f"--pid-file {path}: process {running} is alive; stop it, or name another file")
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
        with os.fdopen(fd, "w") as out:
            out.write(f"{os.getpid()}\n")
    except OSError as error:
        raise BadInput(f"--pid-file {path}: {error.strerror}; name a file in a directory that we may use") from error


def release(path: Path) -> None:
    """Remove the file if it still names us; what somebody else has put there is theirs."""
    with contextlib.suppress(BadInput, OSError):
        if owner(path) == os.getpid():
            path.unlink(missing_ok=True)
