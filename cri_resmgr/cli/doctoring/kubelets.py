"""The kubelet that runs here: how it was started, what its configuration file says."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from cri_resmgr.cli.doctoring.findings import Finding, unknown, well, wrong

ABOUT = "the kubelet's endpoint"
LIMIT_CONFIG_BYTES = 1 << 20
VERSION_DEADLINE_S = 10.0
# Flags that are said in the file as well; a flag wins.
_FLAGS = {
    "container-runtime-endpoint": "containerRuntimeEndpoint",
    "cpu-manager-policy": "cpuManagerPolicy",
    "memory-manager-policy": "memoryManagerPolicy",
    "topology-manager-policy": "topologyManagerPolicy",
    "cgroup-driver": "cgroupDriver",
}


@dataclass(frozen=True, slots=True)
class Kubelet:
    """One that runs; `problem` says why its configuration file was not read."""

    pid: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""

    def setting(self, name: str) -> str:
        """A setting by its name in the file; "" if it has its default."""
        return str(self.settings.get(name) or "")

    @property
    def socket(self) -> str:
        """The path of the socket that it talks to; "" if it does not say."""
        return self.setting("containerRuntimeEndpoint").removeprefix("unix://")


def found(root: Path) -> Kubelet | None:
    """The first kubelet among the processes of this machine, whose files are below `root`."""
    for directory in sorted((root / "proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        with suppress(OSError):
            if (directory / "comm").read_text().strip() == "kubelet":
                words = (directory / "cmdline").read_bytes().decode(errors="replace").split("\0")
                return _kubelet(int(directory.name), words, root)
    return None


async def version(kubelet: Kubelet) -> str:
    """What its program says; "" if it does not within the deadline."""
    try:
        async with asyncio.timeout(VERSION_DEADLINE_S):
            child = await asyncio.create_subprocess_exec(
                f"/proc/{kubelet.pid}/exe", "--version", stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            try:
                said, _ = await child.communicate()
            finally:
                if child.returncode is None:
                    child.kill()
    except (OSError, TimeoutError):
        return ""
    return said.decode(errors="replace").strip()


def endpoint(kubelet: Kubelet | None, relay_socket: str) -> Finding:
    """Whether it talks to the relay."""
    if kubelet is None:
        return unknown(ABOUT, "no kubelet runs here that can be seen")
    if not kubelet.socket:
        return unknown(ABOUT, f"process {kubelet.pid} does not say which socket it uses. {kubelet.problem}".strip())
    if Path(kubelet.socket).resolve() == Path(relay_socket).resolve():
        return well(ABOUT, f"is the relay's, {relay_socket}")
    return wrong(
        ABOUT,
        f"is {kubelet.socket}, so the kubelet goes past the relay",
        f"start it with --container-runtime-endpoint=unix://{relay_socket}; the installer does that in "
        "/var/lib/kubelet/extra_args",
    )


def _kubelet(pid: int, words: list[str], root: Path) -> Kubelet:
    said = dict(word.lstrip("-").split("=", 1) for word in words if word.startswith("-") and "=" in word)
    # `--flag value` is another way to write it.
    said |= {word.lstrip("-"): value for word, value in pairwise(words)
             if word.startswith("--") and "=" not in word and not value.startswith("-")}  # fmt: skip
    flags = {name: said[flag] for flag, name in _FLAGS.items() if flag in said}
    try:
        return Kubelet(pid, {**_read(root / said["config"].lstrip("/")), **flags} if "config" in said else flags)
    except (OSError, ValueError) as error:
        return Kubelet(pid, flags, f"its configuration file was not read: {error}")


def _read(path: Path) -> dict[str, Any]:
    """The top level of a KubeletConfiguration. Raises OSError and ValueError."""
    import yaml  # noqa: PLC0415 - 20 ms that a probe has no use for

    with path.open("rb") as file:
        text = file.read(LIMIT_CONFIG_BYTES + 1)
    if len(text) > LIMIT_CONFIG_BYTES:
        raise ValueError(f"{path} has more than {LIMIT_CONFIG_BYTES >> 20} MiB")
    try:
        read = yaml.load(text, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"{path} is no YAML: {error}") from error
    return read if isinstance(read, dict) else {}
