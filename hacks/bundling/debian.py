"""Packages of Debian for any architecture, through apt's own verification and the mirrors that this machine knows.

apt works in a directory of its own: nothing is installed, no lock of the machine's is taken, and no root is needed.
"""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DEADLINE_S = 600


@dataclass(frozen=True)
class Package:
    """One that was downloaded."""

    file: Path
    name: str
    version: str
    source: str
    """Name of its source package."""
    control: str
    """Its whole control file."""


class Mirror:
    """The machine's package sources, for one architecture."""

    def __init__(self, architecture: str, cache: Path) -> None:
        """Read the newest lists."""
        self._place = place = cache / "debian" / architecture
        for part in ("lists/partial", "archives/partial", "packages"):
            (place / part).mkdir(parents=True, exist_ok=True)
        options = {
            "APT::Architecture": architecture,
            "APT::Architectures": architecture,
            "Dir::State::lists": place / "lists",
            "Dir::State::status": "/dev/null",
            "Dir::Cache": place,
            "Acquire::Languages": "none",
            **({"APT::Sandbox::User": "root"} if os.geteuid() == 0 else {}),  # `_apt` may not write here
        }
        self._apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]
        run([*self._apt, "update"], cwd=place)

    def download(self, packages: Sequence[str]) -> list[Package]:
        """The newest of each of `packages`, in this order."""
        place = self._place / "packages"
        # Where apt finds a file already, it names none.
        told = run([*self._apt, "--print-uris", "download", *packages], cwd=self._place)
        wanted = {line.split("' ")[1].split(maxsplit=1)[0] for line in told.splitlines()}  # 'ADDRESS' NAME SIZE HASH
        run([*self._apt, "download", *packages], cwd=place)
        found = {package.name: package for package in (_read(place / name) for name in sorted(wanted))}
        return [found[name] for name in packages]


def unpack(package: Package, target: Path) -> None:
    """Its files below `target`; its scripts are not run."""
    run(["dpkg-deb", "--extract", package.file, target], cwd=target)


def run(command: Sequence[str | Path], *, cwd: Path) -> str:
    """The output of a command; SystemExit says which one failed and how."""
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(
            f"{' '.join(map(str, command))} failed with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr.strip()}"
        )
    return done.stdout


def _read(file: Path) -> Package:
    control = run(["dpkg-deb", "--field", file], cwd=file.parent)
    fields = dict(line.split(": ", 1) for line in control.splitlines() if line[:1].strip() and ": " in line)
    source = fields.get("Source", fields["Package"]).split()[0]
    return Package(file, fields["Package"], fields["Version"], source, control)
