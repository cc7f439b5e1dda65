"""Is a configuration text what the nodes take?  The node's own models say so, within limits of time and memory.

A short text is read in a thread: it cannot grow beyond the limits of `cri_resmgr.config.trees`.  A long one is read by
the same child process that the node has, so a megabyte of brackets delays nobody.  What was right once is remembered:
the operator's texts are the same for every shoot.
"""

import asyncio
import tempfile
from collections import OrderedDict
from hashlib import sha256
from pathlib import Path

from cri_resmgr.config import check, child
from cri_resmgr.errors import BadInput

SHORT_CHARS = 16 << 10
AT_ONCE = 2
REMEMBERED = 4096


class Checker:
    """Checks texts, a few at once."""

    def __init__(self) -> None:
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def check(self, text: str, source: str) -> None:
        """Nothing if it is right; raises BadInput with a line for each problem, and Degraded if nobody can say."""
        digest = sha256(text.encode(errors="replace")).digest()
        if digest in self._right:
            self._right.move_to_end(digest)
            return
        async with self._turns:
            if len(text) <= SHORT_CHARS:
                await asyncio.to_thread(check.settings, text, source)
            else:
                await _check_apart(text, source)
        self._right[digest] = None
        while len(self._right) > REMEMBERED:
            self._right.popitem(last=False)


async def _check_apart(text: str, source: str) -> None:
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", errors="replace", suffix=".cfg") as file:
        await asyncio.to_thread(_write, Path(file.name), text)
        try:
            await child.read(file.name)
        except BadInput as error:
            raise BadInput(str(error).replace(file.name, source)) from error


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="replace")
