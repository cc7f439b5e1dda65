import gzip
import hashlib
import io
import json
import tarfile
import urllib.error
import urllib.request

import pytest

from equipment import images, machine, stand_ins
from equipment.images import File, Image, build, script
from equipment.registry import Registry

pytestmark = pytest.mark.skipif(
    not (images.BUSYBOX.exists() or machine.is_root()), reason="needs the Debian package busybox-static"
)


@pytest.fixture(scope="module")
def layout():
    return build(stand_ins.stand_ins())


def blob(layout, descriptor):
    return layout.blobs[descriptor["digest"]]


def manifest_of(layout, name):
    return json.loads(layout.blobs[layout.manifests[name].digest])


def config_of(layout, name):
    return json.loads(blob(layout, manifest_of(layout, name)["config"]))


def files_of(layout, name):
    """What a container would see: path -> entry and content, later layers over earlier ones."""
    seen = {}
    for descriptor in manifest_of(layout, name)["layers"]:
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob(layout, descriptor)))) as layer:
            for entry in layer:
                file = layer.extractfile(entry) if entry.isfile() else None
                seen[entry.name] = (entry, file.read() if file else b"")
    return seen


def test_the_same_images_are_the_same_bytes(layout, tmp_path):
    again = build(stand_ins.stand_ins())
    assert again == layout
    for number, each in enumerate((layout, again)):
        each.write_archive(tmp_path / str(number))
    assert (tmp_path / "0").read_bytes() == (tmp_path / "1").read_bytes()


def test_every_blob_has_the_digest_and_the_size_that_are_said_of_it(layout):
    for digest, data in layout.blobs.items():
        assert digest == "sha256:" + hashlib.sha256(data).hexdigest()
    for name in layout.manifests:
        manifest = manifest_of(layout, name)
        for descriptor in (manifest["config"], *manifest["layers"]):
            assert len(blob(layout, descriptor)) == descriptor["size"]


def test_a_layers_unpacked_digest_is_in_the_configuration(layout):
    layers = manifest_of(layout, stand_ins.BUSYBOX)["layers"]
    unpacked = ["sha256:" + hashlib.sha256(gzip.decompress(blob(layout, layer))).hexdigest() for layer in layers]
    assert config_of(layout, stand_ins.BUSYBOX)["rootfs"]["diff_ids"] == unpacked


def test_images_share_the_layer_with_busybox(layout):
    first = {manifest_of(layout, name)["layers"][0]["digest"] for name in layout.manifests}
    assert len(first) == 1


def test_an_image_has_a_shell_applets_users_and_its_own_files():
    made = build([Image(("example.local/x:1",), files={"/bin/hello": script("echo hello"), "/etc/hello": File(b"\0")})])
    files = files_of(made, "example.local/x:1")
    assert files["bin/sh"][0].linkname == "busybox"
    assert files["bin/busybox"][0].mode == 0o755
    assert b"root:x:0:0" in files["etc/passwd"][1]
    assert (files["bin/hello"][0].mode, files["bin/hello"][1]) == (0o755, b"#!/bin/sh\necho hello\n")
    assert (files["etc/hello"][0].mode, files["etc/hello"][1]) == (0o644, b"\0")


def test_an_image_says_how_it_runs():
    made = build([Image(("x/y:1",), entrypoint=("/bin/sleep",), command=("5",), user="1003:1004")])
    assert config_of(made, "x/y:1")["config"] == {
        "Entrypoint": ["/bin/sleep"],
        "Cmd": ["5"],
        "User": "1003:1004",
        "Env": ["PATH=/usr/bin:/bin"],
        "StopSignal": "SIGKILL",
        "WorkingDir": "/",
    }


def test_every_stand_in_stops_at_once(layout):
    assert {config_of(layout, name)["config"]["StopSignal"] for name in layout.manifests} == {"SIGKILL"}


def test_the_pause_image_has_no_arguments_that_would_be_appended(layout):
    assert "Cmd" not in config_of(layout, stand_ins.PAUSE)["config"]


def test_images_that_critest_lists_differ_where_it_wants_them_to(layout):
    prefix = "gcr.io/k8s-staging-cri-tools/test-image-"
    assert len({layout.manifests[f"{prefix}{number}:latest"] for number in (1, 2, 3)}) == 3
    assert len({layout.manifests[f"{prefix}tags:{number}"] for number in (1, 2, 3)}) == 1


def test_the_archive_is_an_oci_layout_that_names_its_images(layout, tmp_path):
    layout.write_archive(tmp_path / "x.tar")
    with tarfile.open(tmp_path / "x.tar") as archive:
        content = {entry.name: archive.extractfile(entry).read() for entry in archive}
    assert json.loads(content["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    named = {
        manifest["annotations"]["io.containerd.image.name"]: manifest["digest"]
        for manifest in json.loads(content["index.json"])["manifests"]
    }
    assert named == {name: descriptor.digest for name, descriptor in layout.manifests.items()}
    for digest in named.values():
        data = content["blobs/sha256/" + digest.removeprefix("sha256:")]
        assert "sha256:" + hashlib.sha256(data).hexdigest() == digest


@pytest.fixture(scope="module")
def registry(layout):
    with Registry(layout) as running:
        yield running


def fetch(registry, path, method="GET"):
    request = urllib.request.Request(f"http://{registry.address}{path}", method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as reply:
        return reply.headers, reply.read()


def test_a_registry_says_that_it_is_one(registry):
    assert fetch(registry, "/v2/")[1] == b"{}"


def test_a_pull_by_tag_finds_manifest_configuration_and_layers(registry, layout):
    name = "k8s-staging-cri-tools/test-image-tags"
    headers, body = fetch(registry, f"/v2/{name}/manifests/2")
    assert headers["Content-Type"] == images.MANIFEST
    assert headers["Docker-Content-Digest"] == layout.manifests[f"gcr.io/{name}:2"].digest
    manifest = json.loads(body)
    for descriptor in (manifest["config"], *manifest["layers"]):
        assert fetch(registry, f"/v2/{name}/blobs/{descriptor['digest']}")[1] == blob(layout, descriptor)


def test_a_pull_by_digest_finds_the_same_manifest(registry, layout):
    digest = layout.manifests[stand_ins.PAUSE].digest
    assert fetch(registry, f"/v2/pause/manifests/{digest}")[1] == fetch(registry, "/v2/pause/manifests/3.9")[1]


def test_a_mirrors_query_for_the_original_host_is_ignored(registry):
    assert fetch(registry, "/v2/pause/manifests/3.9?ns=registry.k8s.io")[1]


def test_head_has_the_headers_of_get_and_no_body(registry):
    path = "/v2/pause/manifests/3.9"
    head, body = fetch(registry, path, method="HEAD")
    assert body == b""
    assert head["Content-Length"] == str(len(fetch(registry, path)[1]))


@pytest.mark.parametrize(
    "path",
    ["/v2/pause/manifests/0", "/v2/no-such/manifests/3.9", "/v2/pause/blobs/sha256:00", "/v2/pause", "/", "/v2/../x"],
)
def test_what_is_not_there_is_not_found(registry, path):
    with pytest.raises(urllib.error.HTTPError) as error:
        fetch(registry, path)
    assert error.value.code == 404
    error.value.close()


def test_a_stopped_registry_frees_its_port(layout):
    stopped = Registry(layout)
    stopped.stop()
    with pytest.raises(urllib.error.URLError):
        fetch(stopped, "/v2/")
