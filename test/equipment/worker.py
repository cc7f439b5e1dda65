"""What makes a sandbox a node like Gardener's workers: containerd, our daemon as a service, the kubelet.

Each `furnish_…` writes files into a sandbox that does not run yet; booting it then is all there is to do.
"""

import json
import re
import sysconfig
from pathlib import Path

from equipment import Unavailable, images, stand_ins
from equipment.control_plane import ControlPlane
from equipment.credentials import node_user
from equipment.kubelet import kubelet_configuration
from equipment.sandbox import Bind, Sandbox

REPOSITORY = Path(__file__).parents[2]
UNIT = "cri-resource-manager.service"
UNIT_FILE = REPOSITORY / "installer" / "units" / UNIT
RELAY_SOCKET = "/run/cri-resmgr/cri-resmgr.sock"
RUNTIME_SOCKET = "/run/containerd/containerd.sock"
KUBELET_PORT = 20260
POD_NETWORK = "10.199.0.0/24"

PACKAGE = "/opt/under-test/package"
LIBRARIES = "/opt/under-test/libraries"

# Debian's Python in the sandbox runs the checkout with the libraries of .venv, which are not Debian's.
LAUNCHER = f"""\
#!/bin/sh
export PYTHONPATH={PACKAGE}:{LIBRARIES}
exec /usr/bin/python3 -c 'import sys; from cri_resmgr.cli.main import main; sys.exit(main())' "$@"
"""

CONTAINERD_CONFIG = """\
version = 2
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.k8s.io/pause:3.9"
  disable_apparmor = true
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
"""

# As gardener-node-agent writes it, without the bootstrap kubeconfig: two endpoint flags are a kubelet's life here.
KUBELET_UNIT = """\
[Unit]
Description=kubelet daemon
Documentation=https://kubernetes.io/docs/admin/kubelet
After=containerd.service
[Install]
WantedBy=multi-user.target
[Service]
Restart=always
RestartSec=5
EnvironmentFile=/etc/environment
EnvironmentFile=-/var/lib/kubelet/extra_args
ExecStart=/opt/bin/kubelet \\
    --config=/var/lib/kubelet/config/kubelet \\
    --kubeconfig=/var/lib/kubelet/kubeconfig-real \\
    --hostname-override={node} \\
    --node-ip={address} \\
    --node-labels=worker.gardener.cloud/cri-name=containerd \\
    --container-runtime-endpoint=unix:///run/containerd/containerd.sock \\
    --runtime-cgroups=/system.slice/containerd.service \\
    --v=2 $KUBELET_EXTRA_ARGS
"""


def daemon_binds(rootfs: Path) -> tuple[Bind, ...]:
    """The code under test and its libraries, for `Sandbox`; raises Unavailable when they are for another Python."""
    libraries = Path(sysconfig.get_path("purelib"))
    theirs = (rootfs / "usr/bin/python3").readlink().name
    if libraries.parent.name != theirs:
        raise Unavailable(f"{libraries} is not for the sandbox's {theirs}; make .venv with {theirs}")
    return (Bind(REPOSITORY / "cri_resmgr", f"{PACKAGE}/cri_resmgr"), Bind(libraries, LIBRARIES))


def furnish_containerd(sandbox: Sandbox) -> None:
    """Configure Debian's containerd, with a pod network."""
    sandbox.write_file("/etc/containerd/config.toml", CONTAINERD_CONFIG)
    ipam = {"type": "host-local", "ranges": [[{"subnet": POD_NETWORK}]], "routes": [{"dst": "0.0.0.0/0"}]}
    bridge = {"type": "bridge", "bridge": sandbox.bridge, "isGateway": True, "ipMasq": False, "ipam": ipam}
    network = {"cniVersion": "0.4.0", "name": "sandbox", "plugins": [bridge]}
    sandbox.write_file("/etc/cni/net.d/10-bridge.conflist", json.dumps(network))


def furnish_daemon(sandbox: Sandbox, unit: str | None = None) -> None:
    """Install our service with the unit that we ship, or with the text `unit`; it is not started."""
    unit = unit or UNIT_FILE.read_text()
    sandbox.write_file(f"/etc/systemd/system/{UNIT}", unit)
    sandbox.write_file(_program(unit), LAUNCHER, mode=0o755)


def furnish_kubelet(sandbox: Sandbox, control_plane: ControlPlane) -> None:
    """Install kubelet.service, which joins the cluster at boot; the sandbox needs a bind of /opt/bin/kubelet."""
    credentials = control_plane.credentials
    configuration = kubelet_configuration(
        address=control_plane.address, port=KUBELET_PORT, authority="/var/lib/kubelet/ca.crt"
    )
    sandbox.write_file("/var/lib/kubelet/config/kubelet", json.dumps(configuration | {"containerRuntimeEndpoint": ""}))
    sandbox.write_file("/var/lib/kubelet/ca.crt", credentials.authority.read_text())
    kubeconfig = credentials.kubeconfig(node_user(sandbox.name)).read_text()
    sandbox.write_file("/var/lib/kubelet/kubeconfig-real", kubeconfig)
    sandbox.write_file("/etc/environment", "")
    unit = KUBELET_UNIT.format(node=sandbox.name, address=control_plane.address)
    sandbox.write_file("/etc/systemd/system/kubelet.service", unit, mode=0o600)
    sandbox.enable("kubelet.service")


def kubelet_arguments(sandbox: Sandbox) -> list[str]:
    """The command line of the one that runs."""
    return sandbox.inside("cat", f"/proc/{sandbox.show('kubelet', 'MainPID')}/cmdline").split("\0")


def kubelet_endpoint(sandbox: Sandbox) -> str:
    """Whom it talks to: the last of several flags counts."""
    flag = "--container-runtime-endpoint="
    return [word.removeprefix(flag) for word in kubelet_arguments(sandbox) if word.startswith(flag)][-1]


def import_images(sandbox: Sandbox) -> None:
    """Give the running sandbox's containerd the images PAUSE and BUSYBOX of `stand_ins`."""
    wanted = {stand_ins.PAUSE, stand_ins.BUSYBOX}
    layout = images.build(image for image in stand_ins.stand_ins() if wanted & set(image.names))
    layout.write_archive(sandbox.outside("/run/images.tar"))
    sandbox.inside("ctr", "--namespace=k8s.io", "images", "import", "/run/images.tar")


def _program(unit: str) -> str:
    """The program that a unit starts."""
    found = re.search(r"^ExecStart=[-@:+!]*(\S+)", unit, re.MULTILINE)
    if not found:
        raise ValueError(f"{UNIT} has no ExecStart=")
    return found[1]
