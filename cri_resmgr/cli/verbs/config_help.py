"""`cri-resmgr config-help [NAME…]`, also `help`: which sections there are, and what can be said in them."""

from collections.abc import Sequence
from dataclasses import dataclass

from cri_resmgr.cli import goflags, printing
from cri_resmgr.config import check, helping


@dataclass(frozen=True, slots=True)
class HelpFlags:
    """What `config-help` takes before the names: nothing."""


def run(arguments: Sequence[str]) -> int:
    """Print the help about the sections named, or about all; the exit code. Raises BadInput."""
    _, names = goflags.parse(HelpFlags, arguments, {}, program="cri-resmgr config-help")
    found = helping.sections(check.ROOT, names)
    return printing.lines(line for section in found for line in helping.lines(section))
