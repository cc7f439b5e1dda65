"""The custom resource definitions of Gardener: the copies that we carry, and the module that they come from."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from equipment import Unavailable, machine
from equipment.tools import MODULES

COPIES = Path(__file__).parent / "configs" / "crds"
DOWNLOAD_DEADLINE_S = 300
_MODULE = MODULES / "gardener"
_PATH = "github.com/gardener/gardener"


def definitions() -> list[Any]:
    """What a seed must serve for us: Extension, Cluster, ManagedResource."""
    return [yaml.safe_load(path.read_text()) for path in sorted(COPIES.glob("*.yaml"))]


def module() -> Path:
    """The sources of Gardener, read only; raises Unavailable when they cannot be had."""
    done = subprocess.run(
        [machine.go(_MODULE), "mod", "download", "-json", _PATH],
        cwd=_MODULE,
        env={**os.environ, "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "GOWORK": "off"},
        capture_output=True,
        text=True,
        timeout=DOWNLOAD_DEADLINE_S,
        check=False,
    )
    if done.returncode:
        raise Unavailable(f"go mod download {_PATH} failed:\n{done.stderr.strip() or done.stdout.strip()}")
    return Path(json.loads(done.stdout)["Dir"])


def original(name: str) -> Path:
    """The file of the module that is, or would be, the copy `name`; also of kinds that we do not carry."""
    folder = "resource-manager" if name.startswith("resources.") else "seed-crds"
    return module() / "example" / folder / f"10-crd-{name}"
