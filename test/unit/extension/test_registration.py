"""The manifests in examples/ are what hacks/generate-controller-registration.sh makes of the chart."""

import base64
import gzip
import io
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import controller_registration

SCRIPT = Path("hacks/generate-controller-registration.sh")
CHART = Path("charts/gardener-extension-cri-resmgr")
EXAMPLES = ("ctrldeploy-ctrlreg.yaml", "controllerdeployment-v1.yaml", "operator-extension.yaml")


def documents(name: str) -> dict[str, Any]:
    """The objects of an example by kind."""
    return {each["kind"]: each for each in yaml.safe_load_all((Path("examples") / name).read_text())}


def unpacked(chart: str) -> dict[str, bytes]:
    """The files of an archive; compared instead of the archive, since other versions of zlib make other bytes."""
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(base64.b64decode(chart)))) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar.getmembers()}  # type: ignore[union-attr]


def test_the_committed_manifests_are_current():
    made = controller_registration.files()
    assert set(made) == set(EXAMPLES)
    for name, text in made.items():
        committed = (Path("examples") / name).read_text()
        assert without_chart(committed) == without_chart(text), f"run {SCRIPT}"
    for name, path in (
        ("ctrldeploy-ctrlreg.yaml", ("providerConfig", "chart")),
        ("controllerdeployment-v1.yaml", ("helm", "rawChart")),
    ):
        chart = documents(name)["ControllerDeployment"][path[0]][path[1]]
        assert unpacked(chart) == on_disk(), f"run {SCRIPT}"


def without_chart(text: str) -> list[str]:
    return [line for line in text.splitlines() if "chart: H4s" not in line and "rawChart: H4s" not in line]


def on_disk() -> dict[str, bytes]:
    files = [path for path in CHART.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {str(path.relative_to(CHART.parent)): path.read_bytes() for path in files}


def test_the_archive_is_the_same_whoever_makes_it_and_when(tmp_path):
    first = controller_registration.archive(CHART)
    copy = tmp_path / CHART.name
    for name, content in on_disk().items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o600)
        os.utime(path, (1, 1))
    assert controller_registration.archive(copy) == first


def test_another_chart_makes_another_archive(tmp_path):
    (tmp_path / "chart").mkdir()
    (tmp_path / "chart" / "Chart.yaml").write_text("name: x")
    one = controller_registration.archive(tmp_path / "chart")
    (tmp_path / "chart" / "Chart.yaml").write_text("name: y")
    assert controller_registration.archive(tmp_path / "chart") != one


def test_the_script_runs_from_anywhere_and_says_what_it_did(tmp_path):
    done = subprocess.run(
        [SCRIPT.resolve(), "--check"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == [f"examples/{name}" for name in EXAMPLES]


def test_the_extension_is_registered_by_its_type_and_not_for_all_shoots():
    for name in EXAMPLES[:2]:
        registration = documents(name)["ControllerRegistration"]
        assert registration["metadata"]["name"] == "cri-resmgr-extension"
        assert registration["spec"]["deployment"] == {"deploymentRefs": [{"name": "cri-resmgr-extension"}]}
        assert registration["spec"]["resources"] == [{"kind": "Extension", "type": "cri-resmgr-extension"}]
        assert documents(name)["ControllerDeployment"]["metadata"]["name"] == "cri-resmgr-extension"
    operators = documents("operator-extension.yaml")["Extension"]
    assert operators["spec"]["resources"][0]["type"] == "cri-resmgr-extension"


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_values_of_an_example_are_values_of_the_chart(name):
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    found = documents(name)
    deployment = found.get("ControllerDeployment", {})
    values = (
        deployment.get("providerConfig", {}).get("values")
        or deployment.get("helm", {}).get("values")
        or found["Extension"]["spec"]["deployment"]["extension"]["values"]
    )
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    jsonschema.validate({**defaults, **values, "image": {**defaults["image"], **values["image"]}}, schema)
    assert set(values) <= set(schema["properties"])


def test_the_schema_has_every_value_of_the_chart_and_takes_the_defaults():
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    jsonschema.validate(values, schema)
    assert set(values) == set(schema["properties"]) - {"gardener"}


@pytest.mark.parametrize(
    "values",
    [
        {"image": {"repository": "r"}},
        {"image": {"repository": "r", "tag": "t", "pullPolicy": "Sometimes"}},
        {"configs": {"defualt": "x"}},
        {"configs": {"default": {"policy": {}}}},
        {"monitoring": {"alerts": True}},
        {"removalTimeout": "soon"},
        {"replicas": -1},
        {"imageVectorOverwrite": {"images": []}},
        {"pullSecrets": {"Not A Name": ""}},
    ],
)
def test_wrong_values_are_refused(values):
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(values, schema)


def test_what_gardener_adds_is_taken():
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    jsonschema.validate({"gardener": {"version": "v1.149.3", "seed": {}}, "usablePorts": [1]}, schema)


def test_the_shoot_of_the_example_asks_for_what_the_extension_takes():
    from extension.provider_config import parse  # noqa: PLC0415 - the rest of this module is about files

    (shoot,) = documents("shoot.yaml").values()
    (extension,) = shoot["spec"]["extensions"]
    assert extension["type"] == "cri-resmgr-extension"
    wanted = parse(extension["providerConfig"])
    assert set(wanted.worker_pools) <= {pool["name"] for pool in shoot["spec"]["provider"]["workers"]}
    groups = {
        pool.get("labels", {}).get("cri-resource-manager.intel.com/group")
        for pool in shoot["spec"]["provider"]["workers"]
    }
    assert {kind.removeprefix("group.") for kind in wanted.configs if kind.startswith("group.")} <= groups
