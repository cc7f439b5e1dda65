"""What is in a tree, as an SPDX 2.3 document: Debian's packages, the wheels, and ourselves.

Without a time and with a name that follows from the content, so that equal trees have equal documents.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.parser import Parser
from pathlib import Path

from bundling.debian import Package
from bundling.recipes import Recipe
from bundling.sealing import EPOCH_S
from bundling.trees import DIST_PACKAGES

NAMESPACE = "https://github.com/gardener/gardener-extension-cri-resmgr/spdx"


def write(recipe: Recipe, tree: Path, packages: Sequence[Package], *, architecture: str, build: str) -> None:
    """Write `share/sbom.spdx.json`."""
    entries = [
        _entry("gardener-extension-cri-resmgr", build, licence="Apache-2.0", purl="", prefix="ours"),
        *(_debian(package, architecture) for package in packages),
        *(_wheel(metadata) for metadata in sorted((tree / DIST_PACKAGES).glob("*.dist-info/METADATA"))),
    ]
    digest = hashlib.sha256(json.dumps(entries).encode()).hexdigest()
    document = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"cri-resmgr-{recipe.name}-{architecture}",
        "documentNamespace": f"{NAMESPACE}/{recipe.name}-{architecture}-{digest}",
        "creationInfo": {
            "created": datetime.fromtimestamp(EPOCH_S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": ["Tool: hacks/bundling"],
        },
        "packages": entries,
        "relationships": [
            {
                "spdxElementId": "SPDXRef-DOCUMENT",
                "relatedSpdxElement": entry["SPDXID"],
                "relationshipType": "DESCRIBES",
            }
            for entry in entries
        ],
    }
    (tree / "share/sbom.spdx.json").write_text(json.dumps(document, indent=1) + "\n")


def _debian(package: Package, architecture: str) -> dict[str, object]:
    purl = f"pkg:deb/debian/{package.name}@{package.version}?arch={architecture}&upstream={package.source}"
    return _entry(package.name, package.version, licence="NOASSERTION", purl=purl, prefix="deb")


def _wheel(metadata: Path) -> dict[str, object]:
    fields = Parser().parsestr(metadata.read_text(), headersonly=True)
    name, version = str(fields["Name"]), str(fields["Version"])
    licence = str(fields.get("License-Expression", "NOASSERTION"))
    return _entry(name, version, licence=licence, purl=f"pkg:pypi/{name.lower()}@{version}", prefix="wheel")


def _entry(name: str, version: str, *, licence: str, purl: str, prefix: str) -> dict[str, object]:
    reference = {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}
    return {
        "SPDXID": f"SPDXRef-{prefix}-{re.sub('[^A-Za-z0-9.-]', '-', name)}",
        "name": name,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": licence,
        "copyrightText": "NOASSERTION",
        **({"externalRefs": [reference]} if purl else {}),
    }
