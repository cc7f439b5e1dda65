"""A node to install on: systemd, containerd and a kubelet without a cluster, which runs the pods of a directory.

Bundles are small ones that run the checkout with the sandbox's own Python; what the installer does with them is all
the same.  What is to be found on the node is read inside, by a program that knows no links out of it.
"""

import contextlib
import hashlib
import http.client
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from equipment import stand_ins, worker
from equipment.kubelet import kubelet_configuration
from equipment.processes import wait_for
from equipment.sandbox import Bind, Sandbox
from equipment.tools import tool
from installer import layout
from node.cluster_fixtures import run_directory

NAME = "crirm-installer"
KUBELET_PORT = 20290
BUNDLES = "/opt/under-test/bundles"
MANIFESTS = "/etc/kubernetes/manifests"
PYTHON = '#!/bin/sh\nexec /usr/bin/python3 "$@"\n'
RELAY, PLAIN = f"unix:///var{worker.RELAY_SOCKET}", f"unix://{worker.RUNTIME_SOCKET}"
EXTRA_ARGS = 'PROVIDER_ID=some\nKUBELET_EXTRA_ARGS="--v=3"\n'
"""What is in the kubelet's file before an installation."""
FALLBACK = "policy:\n  Active: none\n"
# What is the kubelet's, containerd's and the journal's changes all the time.
TREE = """
import hashlib, json, os, stat
found = {}
def visit(path):
    status = os.lstat(path)
    kind = stat.S_IFMT(status.st_mode)
    facts = [oct(status.st_mode), status.st_uid, status.st_gid]
    if kind == stat.S_IFREG:
        facts += [status.st_mtime_ns, hashlib.sha256(open(path, "rb").read()).hexdigest()]
    elif kind == stat.S_IFLNK:
        facts += [os.readlink(path)]
    found[path] = facts
    if kind == stat.S_IFDIR and path not in ("/var/lib/containerd", "/var/lib/kubelet/pods", "/var/log", "/var/tmp"):
        for name in sorted(os.listdir(path)):
            visit(os.path.join(path, name))
for root in ("/etc", "/opt", "/usr/local", "/var", "/run/systemd/system", "/root"):
    visit(root)
for path in list(found):
    if path.startswith(("/var/lib/kubelet/", "/var/lib/systemd/", "/var/lib/private", "/opt/under-test")):
        if path != "/var/lib/kubelet/extra_args":
            del found[path]
found["/run"] = sorted(os.listdir("/run"))
print(json.dumps(found))
"""


# A daemon that answers CRI's Version call, and ends every other one.
ONLY_VERSION = f"""\
#!/usr/bin/python3
import sys
sys.path[:0] = ["{worker.PACKAGE}", "{worker.LIBRARIES}"]
if sys.argv[1] == "config":
    sys.exit()
import os
from concurrent import futures
import grpc
from cri_resmgr.cri import api_pb2
from cri_resmgr.cli.systemd import service_manager

def version(request, context):
    return api_pb2.VersionResponse(version="0.1.0", runtime_name="containerd", runtime_version="1")

handler = grpc.unary_unary_rpc_method_handler(
    version, api_pb2.VersionRequest.FromString, api_pb2.VersionResponse.SerializeToString)
server = grpc.server(futures.ThreadPoolExecutor(2))
server.add_generic_rpc_handlers([
    grpc.method_handlers_generic_handler("runtime.v1.RuntimeService", dict(Version=handler))])
os.makedirs("/run/cri-resmgr", exist_ok=True)
server.add_insecure_port("unix:/run/cri-resmgr/cri-resmgr.sock")
server.start()
service_manager(os.environ).notify("READY=1")
server.wait_for_termination()
"""


