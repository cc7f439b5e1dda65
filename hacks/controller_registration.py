"""Writes the manifests that register the extension with Gardener: what generate-controller-registration.sh runs.

Needs nothing but Python.  The chart goes into the manifests as an archive; the same chart makes the same archive,
whoever makes it and when, so a manifest changes only if the chart does.
"""

import base64
import gzip
import io
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
CHART = REPOSITORY / "charts" / "gardener-extension-cri-resmgr"
EXAMPLES = REPOSITORY / "examples"
NAME = "cri-resmgr-extension"
VERSION = "0.1.0"

VALUES = """\
image:
  repository: localhost:5001/gardener-extension-cri-resmgr
  tag: latest
"""
REGISTRATION = f"""\
apiVersion: core.gardener.cloud/v1beta1
kind: ControllerRegistration
metadata:
  name: {NAME}
  annotations:
    security.gardener.cloud/pod-security-enforce: restricted
spec:
  deployment:
    deploymentRefs:
      - name: {NAME}
  resources:
    # Not enabled for all shoots: a Shoot names it in spec.extensions, see examples/shoot.yaml.  To have it everywhere,
    # with Gardener v1.120 or later: autoEnable: [shoot]
    - kind: Extension
      type: {NAME}
"""
HEAD = """\
# Made by hacks/generate-controller-registration.sh from charts/gardener-extension-cri-resmgr; a test keeps it current.
# All values are in the chart's values.yaml.
"""


def files() -> dict[str, str]:
    """What belongs into examples/: names and contents."""
    chart = base64.b64encode(archive(CHART)).decode()
    return {
        "ctrldeploy-ctrlreg.yaml": v1beta1(chart),
        "controllerdeployment-v1.yaml": v1(chart),
        "operator-extension.yaml": operator(),
    }


def v1beta1(chart: str) -> str:
    """For every version of Gardener: kubectl apply -f examples/ctrldeploy-ctrlreg.yaml in the garden."""
    deployment = f"""\
apiVersion: core.gardener.cloud/v1beta1
kind: ControllerDeployment
metadata:
  name: {NAME}
type: helm
providerConfig:
  chart: {chart}
  values:
{_indented(VALUES, 4)}"""
    return f"{HEAD}{deployment}---\n{REGISTRATION}"


def v1(chart: str) -> str:
    """The same for Gardener v1.96 and later, where the chart may also come from a registry."""
    deployment = f"""\
# The chart is in here; from a registry it is: ociRepository: {{ref: REGISTRY/charts/{CHART.name}:{VERSION}}}
apiVersion: core.gardener.cloud/v1
kind: ControllerDeployment
metadata:
  name: {NAME}
helm:
  rawChart: {chart}
  values:
{_indented(VALUES, 4)}"""
    return f"{HEAD}{deployment}---\n{REGISTRATION}"


def operator() -> str:
    """For gardener-operator, v1.120 and later, which makes both of the above; here the chart must be in a registry."""
    return f"""\
{HEAD}# The operator takes charts from registries only:
#   helm package charts/{CHART.name} && helm push {CHART.name}-{VERSION}.tgz oci://REGISTRY/charts
apiVersion: operator.gardener.cloud/v1alpha1
kind: Extension
metadata:
  name: {NAME}
  annotations:
    security.gardener.cloud/pod-security-enforce: restricted
spec:
  resources:
    - kind: Extension
      type: {NAME}
      clusterCompatibility: [shoot]
  deployment:
    extension:
      helm:
        ociRepository:
          ref: localhost:5001/charts/{CHART.name}:{VERSION}
      values:
{_indented(VALUES, 8)}"""


def archive(chart: Path) -> bytes:
    """A chart's directory as a compressed tar archive, without anything of who made it and when."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in _paths(chart):
            entry = tarfile.TarInfo(str(path.relative_to(chart.parent)))
            content = path.read_bytes()
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), compresslevel=9, mtime=0)


def _paths(chart: Path) -> Iterator[Path]:
    """The files of a chart, in the order of their names."""
    yield from sorted(path for path in chart.rglob("*") if path.is_file() and not path.name.startswith("."))


def _indented(text: str, columns: int) -> str:
    return "".join(" " * columns + line + "\n" for line in text.splitlines())


def main() -> int:
    """Write the files that differ, or with --check only say so, in the exit code as well."""
    if sys.argv[1:] not in ([], ["--check"]):
        print("usage: generate-controller-registration.sh [--check]", file=sys.stderr)
        return 2
    check, stale = sys.argv[1:] == ["--check"], 0
    for name, content in files().items():
        path = EXAMPLES / name
        differs = not path.exists() or path.read_text() != content
        if differs and not check:
            path.write_text(content)
        stale += differs
        said = "unchanged" if not differs else "not what the chart makes" if check else "written"
        print(f"{path.relative_to(REPOSITORY)}: {said}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
