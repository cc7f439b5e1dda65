"""The first story of `make demo`: the main job of the product on this machine, with real parts and without Go.

A private containerd with images made here, the relay in front of it with policy topology-aware, pods through CRI, the
CPUs that the kernel holds them to and why, `kill -9` of the relay under them, recovery, a look at a larger machine,
and everything cleaned up.
"""

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cri_resmgr.cri import api_pb2 as api
from equipment.cgroups import container_cgroup
from equipment.cri import CriClient, pod_config
from equipment.images import build
from equipment.registry import Registry
from equipment.relay import Relay
from equipment.runtimes import Containerd16, Runtime
from equipment.stand_ins import BUSYBOX, stand_ins
from telling import command, say, show

TICKING = ("sh", "-c", "trap exit TERM; while :; do date +tick-%s; sleep 1 & wait $!; done")
CONFIG = """\
policy:
  Active: topology-aware
  ReservedResources: {CPU: 750m}
dump:
  Config: short:((Create)|(Start)|(Update)).*
"""
EXAMPLES = Path(__file__).parents[1] / "examples" / "simulate"
ONE_CPU = {"cpu_shares": 1024, "cpu_quota": 100_000, "cpu_period": 100_000, "memory_limit_in_bytes": 64 << 20}


@contextmanager
def scene(root: Path) -> Iterator[tuple[Runtime, Relay]]:
    """A runtime with images, and the relay before it."""
    say("1. A private containerd, with images that are made here")
    with Registry(build(stand_ins())) as registry, Containerd16(registry) as runtime:
        with CriClient(runtime.socket) as direct:
            version = direct("Version")
        show(f"{version.runtime_name} {version.runtime_version} on {runtime.socket}")
        config = root / "demo.cfg"
        config.write_text(CONFIG)
        say("2. The relay in front of it: cri-resmgr --force-config demo.cfg")
        show(CONFIG)
        with Relay(runtime.socket, root, "--force-config", str(config)) as relay:
            show(relay.log())
            yield runtime, relay


def story(root: Path) -> None:
    """From nothing to nothing."""
    with scene(root) as (_runtime, relay):
        say("3. Two pods through the relay, as the kubelet makes them: one of the system, one that wants a whole CPU")
        with CriClient(relay.socket) as cri:
            ids = {"dns": run(cri, "dns", "kube-system"), "hello": run(cri, "hello", "default")}
        show(pinned(ids))
        say("4. Why?  cri-resmgr explain hello")
        show(command("explain", "--relay-dir", root / "relay", "hello"))
        say("5. What the relay has seen, and what it has written down (state.db)")
        show("\n".join(line for line in relay.log().splitlines() if "[message]" in line))
        show(remembered(root))
        say("6. kill -9 of the relay; the pods do not notice")
        before = relay.pid
        relay.kill()
        relay.start()
        with CriClient(relay.socket) as cri:
            show(f"process {before} is gone, {relay.pid} serves; hello is {state_of(cri, ids['hello'])}")
            show(pinned(ids))
            say("7. The pods go, through the new process")
            for pod in cri("ListPodSandbox").items:
                cri("StopPodSandbox", pod_sandbox_id=pod.id)
                cri("RemovePodSandbox", pod_sandbox_id=pod.id)
        time.sleep(0.1)  # the store is told in batches
        show(remembered(root))


def foresight() -> None:
    """The same policy where there is more to choose from."""
    say("8. A machine with two sockets, which need not exist: cri-resmgr simulate")
    files = ("--machine", EXAMPLES / "two-sockets.yaml", "--config", EXAMPLES / "topology-aware.cfg")
    steps = command("simulate", *files, EXAMPLES / "1-exclusive-and-shared.yaml").split("\n\n")
    show(next(step for step in steps if step.startswith("step 5")))


def run(cri: CriClient, name: str, namespace: str) -> str:
    """A running pod of one container in the Guaranteed class; the container's id."""
    pod = pod_config(name)
    pod.metadata.namespace = namespace
    pod.linux.cgroup_parent = f"/demo/kubepods/pod{name}"
    metadata, image = api.ContainerMetadata(name="c"), api.ImageSpec(image=BUSYBOX)
    container = api.ContainerConfig(metadata=metadata, image=image, command=TICKING)
    container.linux.resources.CopyFrom(api.LinuxContainerResources(**ONE_CPU))
    pod_id = cri("RunPodSandbox", config=pod).pod_sandbox_id
    reply = cri("CreateContainer", pod_sandbox_id=pod_id, config=container, sandbox_config=pod)
    cri("StartContainer", container_id=reply.container_id)
    return str(reply.container_id)


def pinned(ids: dict[str, str]) -> str:
    """What the kernel says of each container's process."""
    return "\n".join(f"{name:<6} Cpus_allowed_list: {container_cgroup(id_).cpus_allowed}" for name, id_ in ids.items())


def state_of(cri: CriClient, container: str) -> str:
    """In words."""
    state = cri("ContainerStatus", container_id=container).status.state
    return api.ContainerState.Name(state).removeprefix("CONTAINER_").lower()


def remembered(root: Path) -> str:
    """The rows of the store."""
    query = """SELECT pods.name, substr(containers.id, 1, 13), state, given_cpuset_cpus, asked_cpu_shares
        FROM containers JOIN pods ON pods.id = pod_id"""
    store = sqlite3.connect(f"file:{root}/relay/state.db?mode=ro", uri=True)
    try:
        rows = store.execute(query).fetchall()
    finally:
        store.close()
    lines = [
        f"{name:<6} id {id_} {state}: given CPUs {cpus}, asked for {shares} shares"
        for name, id_, state, cpus, shares in rows
    ]
    return "\n".join(lines) or "no containers"


def tell() -> None:
    """The whole story, from nothing to nothing."""
    root = Path(tempfile.mkdtemp(prefix="cri-resmgr-demo-"))
    try:
        story(root)
        foresight()
    finally:
        shutil.rmtree(root, ignore_errors=True)
