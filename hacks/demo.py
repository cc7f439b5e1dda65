"""`make demo`: the main job of the product on this machine, with real parts, told as a short story.

A private containerd with images made here, the relay in front of it, a pod through CRI, what the relay knows of it,
`kill -9` of the relay under a running pod, recovery, and everything cleaned up.
"""

import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cri_resmgr.cri import api_pb2 as api
from equipment import Unavailable
from equipment.cri import CriClient, run_pod
from equipment.images import build
from equipment.registry import Registry
from equipment.relay import Relay
from equipment.runtimes import Containerd16, Runtime
from equipment.stand_ins import BUSYBOX, stand_ins

TICKING = ("sh", "-c", "trap exit TERM; while :; do date +tick-%s; sleep 1 & wait $!; done")
_BOLD, _DIM, _PLAIN = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")


def say(text: str) -> None:
    """One sentence of the story."""
    print(f"\n{_BOLD}{text}{_PLAIN}", flush=True)


def show(text: str) -> None:
    """What a real part has said."""
    for line in text.rstrip().splitlines():
        print(f"  {_DIM}|{_PLAIN} {line}", flush=True)


@contextmanager
def scene(root: Path) -> Iterator[tuple[Runtime, Relay]]:
    """A runtime with images, and the relay before it."""
    say("1. A private containerd, with images that are made here")
    with Registry(build(stand_ins())) as registry, Containerd16(registry) as runtime:
        with CriClient(runtime.socket) as direct:
            version = direct("Version")
        show(f"{version.runtime_name} {version.runtime_version} on {runtime.socket}")
        config = root / "demo.cfg"
        config.write_text(
            "policy:\n  Active: none\ndump:\n  Config: short:((Create)|(Start)|(Run)|(Stop)|(Remove)).*\n"
        )
        say("2. The relay in front of it: cri-resmgr --force-config demo.cfg")
        show(config.read_text())
        with Relay(runtime.socket, root, "--force-config", str(config)) as relay:
            show(relay.log())
            yield runtime, relay


def story(root: Path) -> None:
    """From nothing to nothing."""
    with scene(root) as (_runtime, relay):
        say("3. A pod through the relay, as the kubelet would make it")
        with CriClient(relay.socket) as cri:
            pod, container = run_pod(cri, "hello", image=BUSYBOX, command=TICKING)
            resize(cri, container, cpu_shares=512)
            show(f"pod {pod[:13]} with container {container[:13]} is {state_of(cri, container)}")
        say("4. What the relay has seen, and what it has written down (state.db)")
        show("\n".join(line for line in relay.log().splitlines() if "[message]" in line))
        show(remembered(root))
        say("5. kill -9 of the relay; the pod does not notice")
        before = relay.pid
        relay.kill()
        relay.start()
        with CriClient(relay.socket) as cri:
            show(f"process {before} is gone, {relay.pid} serves; the container is {state_of(cri, container)}")
            show("\n".join(line for line in relay.log().splitlines() if "reconcile.done" in line))
            show(remembered(root))
            say("6. Stop and remove the pod, through the new process")
            cri("StopContainer", container_id=container, timeout=2)
            cri("RemoveContainer", container_id=container)
            cri("StopPodSandbox", pod_sandbox_id=pod)
            cri("RemovePodSandbox", pod_sandbox_id=pod)
            time.sleep(0.1)  # the store is told in batches
            show(remembered(root))


def resize(cri: CriClient, container: str, *, cpu_shares: int) -> None:
    """As the kubelet resizes in place."""
    cri("UpdateContainerResources", container_id=container, linux=api.LinuxContainerResources(cpu_shares=cpu_shares))


def state_of(cri: CriClient, container: str) -> str:
    """In words."""
    state = cri("ContainerStatus", container_id=container).status.state
    return api.ContainerState.Name(state).removeprefix("CONTAINER_").lower()


def remembered(root: Path) -> str:
    """The rows of the store."""
    query = "SELECT key, substr(id, 1, 13), state, asked_cpu_shares FROM containers"
    store = sqlite3.connect(f"file:{root}/relay/state.db?mode=ro", uri=True)
    try:
        rows = store.execute(query).fetchall()
    finally:
        store.close()
    lines = [
        f"{key.split('/', 1)[1]:<10} id {id_:<14} {state:<8} cpu shares {shares}" for key, id_, state, shares in rows
    ]
    return "\n".join(lines) or "no containers"


def main() -> int:
    """Tell it."""
    if os.geteuid() != 0:
        print("make demo: makes mounts, cgroups and a bridge; run it as root", file=sys.stderr)
        return 2
    begun = time.monotonic()
    root = Path(tempfile.mkdtemp(prefix="cri-resmgr-demo-"))
    try:
        story(root)
    except Unavailable as error:
        print(f"make demo: {error}", file=sys.stderr)
        return 2
    finally:
        shutil.rmtree(root, ignore_errors=True)
    say(f"Done in {time.monotonic() - begun:.0f} s; nothing is left of it.  Next: make test")
    return 0


if __name__ == "__main__":
    sys.exit(main())
