"""A host for the installer: its files are real, below a directory; systemd, daemon and kubelet are a few rules.

What it remembers is in a file, so a process that was killed leaves the host as it was.  It knows one law, and writes
down who breaks it: the kubelet never talks to a path that nobody serves.
"""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from installer import layout
from installer.cri_version import Runtime
from installer.errors import Failed
from installer.host import Unit
from installer.options import BYPASS, SERVICE

KUBELET = "kubelet.service"
RUNTIME_SOCKET = "/run/containerd/containerd.sock"
PLAIN = f"unix://{RUNTIME_SOCKET}"
CONFIG = "/var/lib/kubelet/config/kubelet"
BROKEN = "broken"  # a bundle with this file has a daemon that does not come up
_TRIES = 3


class ModelHost:
    """The methods of `installer.host.Host`."""

    def __init__(self, root: Path) -> None:
        """Files below `root`, memory beside it."""
        self.root = root
        self._memory = root.with_name(f"{root.name}.json")
        if not self._memory.exists():
            plain = {"endpoint": PLAIN, "pid": 1000, "running": True}
            self._write({"loaded": [], "active": [], "kubelet": plain, "broken_laws": [], "kubelet_obeys": True})

    @property
    def memory(self) -> dict[str, Any]:
        """What it remembers."""
        return json.loads(self._memory.read_text())

    def set(self, **facts: object) -> None:
        """Change what it remembers."""
        self._write({**self.memory, **facts})

    def unit(self, name: str) -> Unit:
        memory = self.memory
        if name == KUBELET:
            state = "active" if memory["kubelet"]["running"] else "inactive"
            return Unit(True, state, memory["kubelet"]["pid"], "/opt/bin/kubelet $KUBELET_EXTRA_ARGS")
        return Unit(name in memory["loaded"], "active" if name in memory["active"] else "inactive", 0, "")

    def systemctl(self, *words: str) -> str:
        verb, name = words[0], words[-1]
        if verb == "daemon-reload":
            self.set(loaded=[one for one in (SERVICE, BYPASS) if self._path(f"{layout.UNITS}/{one}").is_file()])
        elif verb == "restart" and name == KUBELET:
            self._start_kubelet()
        elif verb in {"start", "restart"}:
            self._start(name)
        elif verb == "stop":
            self.set(active=[one for one in self.memory["active"] if one != name])
        else:
            raise Failed(f"the model knows no systemctl {words}")
        self._check_law(f"systemctl {' '.join(words)}")
        return ""

    def run(self, *command: str) -> tuple[int, str]:
        if command[:3] == (layout.PROGRAM, "release", "--all") and self.memory["active"]:
            self._breaks("containers are released while somebody serves")
        return 0, ""

    def arguments(self, pid: int) -> tuple[str, ...]:
        endpoint = self.memory["kubelet"]["endpoint"]
        flag = "--container-runtime-endpoint"
        return ("/opt/bin/kubelet", f"--config={CONFIG}", f"{flag}={PLAIN}", f"{flag}={endpoint}")

    def runtime(self, socket: str) -> Runtime:
        if socket == layout.RELAY_SOCKET and not self.memory["active"]:
            raise Failed(f"{socket}: nobody is there")
        return Runtime("containerd", "1.6.20")

    def says_healthy(self, port: int) -> bool:
        return self.kubelet_is_well()

    def relay_connections(self) -> int:
        return int(self.memory["kubelet"]["endpoint"] != PLAIN and bool(self.memory["active"]))

    def wait(self, condition: Callable[[], bool], deadline_s: float) -> float | None:
        return 0.0 if any(condition() for _ in range(_TRIES)) else None

    def pause(self, seconds: float) -> None:
        """Time does not pass."""

    def reboot(self) -> None:
        """Everything stops; what the files say starts."""
        for path in sorted(self._path(layout.RUN).glob("*")):
            path.unlink()
        self.set(active=[], kubelet={**self.memory["kubelet"], "endpoint": PLAIN})
        self.systemctl("daemon-reload")
        if self._path(layout.WANTED).is_symlink() and SERVICE in self.memory["loaded"]:
            self._start(SERVICE)
        self._start_kubelet()
        self._check_law("reboot")

    def kubelet_is_well(self) -> bool:
        """It runs, on a runtime that answers."""
        memory = self.memory
        return memory["kubelet"]["running"] and (memory["kubelet"]["endpoint"] == PLAIN or bool(memory["active"]))

    def _start(self, name: str) -> None:
        if name not in self.memory["loaded"]:
            raise Failed(f"{name} is not loaded")
        bundle = self._path(layout.CURRENT)
        works = (bundle / "bin/cri-resmgr").is_file() and not (bundle / BROKEN).exists()
        if works:
            self._path(layout.STATE).mkdir(exist_ok=True)
            (self._path(layout.STATE) / "state.db").touch()
        self.set(active=[SERVICE if works else BYPASS])

    def _start_kubelet(self) -> None:
        drop_in = self._path(layout.kubelet_drop_in(KUBELET)).is_file()
        script = self._path(f"{layout.CONFIG}/lib/kubelet-start.sh").is_file()
        program = self._path(layout.PROGRAM).is_file()
        to_relay = drop_in and script and program and bool(self.memory["active"])
        kubelet = self.memory["kubelet"]
        endpoint = layout.ENDPOINT if to_relay and self.memory["kubelet_obeys"] else PLAIN
        self.set(kubelet={**kubelet, "pid": kubelet["pid"] + 1, "endpoint": endpoint})

    def _check_law(self, after: str) -> None:
        if not self.kubelet_is_well():
            self._breaks(f"the kubelet has no runtime after {after}")

    def _breaks(self, law: str) -> None:
        self.set(broken_laws=[*self.memory["broken_laws"], law])

    def _path(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def _write(self, memory: dict[str, Any]) -> None:
        aside = self._memory.with_suffix(".new")
        aside.write_text(json.dumps(memory))
        aside.rename(self._memory)


def make_root(root: Path) -> ModelHost:
    """A host with a kubelet and files of other people."""
    for path, text in (
        ("proc/1/comm", "systemd\n"),
        (CONFIG, "cpuManagerPolicy: none\ncgroupDriver: systemd\n"),
        ("/var/lib/kubelet/extra_args", "PROVIDER_ID=some\n"),
        ("/etc/systemd/system/kubelet.service", "[Service]\n"),
    ):
        (root / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        (root / path.lstrip("/")).write_text(text)
    theirs = root / "etc/cri-resmgr/fallback.cfg"
    theirs.parent.mkdir()
    theirs.write_text("# by hand\n")
    theirs.chmod(0o640)
    os.utime(theirs, (1, 1))
    for path in ("opt", "run", "etc/systemd/system/multi-user.target.wants"):
        (root / path).mkdir(parents=True, exist_ok=True)
    return ModelHost(root)


def make_bundle(tree: Path, version: str, *, broken: bool = False) -> Path:
    """A small one, with a daemon for the model."""
    files = {"bin/cri-resmgr": "#!/bin/sh\nexit 0\n", "bin/python3": f"# {version}\n", "VERSION": f"{version}\n"}
    if broken:
        files[BROKEN] = ""
    sums = []
    for name, text in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if name.startswith("bin/") else 0o644)
        sums.append(f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n")
    (tree / "MANIFEST").write_text("".join(sorted(sums)))
    return tree
