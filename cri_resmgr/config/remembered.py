"""The settings of the last start, so that the next one need not wait for the checking process.

They are good for exactly the bytes that they were made from and for this version of ours; anything else, also a file
that nobody understands, means that the text is checked anew.  A text that was replaced after it was read is not
remembered: its settings would be those of the one before.
"""

import contextlib
import hashlib
import json
import os
from pathlib import Path

from cri_resmgr import __version__
from cri_resmgr.config import settings
from cri_resmgr.config.settings import Settings

NAME = "settings.json"
META_KEY = "settings"  # beside the ledger: those in use, wherever they have come from
AGENT_KEY = "agent-settings"  # beside the ledger: those that the agent has given and that were taken into use
LIMIT_TEXT_BYTES = 1 << 20
FILE_MODE = 0o600


def recall(directory: Path, path: Path) -> Settings | None:
    """The settings in `path` if they are known; None if they have to be read."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads((directory / NAME).read_bytes())
        if known["version"] == __version__ and known["digest"] == _digest(path, _text(path)):
            return settings.from_json(known["settings"])
    return None


def remember(directory: Path, path: Path, found: Settings) -> None:
    """Keep them for the next start; a disk that does not take them costs the next start some time, no more."""
    with contextlib.suppress(OSError):
        checked = _text(path)
        if hashlib.sha256(checked).hexdigest() != found.digest:
            return
        text = json.dumps({"version": __version__, "digest": _digest(path, checked), "settings": found.to_json()})
        aside = directory / f".{NAME}.{os.getpid()}"
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE), "w") as out:
            out.write(text)
        aside.rename(directory / NAME)


def _text(path: Path) -> bytes:
    if path.stat().st_size > LIMIT_TEXT_BYTES:
        raise OSError(f"{path} is too large")
    return path.read_bytes()


def _digest(path: Path, text: bytes) -> str:
    return hashlib.sha256(os.fsencode(path) + b"\0" + text).hexdigest()
