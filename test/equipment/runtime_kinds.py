"""The container runtimes that users have, and how each runs in a directory of its own beside any other.

Three things are the same in all of them, because test machines are odd: no AppArmor profile, no negative
`oom_score_adj` (a virtual machine's root may lack CAP_SYS_RESOURCE, and runc then dies with "can't get final child's
PID from pipe"), and network name spaces below the directory, so that unmounting is cleaning up.
"""

import functools
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from equipment import Unavailable
from equipment.images import File
from equipment.stand_ins import PAUSE
from equipment.tools import tool

PLUGINS = "/usr/lib/cni"
TEMPLATES = Path(__file__).parent / "configs"
MIRRORED = ("registry.k8s.io", "gcr.io")


@dataclass(frozen=True)
class Kind:
    """A runtime to choose; `root` is the directory of one instance."""

    name: str
    packages: tuple[str, ...]
    """Debian packages that it runs with."""
    files: Callable[[Path, str], Mapping[str, File]]
    """What it reads, by path below `root`; told the root and the address of a registry."""
    command: Callable[[Path], list[str | Path]]
    socket: str
    """Below `root`."""
    ctr: Callable[[], Path] | None = None
    """containerd's own client; None: the runtime cannot import an archive, and pulls instead."""
    path: Callable[[], str] = lambda: os.environ["PATH"]


def network(bridge: str, subnet: str, root: Path) -> str:
    """The pod network as CNI reads it: a bridge with addresses for pods, ports of the host forwarded to them."""
    ranges = [[{"subnet": subnet}]]
    ipam = {"type": "host-local", "dataDir": f"{root}/ipam", "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}]}
    plugins = [
        {"type": "bridge", "bridge": bridge, "isGateway": True, "ipMasq": False, "ipam": ipam},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    return json.dumps({"cniVersion": "0.4.0", "name": bridge, "plugins": plugins})


def _from_template(name: str, *, mode: int = 0o644, **values: object) -> File:
    """A file of `configs`, with each `@NAME@` in it replaced."""
    text = (TEMPLATES / name).read_text()
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    return File(text, mode)


def _containerd_files(template: str, root: Path, registry: str) -> Mapping[str, File]:
    mirror = f'server = "http://{registry}"\n[host."http://{registry}"]\n  capabilities = ["pull", "resolve"]\n'
    return {
        "containerd.toml": _from_template(template, root=root, pause=PAUSE, plugins=PLUGINS),
        **{f"certs.d/{host}/hosts.toml": File(mirror) for host in MIRRORED},
    }


def _crio_files(root: Path, registry: str) -> Mapping[str, File]:
    mirrors = [f'[[registry]]\nprefix = "{host}"\nlocation = "{registry}"\ninsecure = true\n' for host in MIRRORED]
    return {
        "crio.conf": _from_template(
            "crio.conf", root=root, pause=PAUSE, plugins=PLUGINS, pinns=tool("pinns"), conmon=_installed("conmon")
        ),
        "registries.conf": File("".join(mirrors)),
        "policy.json": File('{"default":[{"type":"insecureAcceptAnything"}]}'),
        "runc": _from_template("runc-clamped", mode=0o755, runc=_installed("runc")),
    }


def _installed(program: str) -> Path:
    """A program of one of the `packages`, which need not be on the path of a user."""
    found = shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if not found:
        raise Unavailable(f"{program} is not on PATH although its Debian package is installed")
    return Path(found)


# The newer shim must be found before Debian's.
def _path_of_containerd2() -> str:
    return f"{tool('containerd').parent}:{os.environ['PATH']}"


_CONTAINERD_PACKAGES = ("containerd", "runc", "containernetworking-plugins", "iproute2")
CONTAINERD16 = Kind(
    "containerd16",
    _CONTAINERD_PACKAGES,
    functools.partial(_containerd_files, "containerd16.toml"),
    lambda root: ["/usr/bin/containerd", "--config", root / "containerd.toml"],
    "containerd.sock",
    ctr=lambda: Path("/usr/bin/ctr"),
)
CONTAINERD2 = Kind(
    "containerd2",
    _CONTAINERD_PACKAGES[1:],
    functools.partial(_containerd_files, "containerd2.toml"),
    lambda root: [tool("containerd"), "--config", root / "containerd.toml"],
    "containerd.sock",
    ctr=lambda: tool("ctr"),
    path=_path_of_containerd2,
)
CRIO = Kind(
    "crio",
    # Without nft CRI-O panics at the first pod with a host port.
    ("conmon", "runc", "containernetworking-plugins", "iproute2", "libseccomp2", "nftables"),
    _crio_files,
    lambda root: [
        *(tool("crio"), "--config", root / "crio.conf", "--config-dir", ""),
        *("--registries-conf", root / "registries.conf"),
    ],
    "crio.sock",
)
