"""Programs that exist in no Python or Debian package, built from the Go modules in `test/tools`.

    PYTHONPATH=test python -m equipment.tools --list
    PYTHONPATH=test python -m equipment.tools kubernetes critools

A *group* is what one module builds.  The versions stand in its go.mod; each module is verified against the go.sum
beside it, whatever the machine's settings say, because nothing here may write to it (`-mod=readonly`).
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from equipment import Unavailable, cache, found, machine

MODULES = Path(__file__).parents[1] / "tools"
BUILD_DEADLINE_S = 3600
LOG_TAIL_LINES = 30


@dataclass(frozen=True)
class Program:
    """One file that is built."""

    name: str
    package: str
    """A Go package; for C the module, two slashes and the folder of the sources in it."""
    how: Literal["go build", "go test", "cc"] = "go build"
    links: tuple[str, ...] = ()
    """Further names of the same file."""


@dataclass(frozen=True)
class Group:
    """What one module of `test/tools` builds, and how."""

    name: str
    about: str
    """How long a first build takes on two cores."""
    programs: tuple[Program, ...]
    tags: str = ""
    stamps: tuple[str, ...] = ()
    """`variable=value` set by the linker: without them programs do not know their version."""
    cgo: bool = False
    packages: tuple[str, ...] = ()
    """Debian packages that the build needs."""
    may_be_found: bool = False
    """Programs that the machine has will do for who allows that; see `equipment.found`."""

    @property
    def module(self) -> Path:
        """Where its go.mod is."""
        return MODULES / self.name

    @property
    def provides(self) -> tuple[str, ...]:
        """The names that `tool` knows."""
        return tuple(name for program in self.programs for name in (program.name, *program.links))


_CONTAINERD = "github.com/containerd/containerd/v2"
_GARDENER = "github.com/gardener/gardener"
_HELM = "helm.sh/helm/v3"
_CRI_TOOLS = "github.com/kubernetes-sigs/cri-tools/cmd"


def _kubelet(version: str) -> Group:
    """A kubelet of another minor version than that of `kubernetes`."""
    name = f"kubelet-{version.removeprefix('v').rpartition('.')[0]}"
    stamp = f"k8s.io/component-base/version.gitVersion={version}"
    return Group(name, "5 min", (Program(name, "k8s.io/kubernetes/cmd/kubelet"),), stamps=(stamp,))


GROUPS = (
    Group(
        "kubernetes",
        "8 min",
        (Program("kube-apiserver", ".", links=("kube-controller-manager", "kube-scheduler", "kubectl", "kubelet")),),
        stamps=("k8s.io/component-base/version.gitVersion=v1.34.4",),
        may_be_found=True,
    ),
    Group(
        "containerd",
        "2 min",
        tuple(Program(name, f"{_CONTAINERD}/cmd/{name}") for name in ("containerd", "containerd-shim-runc-v2", "ctr")),
        tags="no_btrfs no_zfs no_devmapper no_aufs",
        stamps=(f"{_CONTAINERD}/version.Version=v2.4.2",),
    ),
    Group(
        "crio",
        "5 min",
        (
            Program("crio", "github.com/cri-o/cri-o/cmd/crio"),
            Program("pinns", "github.com/cri-o/cri-o//pinns/src", how="cc"),  # pins name spaces
        ),
        # What these leave out would need headers of gpgme, btrfs and ostree.
        tags="containers_image_openpgp exclude_graphdriver_btrfs containers_image_ostree_stub seccomp",
        cgo=True,
        packages=("gcc", "libc6-dev", "libseccomp-dev", "pkg-config"),
    ),
    Group(
        "critools",
        "4 min",
        (
            Program("crictl", f"{_CRI_TOOLS}/crictl"),
            Program("critest", f"{_CRI_TOOLS}/critest", how="go test"),  # it is a test file, not a program
        ),
    ),
    _kubelet("v1.33.13"),
    _kubelet("v1.35.4"),
    Group(
        "gardener",
        "10 min",
        (
            Program("gardener-resource-manager", f"{_GARDENER}/cmd/gardener-resource-manager"),
            Program("chart-renderer", "./chart-renderer"),  # gardenlet's own
        ),
        stamps=("k8s.io/component-base/version.gitVersion=v1.149.3",),
    ),
    Group(
        "gardener-apiserver",
        "8 min",
        (Program("start-envtest", f"{_GARDENER}/test/start-envtest"),),
    ),
    Group(
        "helm",
        "5 min",
        (Program("helm", f"{_HELM}/cmd/helm"),),
        stamps=(f"{_HELM}/internal/version.version=v3.22.0",),
    ),
)


def tool(name: str) -> Path:
    """The program `name`, built when this machine has not built it yet; raises Unavailable or KeyError."""
    for group in GROUPS:
        if name in group.provides:
            return build(group) / name
    raise KeyError(f"{name} is built by no module in {MODULES}")


def build(group: Group) -> Path:
    """The directory of a group's programs; built on first use."""
    if group.may_be_found and (place := found.directory(group.provides, version=group.stamps[0].rpartition("=")[2])):
        return place
    return cache.entry(group.name, _key(group), lambda place: _build(group, place), about=group.about)


