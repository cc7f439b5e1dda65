"""`make demo`: two short stories with real parts, told on this machine; `make demo-down` ends what KEEP=1 has left.

The first one, a node with relay and placement, needs no Go.  While it is told, everything for the second one is built
in the background: the whole chain from a Shoot in Gardener's API to a container's CPUs, and back.  What is built is
kept, so the next time it is there.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import demo_chain
import demo_node
from chain.landscape import Landscape
from equipment import Unavailable, cache, machine
from telling import follow, say, shown

GROUPS = ("kubernetes", "gardener", "gardener-apiserver")
BUILD = f"""
"$0" -c 'from equipment.rootfs import rootfs; print(rootfs())'
"$0" -c 'from equipment.built_images import built; print(built())'
exec "$0" -m equipment.tools {" ".join(GROUPS)}
"""
KEPT = """\
The chain is still up, and `make demo-down` ends it.  For the commands of the README, from its step 3 on:
  export PATH={programs}:$PATH
  export GARDEN={garden}
  export SEED={cluster}
  export SHOOT=$SEED"""


def main(argv: Sequence[str]) -> int:
    """Tell them, or end what is left of them."""
    if not machine.is_root():
        print(
            "make demo: makes mounts, cgroups and a machine; run it as root, or `make demo-simulate`", file=sys.stderr
        )
        return 2
    begun_s = time.monotonic()
    try:
        if argv == ["--down"]:
            Landscape().stop()
            say("Nothing is left of it")
            return 0
        kept = _stories(keep=bool(os.environ.get("KEEP")))
    except Unavailable as error:
        print(f"make demo: {error}", file=sys.stderr)
        return 1
    say(f"Done in {time.monotonic() - begun_s:.0f} s{'' if kept else '; nothing is left of it'}.  Next: make test")
    return 0


def _stories(*, keep: bool) -> bool:
    """Both; whether the second one's landscape is still there."""
    with _building() as await_it:
        demo_node.tell()
        await_it()
    say("9. The whole chain, from Gardener's API to the node: everything that Gardener runs around us, on this machine")
    chain = Landscape(shown=shown)
    done = False
    try:
        chain.start()
        demo_chain.tell(chain)
        done = True
    finally:
        if not (keep and done):
            chain.stop()
    if keep:
        say(KEPT.format(garden=chain.garden.kubeconfig, cluster=chain.kubeconfig, programs=chain.kubectl.parent))
    return keep


@contextmanager
def _building() -> Iterator[Callable[[], None]]:
    """Have the second story's parts built meanwhile; gives a function that waits for the end of that."""
    log = Path(cache.directory(), "run", "demo-build.log")
    log.parent.mkdir(exist_ok=True)
    with log.open("w") as output:
        command = ["nice", "-n", "5", "sh", "-ec", BUILD, sys.executable]
        builder = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)

    def await_it() -> None:
        if builder.poll() is None:
            say("The rest needs programs that are built from source, once for each machine: about a quarter of an hour")
            follow(log, lambda: builder.poll() is None)
        if builder.returncode:
            raise Unavailable(f"building failed:\n{log.read_text()[-2000:]}")

    try:
        yield await_it
    finally:
        if builder.poll() is None:
            os.killpg(builder.pid, signal.SIGTERM)
            builder.wait()
        log.unlink()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