@dataclass(frozen=True)
class Node:
    """A booted node and where its bundles are made."""

    sandbox: Sandbox
    bundles: Path
    JOURNAL = f"{layout.OURS}/journal.json"
    PACKAGE = worker.PACKAGE
    ONLY_VERSION = ONLY_VERSION

    def installer(self, verb: str, *flags: str, pod: bool = False, check: bool = True) -> str:
        """What the installer prints; with `pod` it sees the host's root at /mnt, as a pod does at /host."""
        command = ["env", f"PYTHONPATH={worker.PACKAGE}", "python3", "-B", "-m", "installer.cli", verb, *flags]
        if pod:
            script = 'mount --make-rprivate / && mount --rbind / /mnt && exec "$@" --host-root=/mnt'
            command = ["unshare", "--mount", "--", "sh", "-euc", script, "sh", *command]
        return self.sandbox.inside(*command, check=check, deadline_s=180)

    def install(self, bundle: str, *flags: str, pod: bool = False, check: bool = True) -> str:
        where = (f"--bundle={BUNDLES}/{bundle}", "--config-dir=/root")
        return self.installer("install", *where, *flags, pod=pod, check=check)

    def bundle(self, version: str, program: str = worker.LAUNCHER) -> str:
        """Make one whose daemon is `program`."""
        tree = self.bundles / version
        shutil.rmtree(tree, ignore_errors=True)
        files = {"bin/cri-resmgr": program, "bin/python3": PYTHON, "VERSION": f"{version}\n"}
        for name, text in files.items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text(text)
            (tree / name).chmod(0o755 if name.startswith("bin/") else 0o644)
        sums = (f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n" for name, text in sorted(files.items()))
        (tree / "MANIFEST").write_text("".join(sums))
        return version

    def tree(self) -> dict[str, object]:
        """Everything that an installation could leave behind."""
        found: dict[str, object] = json.loads(self.sandbox.inside("python3", "-c", TREE))
        return found

    def units(self) -> list[str]:
        """Names and states of everything that systemd has loaded, but for what comes and goes."""
        listing = self.sandbox.inside("systemctl", "list-units", "--all", "--plain", "--no-legend")
        rows = (line.split()[:4] for line in listing.splitlines())
        files = self.sandbox.inside("systemctl", "list-unit-files", "--plain", "--no-legend").splitlines()
        return sorted(" ".join(row) for row in rows if row[0].endswith((".service", ".socket"))) + files

    def endpoint(self) -> str:
        """Whom the kubelet talks to: RELAY or PLAIN."""
        return worker.kubelet_endpoint(self.sandbox)

    def status(self) -> dict[str, object]:
        """What the installer says; it changes nothing that has not changed."""
        found: dict[str, object] = json.loads(self.installer("status", "--output=json", check=False))
        return found

    def wait_state(self, state: str, deadline_s: float = 60) -> None:
        wait_for(lambda: self.status()["state"] == state, f"the state to be {state}", deadline_s)

    def healthy(self) -> bool:
        """The kubelet's own word; it shares our network."""
        connection = http.client.HTTPConnection("127.0.0.1", KUBELET_PORT - 1, timeout=5)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/healthz")
            return connection.getresponse().status == http.client.OK
        return False

    def metrics(self) -> str:
        """For Prometheus."""
        return self.sandbox.inside("cat", f"{layout.OURS}/metrics.prom")

    def reboot(self) -> None:
        """Power off and boot; units that fail then are what the test is about."""
        try:
            self.sandbox.reboot()
        except RuntimeError as error:
            if not str(error).startswith("units failed"):
                raise

    def pods(self) -> dict[str, str]:
        """Start time of each pod's process, by the words that it was started with."""
        listing = self.sandbox.inside("ps", "-eo", "lstart=,args=")
        return {line[25:]: line[:24] for line in listing.splitlines() if "sleep 77" in line[25:]}

    def add_pod(self, name: str) -> None:
        """A pod, and wait until the kubelet has brought it up."""
        count = len(self.pods())
        command = ["sleep", f"77{count:05}"]
        container = {"name": "c", "image": stand_ins.BUSYBOX, "imagePullPolicy": "Never", "command": command}
        spec = {"hostNetwork": True, "terminationGracePeriodSeconds": 1, "containers": [container]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        # Made elsewhere: the kubelet would take a half-made file's other name for another pod.
        self.sandbox.write_file(f"/etc/kubernetes/{name}.json", json.dumps(pod))
        self.sandbox.inside("mv", f"/etc/kubernetes/{name}.json", MANIFESTS)
        wait_for(lambda: len(self.pods()) > count, f"pod {name}", 90)

    def remove_pods(self) -> None:
        """All of them."""
        self.sandbox.inside("sh", "-c", f"rm -f {MANIFESTS}/*")
        wait_for(lambda: not self.pods(), "pods to end", 90)


def furnish_kubelet(sandbox: Sandbox) -> None:
    """kubelet.service as Gardener writes it, but on its own."""
    settings = kubelet_configuration(address=IPv4Address("127.0.0.1"), port=KUBELET_PORT, authority="")
    settings |= {
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "staticPodPath": MANIFESTS,
        "fileCheckFrequency": "1s",
        "containerRuntimeEndpoint": "",
    }
    sandbox.write_file("/var/lib/kubelet/config/kubelet", json.dumps(settings))
    sandbox.write_file("/var/lib/kubelet/extra_args", EXTRA_ARGS)
    sandbox.write_file("/etc/environment", "")
    sandbox.write_file("/root/fallback.cfg", FALLBACK)
    unit = worker.KUBELET_UNIT.format(node=sandbox.name, address="127.0.0.1")
    unit = unit.replace("    --kubeconfig=/var/lib/kubelet/kubeconfig-real \\\n", "")
    sandbox.write_file("/etc/systemd/system/kubelet.service", unit, mode=0o600)
    sandbox.enable("kubelet.service")


@pytest.fixture
def node(rootfs: Path) -> Iterator[Node]:
    """Booted, its kubelet healthy on the plain runtime; nothing of ours on it."""
    directory = run_directory(NAME)
    bundles = directory / "bundles"
    binds = (
        *worker.daemon_binds(rootfs),
        Bind(tool("kubelet"), "/opt/bin/kubelet"),
        Bind(worker.REPOSITORY / "installer", f"{worker.PACKAGE}/installer"),
        Bind(bundles, BUNDLES, writable=True),
    )
    sandbox = Sandbox(directory, rootfs, name=NAME, binds=binds)
    try:
        bundles.mkdir(exist_ok=True)
        worker.furnish_containerd(sandbox)
        furnish_kubelet(sandbox)
        (sandbox.directory / "root" / MANIFESTS.lstrip("/")).mkdir(parents=True)
        sandbox.boot()
        worker.import_images(sandbox)
        made = Node(sandbox, bundles)
        made.bundle("one")
        made.bundle("two")
        wait_for(made.healthy, "the kubelet")
        yield made
    finally:
        sandbox.down()