def _key(group: Group) -> str:
    sources = sorted(path for path in group.module.rglob("*") if path.suffix in {".go", ".mod", ".sum"})
    return cache.key(os.uname().machine, repr((group.programs, group.tags, group.stamps, group.cgo)), *sources)


def _build(group: Group, place: Path) -> None:
    machine.ensure_apt(*group.packages)
    go = machine.go(group.module)
    for program in group.programs:
        target = place / program.name
        if program.how == "cc":
            _compile_c(go, group.module, program.package, target)
        else:
            _compile_go(go, group, program, target)
        for link in program.links:
            (place / link).hardlink_to(target)  # not symbolic: it keeps its name when resolved or bind-mounted


def _compile_go(go: Path, group: Group, program: Program, target: Path) -> None:
    verb = ["test", "-c"] if program.how == "go test" else ["build"]
    linker = " ".join(["-s -w", *(f"-X {stamp}" for stamp in group.stamps)])
    options = ["-tags", group.tags, "-ldflags", linker, "-o", target]
    environment = {
        "CGO_ENABLED": str(int(group.cgo)),
        "GOFLAGS": "-mod=readonly -buildvcs=false",
        "GOTOOLCHAIN": "local",  # `go` was chosen to be new enough; it need not fetch another
        "GOWORK": "off",
    }
    _run(["nice", go, *verb, *options, program.package], group.module, environment)


def _compile_c(go: Path, module: Path, package: str, target: Path) -> None:
    dependency, _, folder = package.partition("//")
    directory = _run([go, "list", "-m", "-f", "{{.Dir}}", dependency], module, {}).strip()
    sources = sorted(Path(directory, folder).glob("*.c"))
    _run(["gcc", "-std=c99", "-Os", "-Wall", "-Wextra", "-static", "-o", target, *sources], module, {})


def _run(command: Sequence[str | Path], directory: Path, environment: dict[str, str]) -> str:
    try:
        done = subprocess.run(
            command,
            check=False,
            cwd=directory,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=BUILD_DEADLINE_S,
        )
    except FileNotFoundError as error:
        raise Unavailable(f"{error.filename} is not installed; it is needed in {directory}") from error
    if done.returncode:
        tail = "\n".join(done.stderr.splitlines()[-LOG_TAIL_LINES:])
        raise Unavailable(f"{' '.join(map(str, command))} failed in {directory}:\n{tail}")
    return done.stdout


def main(arguments: Sequence[str] | None = None) -> int:
    """Build groups, or list them."""
    parser = argparse.ArgumentParser(prog="equipment.tools", description="Build Go programs that the tests run.")
    parser.add_argument("--list", action="store_true", help="say what there is, where, and what is built")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(group.name for group in GROUPS))
    options = parser.parse_args(arguments)
    known = {group.name: group for group in GROUPS}
    if unknown := set(options.groups) - set(known):
        parser.error(f"no group {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    chosen = [known[name] for name in options.groups]
    if options.list:
        for group in chosen or GROUPS:
            built = cache.directory() / f"{group.name}-{_key(group)}"
            print(
                f"{group.name}: {' '.join(group.provides)}: {built if built.exists() else 'not built, ' + group.about}"
            )
        return 0
    try:
        for group in chosen:
            print(build(group))
    except Unavailable as error:
        print(f"equipment.tools: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
