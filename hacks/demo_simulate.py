"""`make demo-simulate`: what the policies do, on machines that need not exist; without root, containerd or Go.

All that is shown is what `cri-resmgr simulate` prints for the files of `examples/simulate`: the policy's own code and
the daemon's, with a machine and a kubelet that are made up.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from telling import command, run, say

FILES = Path(__file__).parents[1] / "examples" / "simulate"
SERVER, LARGER = "two-sockets.yaml", "64-cpus.yaml"
PODS, BURST, RESIZE = "1-exclusive-and-shared.yaml", "2-burst.yaml", "3-resize.yaml"
TOPOLOGY_AWARE = ("--config", "topology-aware.cfg")


def tell() -> None:
    """From a machine to a larger one."""
    say("1. A server as a file: two sockets with two NUMA nodes each")
    run("cd examples/simulate", "")
    run(f"cat {SERVER}", FILES.joinpath(SERVER).read_text())
    _without_policy()
    _with_policy()
    _refused()
    _resized()
    _larger()


def _without_policy() -> None:
    say("2. Five pods, and no configuration: policy none.  Every container may run on every CPU")
    simulate(SERVER, PODS, steps=(5,), heading=True)


def _with_policy() -> None:
    say("3. The same pods under topology-aware.  A Guaranteed one gets whole CPUs of its own: both threads of a core")
    simulate(SERVER, PODS, *TOPOLOGY_AWARE, steps=(1, 2), heading=True)
    say("4. Who shares CPUs makes room for who gets one of its own, and has it back afterwards; nobody is restarted")
    simulate(SERVER, PODS, *TOPOLOGY_AWARE, steps=(5, 6))


def _refused() -> None:
    say("5. A burst: each wants three whole CPUs.  The fifth gets what is left, the sixth is refused, and told why")
    simulate(SERVER, BURST, *TOPOLOGY_AWARE, steps=(5, 6))
    say("   As soon as there is room again, it starts")
    simulate(SERVER, BURST, *TOPOLOGY_AWARE, steps=(7, 8))


def _resized() -> None:
    say("6. A pod is resized while it runs, and the daemon starts again: whoever has CPUs keeps them")
    simulate(SERVER, RESIZE, *TOPOLOGY_AWARE, steps=(5, 6))


def _larger() -> None:
    say("7. A larger server")
    run(f"cat {LARGER}", FILES.joinpath(LARGER).read_text())
    say("8. The same burst there: nobody is refused, and nobody's CPUs are on two NUMA nodes")
    simulate(LARGER, BURST, *TOPOLOGY_AWARE, steps=(6,), heading=True)


def simulate(machine: str, scenario: str, *more: str, steps: Sequence[int], heading: bool = False) -> None:
    """A command as one would type it, and the numbered steps of what it prints."""
    words = ("simulate", "--machine", machine, *more, scenario)
    head, *told = command(*words, at=FILES).split("\n\n")
    shown = [head] * heading + [told[number - 1] for number in steps]
    run(f"cri-resmgr {' '.join(words)}", "\n\n".join(shown))


def main() -> int:
    """Tell it."""
    tell()
    say("That was cri-resmgr simulate; --output json is for programs.  Next, as root: make demo")
    return 0


if __name__ == "__main__":
    sys.exit(main())
