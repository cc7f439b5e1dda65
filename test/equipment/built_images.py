"""The product's four images as `make build-images push-images` makes them, in a registry that serves them.

    with built_images.served(directory) as images:          # a directory that is this run's alone
        images.reference("installation")                    # localhost:PORT/…-installation:one
        images.reference("installation", tag="two")         # the next version: the same code under another name
        images.digest("agent")                              # sha256:…, of the index

They are built once for each state of the sources, for this machine's architecture, by buildah in a store of its own;
about two minutes.  The registry is Debian's docker-registry, read-only, over what `push-images` left in the cache.
"""

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from equipment import Unavailable, bundles, cache, machine
from equipment.control_plane import answers
from equipment.mounts import remove_tree
from equipment.processes import Processes, free_port

NAME = "gardener-extension-cri-resmgr"
IN_SHOOT = ("installation", "agent", "webhook")
"""Those that the extension names in shoots, by its image vector."""
TARGETS = ("extension", *IN_SHOOT)
TAG, NEXT_TAG = "one", "two"
BUILD = "test"
"""What stands for the commit."""
DEADLINE_S = 1200
PACKAGES = ("buildah", "mmdebstrap", "docker-registry", "make")

STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{place}/root"
runroot = "{place}/run"
"""
REGISTRY = """\
version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: {storage}}}
  maintenance: {{readonly: {{enabled: {readonly}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
# Upgrading is told apart by the bundle's version alone, and that by two of its files.
NEXT = """\
set -eu
from=$(buildah from --pull-never "$1")
root=$(buildah mount "$from")
old=$(cat "$root/bundle/VERSION")
printf '%s-two\\n' "$old" >"$root/bundle/VERSION"
sum=$(sha256sum "$root/bundle/VERSION" | cut -d ' ' -f 1)
sed -i "s/^[0-9a-f]*  VERSION$/$sum  VERSION/" "$root/bundle/MANIFEST"
buildah umount "$from" >/dev/null
buildah commit --quiet --timestamp 0 "$from" "$2" >/dev/null
buildah push --quiet --tls-verify=false "$2" "docker://$2"
"""


@dataclass(frozen=True)
class Images:
    """Where they are served, and what they are."""

    registry: str
    """`localhost:PORT`, as a part of names."""
    digests: Mapping[str, str]
    """Of each target's index, by the target's name."""

    @classmethod
    def of(cls, place: Path, registry: str) -> "Images":
        """Those that were built in `place`, which a registry serves."""
        return cls(registry, json.loads((place / "digests.json").read_text()))

    def name(self, target: str) -> str:
        """The repository of an image, without a tag."""
        return f"{self.registry}/{repository(target)}"

    def reference(self, target: str, *, tag: str = TAG) -> str:
        """Name and tag; `NEXT_TAG` there is for the installation only."""
        return f"{self.name(target)}:{tag}"

    def digest(self, target: str) -> str:
        """`sha256:…`, as `push-images` printed it."""
        return self.digests[target]


def repository(target: str) -> str:
    """The name of a target's image, without a registry."""
    return NAME if target == "extension" else f"{NAME}-{target}"


@contextlib.contextmanager
def served(directory: Path, *, port: int | None = None) -> Iterator[Images]:
    """Serve them on 127.0.0.1 from a registry that keeps its files in `directory`, on `port` or on one that is free.

    Builds them first if need be; raises Unavailable where that is impossible.
    """
    place = built()
    with registry(place / "registry", directory, port=port or free_port(), readonly=True) as address:
        yield Images.of(place, address)


def built() -> Path:
    """The directory `registry` with what a registry stores, and `digests.json`; made on first use."""
    return cache.entry("images", _key(), _build, about="2 min")


@contextlib.contextmanager
def registry(storage: Path, directory: Path, *, port: int, readonly: bool = False) -> Iterator[str]:
    """Debian's docker-registry over `storage`: its address as names have it.  All that it writes is in `directory`."""
    processes = Processes(directory)
    try:
        yield start_registry(processes, storage, port=port, readonly=readonly)
    finally:
        processes.stop_all()


def start_registry(processes: Processes, storage: Path, *, port: int, readonly: bool) -> str:
    """Start it among `processes`; its address as names have it."""
    machine.ensure_apt(*PACKAGES)
    config = processes.directory / "registry.yml"
    config.write_text(REGISTRY.format(storage=storage, port=port, readonly=str(readonly).lower()))
    processes.start("registry", ["docker-registry", "serve", config])
    processes.wait_for("registry", lambda: answers(f"http://127.0.0.1:{port}/v2/"), "the registry")
    return f"localhost:{port}"


@contextlib.contextmanager
def store() -> Iterator[dict[str, str]]:
    """The environment that gives buildah an empty store of its own, which is gone afterwards."""
    place = Path(tempfile.mkdtemp(prefix="store-", dir=_run_directory()))
    config = place / "storage.conf"
    config.write_text(STORAGE.format(place=place))
    try:
        yield {"CONTAINERS_STORAGE_CONF": str(config)}
    finally:
        remove_tree(place)


def run(command: list[str | Path], *, cwd: Path, environment: Mapping[str, str]) -> str:
    """What a command prints, told about images by `environment`; Unavailable when it fails."""
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    if done.returncode:
        raise Unavailable(f"{' '.join(map(str, command))} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout


def make(checkout: Path, store: Mapping[str, str], registry: str, **asked: str) -> dict[str, str]:
    """Build in a store and push to a registry with the project's own commands, for this machine's architecture.

    Further variables of theirs are `asked`; the digest that is printed for each target.
    """
    platform = f"linux/{'arm64' if os.uname().machine == 'aarch64' else 'amd64'}"
    fixed = {"REGISTRY": registry, "TAG": TAG, "PLATFORMS": platform, "BUILDER": "buildah", "BUILD": BUILD}
    environment = {**store, **fixed, **asked}
    run(["make", "-s", "build-images"], cwd=checkout, environment=environment)
    printed = run(["make", "-s", "push-images"], cwd=checkout, environment=environment).split()
    digests = dict(line.rpartition("/")[2].split("@") for line in printed)
    return {target: digests[repository(target)] for target in TARGETS if repository(target) in digests}


def _build(place: Path) -> None:
    machine.ensure_apt(*PACKAGES)
    with (
        tempfile.TemporaryDirectory(dir=_run_directory()) as work,
        store() as environment,
        registry(place / "registry", Path(work) / "registry", port=free_port()) as address,
    ):
        checkout = bundles.copy_checkout(Path(work) / "checkout")
        digests = make(checkout, environment, address)
        name = f"{address}/{repository('installation')}"
        run(["sh", "-c", NEXT, "sh", f"{name}:{TAG}", f"{name}:{NEXT_TAG}"], cwd=checkout, environment=environment)
    (place / "digests.json").write_text(json.dumps(digests))


def _key() -> str:
    """A digest of everything that a build reads from the checkout."""
    parts: list[str | Path] = [NEXT]
    for name in bundles.CONTENTS:
        root = bundles.REPOSITORY / name
        for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
            if path.is_file() and "__pycache__" not in path.parts:
                parts += [path.relative_to(bundles.REPOSITORY).as_posix(), path]
    return cache.key(os.uname().machine, *parts)


def _run_directory() -> Path:
    path = cache.directory() / "run"
    path.mkdir(exist_ok=True)
    return path
