"""The whole examination."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import DecodeError

from cri_resmgr.cli.doctoring import comparing, kubelets, neighbours, serving
from cri_resmgr.cli.doctoring.comparing import DEADLINE_S
from cri_resmgr.cli.doctoring.findings import Finding, well, wrong
from cri_resmgr.cri import api_pb2 as api
from cri_resmgr.cri import methods
from cri_resmgr.cri.runtime import Runtime
from cri_resmgr.wire.client import CallError, Client

_DRIVERS = {api.SYSTEMD: "systemd", api.CGROUPFS: "cgroupfs"}


@dataclass(frozen=True, slots=True)
class Node:
    """Where things are: paths of sockets, and the directory with the host's /proc, /sys and /opt."""

    relay_socket: str
    runtime_socket: str
    config_socket: str
    root: Path = Path("/")


async def examine(node: Node) -> tuple[Finding, ...]:
    """Everything that can be found out."""
    return tuple([finding async for finding in _findings(node)])


async def _findings(node: Node) -> AsyncIterator[Finding]:
    """In the order in which it is understood."""
    relay, runtime = Client(node.relay_socket), Client(node.runtime_socket)
    try:
        both = True
        for about, client in (("the runtime", runtime), ("the relay", relay)):
            found = await _answers(about, client)
            yield found
            both = both and not found.remedy
        yield await serving.finding(node.config_socket, deadline_s=DEADLINE_S)
        if both:
            outcomes = await comparing.compare(relay, runtime)
            for finding in comparing.findings(outcomes):
                yield finding
            yield comparing.lost(outcomes)
        async for finding in _around(node, await _driver(runtime)):
            yield finding
    finally:
        relay.close()
        runtime.close()


async def _answers(about: str, client: Client) -> Finding:
    try:
        said = await Runtime(client).version(deadline_s=DEADLINE_S)
    except CallError as error:
        units = "containerd or crio" if about == "the runtime" else "cri-resource-manager"
        return wrong(about, f"does not answer: {error.text}", f"start it: `systemctl status {units}` says why it ended")
    return well(about, f"answers at {client.path}: {said.runtime} {said.version}")


async def _around(node: Node, driver: str) -> AsyncIterator[Finding]:
    kubelet = kubelets.found(node.root)
    yield kubelets.endpoint(kubelet, node.relay_socket)
    if kubelet is not None and node.root == Path("/") and (said := await kubelets.version(kubelet)):
        yield well("the kubelet's version", said)
    yield neighbours.control_groups(node.root, kubelet, driver)
    for finding in (*neighbours.managers(kubelet), *neighbours.plugins(node.root)):
        yield finding


async def _driver(runtime: Client) -> str:
    """The runtime's driver for control groups; "" where it does not say, as containerd before 2.0."""
    try:
        answer = await runtime.call(methods.RUNTIME + "RuntimeConfig", b"", deadline_s=DEADLINE_S)
        said = api.RuntimeConfigResponse.FromString(answer)
    except (CallError, DecodeError):
        return ""
    return _DRIVERS.get(said.linux.cgroup_driver, "") if said.HasField("linux") else ""
