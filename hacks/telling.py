"""How the demo talks: sentences of ours, and behind a bar what a real part has said."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_BOLD, _DIM, _PLAIN = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")
WIDTH = 150
LOOK_S = 0.5


def say(text: str) -> None:
    """One sentence of the story."""
    print(f"\n{_BOLD}{text}{_PLAIN}", flush=True)


def show(text: str) -> None:
    """What a real part has said; long lines are cut."""
    for line in text.rstrip().splitlines():
        print(f"  {_DIM}|{_PLAIN} {line if len(line) <= WIDTH else line[: WIDTH - 1] + '…'}", flush=True)


def run(typed: str, output: str) -> None:
    """A command as one would type it, and what it printed."""
    print(f"  {_BOLD}${_PLAIN} {typed}", flush=True)
    show(output)


def command(*words: str | Path, at: Path = Path()) -> str:
    """What `cri-resmgr` of this checkout prints in a directory."""
    program = [Path(sys.executable).with_name("cri-resmgr"), *words]
    return subprocess.run(program, check=True, capture_output=True, text=True, timeout=60, cwd=at).stdout


@contextlib.contextmanager
def shown(what: str) -> Iterator[None]:
    """A step that takes a while: how long it took."""
    begun_s = time.monotonic()
    yield
    show(f"{what}: {time.monotonic() - begun_s:.0f} s")


def follow(log: Path, goes_on: Callable[[], bool]) -> None:
    """Show what a process in the background says of its progress, from the first line on, until it does not go on."""
    with log.open() as lines:
        while True:
            last = not goes_on()
            for line in lines:
                if " … " in line:
                    show(line)
            if last:
                return
            time.sleep(LOOK_S)
