"""Answers of verbs on standard output, also into a pipe whose reader has seen enough."""

import os
import sys
from collections.abc import Iterable


def lines(answer: Iterable[str]) -> int:
    """Write the lines as they come; the exit code."""
    try:
        for line in answer:
            sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    except BrokenPipeError:  # `| head`; the interpreter flushes once more at its end, and must not meet the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
