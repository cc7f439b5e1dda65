"""The custom resource definitions of cert-manager, as it ships them: enough for an API server to check our manifests.

They come with its Go module, whose version and checksum stand in `test/tools/cert-manager`.
"""

import json
import os
import subprocess
from pathlib import Path

from equipment import Unavailable, machine
from equipment.tools import MODULES

_MODULE = MODULES / "cert-manager"
_PATH = "github.com/cert-manager/cert-manager"
DOWNLOAD_DEADLINE_S = 300


def definitions(*kinds: str) -> list[Path]:
    """The files of these kinds, such as `certificates`; raises Unavailable when they cannot be had."""
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
    directory = Path(json.loads(done.stdout)["Dir"], "deploy", "crds")
    return [directory / f"cert-manager.io_{kind}.yaml" for kind in kinds]
