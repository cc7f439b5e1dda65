"""Is this node fit?  Looks, and changes nothing; every finding says what to do about it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from installer import files, kubelet, layout
from installer.errors import Failed
from installer.host import Host
from installer.kubelet import Kubelet
from installer.options import SERVICE, Options

TESTED_RUNTIMES = ("containerd", "cri-o")
# NRI plugins that set CPUs or memory nodes themselves: two hands on one control.
PINNING = ("nri-resource-policy", "topology-aware", "balloons", "nri-memory-policy", "koordlet", "cpu-manager")
NEEDED_BYTES = 300 << 20  # two bundles beside each other, and some state


@dataclass(frozen=True, slots=True)
class Finding:
    """`level` is refuse, warn or fact; the text of the first two ends with the remedy."""

    level: str
    text: str


def findings(host: Host, options: Options, *, installed: bool) -> tuple[Finding, ...]:
    """Everything that is to be said about this node."""
    return tuple(_findings(host, options, installed=installed))


def refusals(found: tuple[Finding, ...]) -> str:
    """Why the node is refused; '' when it is fit."""
    return "; ".join(one.text for one in found if one.level == "refuse")


def runtime_socket(options: Options, seen: Kubelet) -> str:
    """The runtime's own socket: what was said, else what the kubelet is told to use when we are not there."""
    socket = options.runtime_socket.removeprefix("unix://") or ("" if seen.on_relay else seen.socket)
    return socket.replace("/var/run/", "/run/", 1)


def _findings(host: Host, options: Options, *, installed: bool) -> Iterator[Finding]:
    if not _runs_systemd(host):
        yield Finding("refuse", "the first process of the host is not systemd; run with hostPID, on a systemd host")
        return
    seen = kubelet.look(host, options.kubelet_unit)
    yield from _about_kubelet(host, options, seen)
    if not installed:
        yield from _about_runtime(host, options, seen)
        if host.unit(SERVICE).loaded:
            yield Finding("refuse", f"{SERVICE} is there already and not ours; uninstall that installation first")
    yield from _about_neighbours(host, seen)
    yield from _about_places(host)
    yield from _about_kernel(host, seen)


def _runs_systemd(host: Host) -> bool:
    comm = host.root / "proc/1/comm"
    return comm.is_file() and comm.read_text().strip() == "systemd"


def _about_kubelet(host: Host, options: Options, seen: Kubelet) -> Iterator[Finding]:
    if not seen.unit.loaded:
        yield Finding("refuse", f"there is no {options.kubelet_unit}; name the kubelet's unit with --kubelet-unit")
    elif kubelet.EXTRA_ARGS not in seen.unit.command:
        text = f"{options.kubelet_unit} does not use {kubelet.EXTRA_ARGS}; add it to the end of its ExecStart="
        yield Finding("refuse", text)
    elif not seen.unit.active:
        yield Finding("warn", f"{options.kubelet_unit} does not run; it will use the relay once it is started")
    elif not kubelet.well(host, options.kubelet_unit):
        yield Finding("refuse", f"{options.kubelet_unit} is not healthy as it is; put that right first")
    if seen.unit.active and seen.health_port == 0:
        yield Finding("warn", "the kubelet's healthzPort is 0; set one, or a kubelet that hangs is not noticed")


def _about_runtime(host: Host, options: Options, seen: Kubelet) -> Iterator[Finding]:
    socket = runtime_socket(options, seen)
    if not socket:
        yield Finding("refuse", "the kubelet talks to a relay that is not ours; give --runtime-socket, or remove it")
        return
    try:
        runtime = host.runtime(socket)
    except Failed as error:
        yield Finding("refuse", f"{error}; start it, or name its socket with --runtime-socket")
        return
    if runtime.name.startswith(TESTED_RUNTIMES):
        yield Finding("fact", f"runtime {runtime.name} {runtime.version} at {socket}")
    else:
        yield Finding("refuse", f"runtime {runtime.name} is not tested; tested are {' and '.join(TESTED_RUNTIMES)}")


def _about_neighbours(host: Host, seen: Kubelet) -> Iterator[Finding]:
    for name, plain in (("cpuManagerPolicy", "none"), ("memoryManagerPolicy", "None")):
        value = seen.setting(name)
        if value and value.lower() != "none":
            text = f"the kubelet's {name} is {value} and would set the same CPUs or memory; set it to {plain}"
            yield Finding("refuse", text)
    topology = seen.setting("topologyManagerPolicy")
    if topology and topology != "none":
        yield Finding("warn", f"the kubelet's topologyManagerPolicy is {topology}; it sees devices only now, set none")
    plugins = files.inside(host.root, "/opt/nri/plugins/x").parent
    for name in sorted(path.name for path in plugins.iterdir()) if plugins.is_dir() else ():
        level = "refuse" if any(word in name for word in PINNING) else "warn"
        yield Finding(level, f"NRI plugin {name} may set the resources of containers; remove it from {plugins}")


def _about_places(host: Host) -> Iterator[Finding]:
    for path in (layout.BUNDLES, layout.CONFIG, layout.UNITS, layout.STATE):
        at = files.inside(host.root, path)
        while not at.is_dir():
            at = at.parent
        status = os.statvfs(at)
        if status.f_flag & os.ST_RDONLY:
            yield Finding("refuse", f"{path} is on a read-only file system; it must be writable")
        if path == layout.BUNDLES and status.f_flag & os.ST_NOEXEC:
            yield Finding("refuse", f"{path} is on a file system mounted noexec; mount it with exec")
        if path == layout.BUNDLES and status.f_bavail * status.f_frsize < NEEDED_BYTES:
            yield Finding("refuse", f"{path} has less than {NEEDED_BYTES >> 20} MiB free; make room")


def _about_kernel(host: Host, seen: Kubelet) -> Iterator[Finding]:
    if _text(host.root / "sys/fs/selinux/enforce") == "1":
        text = "SELinux is enforcing, which nobody has tried with us; look for denials with `ausearch -m avc`"
        yield Finding("warn", text)
    version = 2 if (host.root / "sys/fs/cgroup/cgroup.controllers").exists() else 1
    yield Finding("fact", f"cgroup version {version}, driver {seen.setting('cgroupDriver') or 'the default'}")


def _text(path: Path) -> str:
    return path.read_text().strip() if path.is_file() else ""
