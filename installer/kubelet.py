"""The kubelet as it runs: which runtime it talks to, how it says that it is well, what its configuration says."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from installer import files, layout
from installer.host import Host, Unit

DEFAULT_ENDPOINT = "unix:///run/containerd/containerd.sock"
DEFAULT_HEALTH_PORT = 10248
EXTRA_ARGS = "$KUBELET_EXTRA_ARGS"
# A kubelet that cannot use its runtime ends within a second or two; one that lives on has met it.
SETTLED_S = 2.0


@dataclass(frozen=True, slots=True)
class Kubelet:
    """What is known of it; `settings` is the text of its configuration file."""

    unit: Unit
    endpoint: str
    health_port: int
    settings: str

    @property
    def socket(self) -> str:
        """The path that it connects to."""
        return self.endpoint.removeprefix("unix://")

    @property
    def on_relay(self) -> bool:
        """It talks to the relay, or to what stands in for it."""
        return self.socket.replace("/var/run/", "/run/") == layout.RELAY_SOCKET

    def setting(self, name: str) -> str:
        """A plain value of the configuration, which is YAML or JSON; '' without one."""
        found = re.search(rf'(?:^|[\s{{,"]){name}"?\s*:\s*"?([^\s",}}#]+)', self.settings)
        return found[1] if found else ""


def look(host: Host, unit: str) -> Kubelet:
    """The kubelet now; what cannot be seen has Kubernetes' default."""
    seen = host.unit(unit)
    arguments = host.arguments(seen.pid) if seen.pid else ()
    config = _flag(arguments, "config")
    path = files.inside(host.root, config) if config else None
    text = path.read_text(errors="replace") if path and path.is_file() else ""
    kubelet = Kubelet(seen, "", DEFAULT_HEALTH_PORT, text)
    endpoint = _flag(arguments, "container-runtime-endpoint") or kubelet.setting("containerRuntimeEndpoint")
    port = _flag(arguments, "healthz-port") or kubelet.setting("healthzPort")
    return Kubelet(seen, endpoint or DEFAULT_ENDPOINT, int(port) if port.isdecimal() else DEFAULT_HEALTH_PORT, text)


def well(host: Host, unit: str) -> bool:
    """It runs and says that it is healthy."""
    kubelet = look(host, unit)
    return kubelet.unit.active and (not kubelet.health_port or host.says_healthy(kubelet.health_port))


def wait_well(host: Host, unit: str, *, on_relay: bool, deadline_s: float) -> float | None:
    """The seconds until it is healthy and talks to whom it should, and the same process is so again; else None."""

    def settled() -> bool:
        kubelet = look(host, unit)
        if kubelet.on_relay != on_relay or not well(host, unit) or (on_relay and not host.relay_connections()):
            return False
        pids.append(kubelet.unit.pid)
        return True

    pids: list[int] = []
    first_s = host.wait(settled, deadline_s)
    if first_s is None:
        return None
    host.pause(SETTLED_S)
    return first_s if settled() and pids[-1] == pids[0] else _again(host, settled, deadline_s)


def _again(host: Host, settled: Callable[[], bool], deadline_s: float) -> float | None:
    """A kubelet that was restarted meanwhile, by somebody else or because it failed, has a second chance."""
    took_s = host.wait(settled, deadline_s)
    host.pause(SETTLED_S)
    return took_s if took_s is not None and settled() else None


def _flag(arguments: tuple[str, ...], name: str) -> str:
    """The last value of a flag counts, as for the kubelet."""
    value = ""
    for at, word in enumerate(arguments):
        if word.startswith(f"--{name}="):
            value = word.partition("=")[2]
        elif word == f"--{name}" and at + 1 < len(arguments):
            value = arguments[at + 1]
    return value
