"""The images that `make build-images push-images` makes on a plain Debian machine, as a registry serves them."""

import io
import json
import shutil
import subprocess
import tarfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest

from equipment import built_images, bundles
from equipment.built_images import TARGETS, Images
from equipment.processes import free_port
from node.cluster_fixtures import run_directory

pytestmark = [pytest.mark.needs_root, pytest.mark.timeout(900)]

DEADLINE_S = 60
LIMIT_BYTES = 50_000_000
"""Of an image as it is pulled."""
KINDS = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True)
class Image:
    """One as it was pulled: its configuration, its files and where they are unpacked."""

    config: dict[str, Any]
    size_bytes: int
    entries: tuple[tarfile.TarInfo, ...]
    root: Path


@pytest.fixture(scope="module")
def images(shown) -> Iterator[Images]:
    with shown():
        built_images.built()
    with built_images.served(run_directory("images")) as served:
        yield served


@pytest.fixture(scope="module", params=TARGETS)
def image(request: pytest.FixtureRequest, images: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    root = tmp_path_factory.mktemp(request.param)
    yield pulled(images, request.param, root)
    shutil.rmtree(root)


def get(images: Images, target: str, path: str) -> bytes:
    address = f"http://{images.registry}/v2/{built_images.repository(target)}/{path}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(address, headers={"Accept": KINDS}), timeout=DEADLINE_S) as answer:
        return answer.read()


def pulled(images: Images, target: str, root: Path) -> Image:
    """What a client gets that asks by the digest that was printed."""
    index = json.loads(get(images, target, f"manifests/{images.digest(target)}"))
    manifest = json.loads(get(images, target, f"manifests/{index['manifests'][0]['digest']}"))
    config = json.loads(get(images, target, f"blobs/{manifest['config']['digest']}"))
    entries: list[tarfile.TarInfo] = []
    for layer in manifest["layers"]:
        with tarfile.open(fileobj=io.BytesIO(get(images, target, f"blobs/{layer['digest']}"))) as archive:
            entries += archive.getmembers()
            archive.extractall(root, filter="fully_trusted")  # noqa: S202 - we have built it
    size_bytes = sum(layer["size"] for layer in manifest["layers"])
    return Image(config["config"], size_bytes, tuple(entries), root)


def tree(image: Image) -> Path:
    return image.root / ("bundle" if (image.root / "bundle").exists() else "usr")


def test_each_says_what_it_is_and_which_commit_it_was_made_from(image: Image):
    labels = {name.rpartition(".")[2]: value for name, value in image.config["Labels"].items()}
    assert labels["title"].startswith(built_images.NAME)
    assert labels["licenses"] == "Apache-2.0"
    assert labels["revision"] == built_images.BUILD
    assert labels["version"]


def test_only_the_one_that_changes_nodes_runs_as_root(image: Image):
    installs = image.config["Labels"]["org.opencontainers.image.title"].endswith("-installation")
    assert image.config.get("User", "") == ("" if installs else "65532:65532")


def test_no_file_gives_its_caller_other_rights_and_all_are_roots(image: Image):
    assert [entry.name for entry in image.entries if entry.isfile() and entry.mode & 0o6022] == []
    assert {(entry.uid, entry.gid) for entry in image.entries} == {(0, 0)}


def run(image: Image, *words: str) -> subprocess.CompletedProcess[str]:
    command = [shutil.which("chroot") or "chroot", image.root, *image.config["Entrypoint"], *words]
    env = {"PATH": "/bin", "NODE_NAME": "node"}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=DEADLINE_S, check=False)


def test_each_starts(image: Image):
    done = run(image, "--help")
    assert done.returncode == 0, done.stderr
    assert "usage" in (done.stdout + done.stderr).lower()


@pytest.mark.parametrize(
    ("target", "words"), [("agent", ()), ("extension", ("--leader-election=false", "--heartbeat-namespace=here"))]
)
def test_who_talks_to_an_api_server_has_all_that_it_takes(images: Images, tmp_path: Path, target: str, words):
    done = run(pulled(images, target, tmp_path), "--kubeconfig=/nowhere", *words)
    assert "kubeconfig /nowhere cannot be used" in done.stderr


def test_each_lists_the_wheels_and_packages_that_are_in_it(image: Image):
    listed = {
        (package["name"], package["versionInfo"])
        for package in json.loads((tree(image) / "share/sbom.spdx.json").read_text())["packages"]
    }
    found = set()
    for metadata in (tree(image) / "lib/python3/dist-packages").glob("*.dist-info/METADATA"):
        fields = Parser().parsestr(metadata.read_text(), headersonly=True)
        found.add((fields["Name"], fields["Version"]))
    assert found
    assert found <= listed
    debian = {path.name for path in (image.root / "var/lib/dpkg/status.d").iterdir()}
    assert {"libc6", "python3.11-minimal"} <= debian <= {name for name, _ in listed}


def test_each_is_small(image: Image, shown):
    with shown():
        title = image.config["Labels"]["org.opencontainers.image.title"]
        unpacked_bytes = sum(entry.size for entry in image.entries)
        print(f"\n{title}: {image.size_bytes / 1e6:.0f} MB to pull, {unpacked_bytes / 1e6:.0f} MB unpacked")
    assert image.size_bytes < LIMIT_BYTES


def test_the_installation_has_the_bundle_that_the_makefile_makes(images: Images, tmp_path: Path):
    image = pulled(images, "installation", tmp_path / "image")
    bundle = bundles.build(bundles.copy_checkout(tmp_path / "checkout"), tmp_path / "bundle")
    assert (image.root / "bundle/MANIFEST").read_text() == (bundle / "MANIFEST").read_text()


def test_the_next_version_of_the_installation_is_another_bundle(images: Images):
    tags = json.loads(get(images, "installation", "tags/list"))["tags"]
    assert sorted(tags) == [built_images.TAG, built_images.NEXT_TAG]


@pytest.mark.slow
def test_a_second_build_somewhere_else_has_the_same_digest(images: Images, tmp_path: Path):
    storage, port = tmp_path / "storage", free_port()
    with (
        built_images.store() as environment,
        built_images.registry(storage, tmp_path / "registry", port=port) as address,
    ):
        checkout = bundles.copy_checkout(tmp_path / "checkout")
        made = built_images.make(checkout, environment, address, TAG="again", IMAGES="webhook")
    assert made == {"webhook": images.digest("webhook")}
