"""Tiny container images without a registry, a pull or a Docker engine.

One static busybox is the whole user land, shared by all images as their first layer; an image's own files are a
second one.  The same images make an archive (`ctr images import`) and answer a registry's clients, with equal digests
and, on one machine, always with the same bytes.
"""

import gzip
import hashlib
import io
import json
import platform
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from equipment import machine

BUSYBOX = Path("/bin/busybox")
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_GOARCH = {"x86_64": "amd64", "aarch64": "arm64"}
_DIRECTORIES = ("bin", "dev", "etc", "proc", "root", "run", "sys", "tmp", "usr", "usr/bin", "var", "var/run", "var/www")
_USERS = """\
root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/sh
predefined:x:1000:1000::/root:/bin/sh
"""
_GROUPS = """\
root:x:0:
nobody:x:65534:
www-data:x:33:
predefined:x:1000:
supplemental:x:50000:predefined
"""


@dataclass(frozen=True)
class File:
    """A file in an image."""

    content: str | bytes
    mode: int = 0o644


def script(text: str) -> File:
    """A shell script, given without its first line."""
    return File(f"#!/bin/sh\n{text}\n", mode=0o755)


@dataclass(frozen=True)
class Image:
    """What `docker build` would be told."""

    names: tuple[str, ...]
    """Full names with registry and tag."""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    files: Mapping[str, File] = field(default_factory=dict)
    """By absolute path."""
    user: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = "SIGKILL"
    """A shell as first process ignores SIGTERM, and CRI-O waits for minutes until it obeys."""


@dataclass(frozen=True)
class Descriptor:
    """How one blob refers to another."""

    media_type: str
    digest: str
    size_bytes: int

    def as_json(self) -> dict[str, object]:
        """With the specification's names."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size_bytes}


@dataclass(frozen=True)
class Layout:
    """Finished images: all blobs by digest, and the manifest of each name."""

    blobs: Mapping[str, bytes]
    manifests: Mapping[str, Descriptor]

    def write_archive(self, target: Path) -> None:
        """Write what `ctr --namespace k8s.io images import` takes as it is, names included."""
        index = {
            "schemaVersion": 2,
            "manifests": [
                {**manifest.as_json(), "annotations": {"io.containerd.image.name": name}}
                for name, manifest in self.manifests.items()
            ],
        }
        with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as archive:
            _add(archive, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
            _add(archive, "index.json", _json(index))
            for digest, data in self.blobs.items():
                _add(archive, "blobs/sha256/" + digest.removeprefix("sha256:"), data)


def build(images: Iterable[Image]) -> Layout:
    """Make all `images`; needs the Debian package busybox-static."""
    machine.ensure_apt("busybox-static")
    base = _base_layer()
    blobs: dict[str, bytes] = {}

    def blob(media_type: str, data: bytes) -> Descriptor:
        digest = _digest(data)
        blobs[digest] = data
        return Descriptor(media_type, digest, len(data))

    manifests = {}
    for image in images:
        layers = [base, _layer(image.files)] if image.files else [base]
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": blob(CONFIG, _json(_config(image, layers))).as_json(),
            "layers": [blob(LAYER, gzip.compress(layer, compresslevel=1, mtime=0)).as_json() for layer in layers],
        }
        descriptor = blob(MANIFEST, _json(manifest))
        manifests.update(dict.fromkeys(image.names, descriptor))
    return Layout(blobs, manifests)


def _config(image: Image, layers: list[bytes]) -> dict[str, object]:
    run = {
        "Entrypoint": list(image.entrypoint),
        "Cmd": list(image.command),
        "Env": ["PATH=/usr/bin:/bin"],
        "Labels": dict(image.labels),
        "StopSignal": image.stop_signal,
        "User": image.user,
        "WorkingDir": "/",
    }
    return {
        "architecture": _GOARCH.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {name: value for name, value in run.items() if value},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer) for layer in layers]},
    }


def _base_layer() -> bytes:
    applets = subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True, timeout=60)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as layer:
        for directory in _DIRECTORIES:
            _add(layer, directory, type=tarfile.DIRTYPE, mode=0o1777 if directory == "tmp" else 0o755)
        _add(layer, "bin/busybox", BUSYBOX.read_bytes(), mode=0o755)
        for applet in sorted(set(applets.stdout.split()) - {"busybox"}):
            _add(layer, f"bin/{applet}", type=tarfile.SYMTYPE, linkname="busybox")
        _add(layer, "etc/passwd", _USERS.encode())
        _add(layer, "etc/group", _GROUPS.encode())
    return buffer.getvalue()


def _layer(files: Mapping[str, File]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as layer:
        for path, file in sorted(files.items()):
            data = file.content.encode() if isinstance(file.content, str) else file.content
            _add(layer, path.lstrip("/"), data, mode=file.mode)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, data: bytes = b"", **attributes: object) -> None:
    """Add an entry that is owned by root and dated 1970."""
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    for attribute, value in attributes.items():
        setattr(entry, attribute, value)
    archive.addfile(entry, io.BytesIO(data))


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()
