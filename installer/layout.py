"""Everything that an installation has on a host, and what stands in each file.  Pure: a wish, no change.

| path | what |
|---|---|
| /opt/cri-resmgr/VERSION, /opt/cri-resmgr/current | bundles, and a link to the one in use |
| /etc/cri-resmgr | options, configurations, `lib`: what units run when the bundle does not |
| /etc/systemd/system | the service, its bypass, the link that enables it |
| /etc/systemd/system.control/kubelet.service.d | what asks us before each start of the kubelet |
| /var/lib/cri-resmgr | the daemon's state; `installer`: journal, status, metrics |

The kubelet's drop-in lies where Gardener's node agent does not look: that removes /etc/systemd/system/kubelet.service.d
whenever it writes the unit anew.  What the drop-in names, /run/cri-resmgr/kubelet.env, exists only while there is a
service to talk to, and never survives a boot by itself: a node that has lost /etc or /opt starts its kubelet as ever.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from installer.options import BYPASS, SERVICE

BUNDLES = "/opt/cri-resmgr"
CURRENT = f"{BUNDLES}/current"
PROGRAM = f"{CURRENT}/bin/cri-resmgr"
CONFIG = "/etc/cri-resmgr"
STATE = "/var/lib/cri-resmgr"
OURS = f"{STATE}/installer"
RUN = "/run/cri-resmgr"
PID_FILE = "/run/cri-resmgr.pid"
RELAY_SOCKET = f"{RUN}/cri-resmgr.sock"
ENDPOINT = "unix:///var/run/cri-resmgr/cri-resmgr.sock"
CONFIG_FILES = ("fallback.cfg", "force.cfg")
UNITS = "/etc/systemd/system"
WANTED = f"{UNITS}/multi-user.target.wants/{SERVICE}"
_DROP_IN = "90-cri-resource-manager.conf"
_SHIPPED = Path(__file__).parent
_LIB = ("kubelet-start.sh", "service-ended.sh", "bypass.sh")


@dataclass(frozen=True, slots=True)
class Wish:
    """What one installation is to be."""

    version: str
    runtime_socket: str
    configs: Mapping[str, bytes]
    daemon_flags: tuple[str, ...] = ()


def kubelet_drop_in(unit: str) -> str:
    """Where the kubelet's unit is told to ask us."""
    return f"/etc/systemd/system.control/{unit}.d/{_DROP_IN}"


def kubelet_of(path: str) -> str:
    """The unit whose drop-in a path is; '' for any other path."""
    return Path(path).parent.name.removesuffix(".d") if path.endswith(f"/{_DROP_IN}") else ""


def kubelet_drop_in_content() -> bytes:
    """What it says."""
    return (_SHIPPED / "units" / "kubelet-drop-in.conf").read_bytes()


def service_files(wish: Wish) -> Iterator[tuple[str, bytes]]:
    """Path and content of everything that the service and its bypass need beside the bundle."""
    yield f"{CONFIG}/options", _options(wish).encode()
    for name, content in sorted(wish.configs.items()):
        yield f"{CONFIG}/{name}", content
    for name in _LIB:
        yield f"{CONFIG}/lib/{name}", (_SHIPPED / "node" / name).read_bytes()
    for path in sorted((_SHIPPED / "bypass").glob("*.py")):
        yield f"{CONFIG}/lib/bypass/{path.name}", path.read_bytes()
    for unit in (BYPASS, SERVICE):
        yield f"{UNITS}/{unit}", (_SHIPPED / "units" / unit).read_bytes()


def _options(wish: Wish) -> str:
    chosen = next((name for name in reversed(CONFIG_FILES) if name in wish.configs), "")
    kind = chosen.removesuffix(".cfg")
    config = f"--{kind}-config {CONFIG}/{chosen}" if chosen else ""
    return (
        "# Written by cri-resmgr-installer; your own words belong in /etc/default/cri-resource-manager.\n"
        f"RUNTIME_SOCKET={wish.runtime_socket}\n"
        f"RUNTIME_OPTIONS=--runtime-socket {wish.runtime_socket}\n"
        f"CONFIG_OPTIONS={config}\n"
        f"POLICY_OPTIONS={' '.join(wish.daemon_flags)}\n"
    )
