"""The PID file: says who we are, and refuses to overwrite a living other."""

import os
from pathlib import Path

from cri_resmgr.errors import BadInput

MODE = 0o644


def owner(path: Path) -> int | None:
    """The living process that the file names; None without one.  Raises `BadInput` if the file is none of ours."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadInput(f"--pid-file {path}: {error.strerror}; name a file in a directory that we may use") from error
    if not text.strip().isdigit():
        raise BadInput(f"--pid-file {path}: holds no process id; remove it, or name another file")
    try:
        os.kill(int(text), 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return int(text)


def claim(path: Path) -> None:
    """Write our process id; raises `BadInput` while a living process other than us is named there."""
    running = owner(path)
    if running not in {None, os.getpid()}:
        raise BadInput(f"--pid-file {path}: process {running} is alive; stop it, or name another file")
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
    except OSError as error:
        raise BadInput(f"--pid-file {path}: {error.strerror}; name a file in a directory that we may use") from error
    with os.fdopen(fd, "w") as out:
        out.write(f"{os.getpid()}\n")


def release(path: Path) -> None:
    """Remove the file if it still names us."""
    if owner(path) == os.getpid():
        path.unlink(missing_ok=True)
