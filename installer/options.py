"""What the command line says, and the places on the host that everything happens at."""

from dataclasses import dataclass
from pathlib import Path

SERVICE = "cri-resource-manager.service"
BYPASS = "cri-resource-manager-bypass.service"


@dataclass(frozen=True, slots=True)
class Options:
    """One command line; a verb reads what it needs."""

    host_root: Path = Path("/")
    kubelet_unit: str = "kubelet.service"
    bundle: Path = Path("/bundle")
    config_dir: Path | None = None
    runtime_socket: str = ""
    daemon_flags: tuple[str, ...] = ()
    deadline_s: float = 60.0
    force: bool = False
    mode: str = "install"
    output: str = "text"
