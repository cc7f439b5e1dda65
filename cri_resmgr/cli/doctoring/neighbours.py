"""Who else sets CPUs and memory on this node, and what control groups it has."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cri_resmgr.cli.doctoring.findings import Finding, unknown, warning, well, wrong
from cri_resmgr.cli.doctoring.kubelets import Kubelet

PLUGINS = "opt/nri/plugins"
# NRI plugins that set CPUs or memory nodes themselves, by parts of their names.
PINNING = ("nri-resource-policy", "topology-aware", "balloons", "nri-memory-policy", "koordlet", "cpu-manager")
_MANAGERS = (("cpuManagerPolicy", "none"), ("memoryManagerPolicy", "None"))
_STATES = {"cpuManagerPolicy": "cpu_manager_state", "memoryManagerPolicy": "memory_manager_state"}


def managers(kubelet: Kubelet | None) -> Iterator[Finding]:
    """The kubelet's own managers."""
    if kubelet is None:
        return
    if kubelet.problem:
        yield unknown("the kubelet's managers", kubelet.problem)
        return
    for name, plain in _MANAGERS:
        value = kubelet.setting(name)
        if value.lower() not in {"", "none"}:
            remedy = f"set {name}: {plain}, and remove /var/lib/kubelet/{_STATES[name]} before the kubelet starts"
            yield wrong(name, f"is {value}: kubelet and policy would both set CPUs or memory", remedy)
    topology = kubelet.setting("topologyManagerPolicy")
    if topology not in {"", "none"}:
        text = f"is {topology}: without its CPU manager it refuses pods for the sake of devices alone"
        yield warning("topologyManagerPolicy", text, "set it to none")


def plugins(root: Path) -> Iterator[Finding]:
    """NRI plugins, installed or running."""
    installed = {path.name for path in (root / PLUGINS).glob("*")}
    running = {name for name in _programs(root) if any(word in name for word in PINNING)}
    for name in sorted(installed | running):
        if any(word in name for word in PINNING):
            yield wrong("NRI", f"the plugin {name} sets CPUs and memory itself", "remove it, or use it instead of us")
        else:
            yield warning("NRI", f"the plugin {name} may change containers after us", f"see what it does: /{PLUGINS}")
    if not installed | running:
        yield well("NRI", "no plugin that pins is installed or runs")


def control_groups(root: Path, kubelet: Kubelet | None, runtime_driver: str) -> Finding:
    """Version and driver; `runtime_driver` is "" where the runtime does not say."""
    version = _version(root / "sys/fs/cgroup")
    ours = kubelet.setting("cgroupDriver") if kubelet else ""
    if ours and runtime_driver and ours != runtime_driver:
        text = f"version {version}; the kubelet's driver is {ours}, the runtime's {runtime_driver}"
        return wrong("control groups", text, "give both the same: cgroupDriver, and SystemdCgroup of the runtime")
    driver = runtime_driver or ours
    return well("control groups", f"version {version}, driver {driver or 'not said by kubelet or runtime'}")


def _version(mount: Path) -> str:
    if (mount / "cgroup.controllers").exists():
        return "2"
    return "1 with an empty 2 beside it" if (mount / "unified/cgroup.controllers").exists() else "1"


def _programs(root: Path) -> Iterator[str]:
    """Names of the programs that run; a process's own name has 15 letters at most, so it is its first word."""
    for directory in (root / "proc").glob("[0-9]*"):
        with suppress(OSError):
            first = (directory / "cmdline").read_bytes().partition(b"\0")[0]
            if first:
                yield Path(first.decode(errors="replace")).name
