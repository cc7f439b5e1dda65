"""What users write in Adjustments, the custom resource's schema of it, and the plain values that a daemon takes."""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.config import adjustment_schema
from cri_resmgr.config.adjustment_models import QUANTITY, Operator
from cri_resmgr.config.adjustments import Unusable, adjustment, named
from cri_resmgr.policies.expressions import expression
from cri_resmgr.values import quantities
from cri_resmgr.values.adjustments import Effect, Scope, Statement

REPOSITORY = Path(__file__).parents[3]
EXAMPLES = REPOSITORY / "examples"
MI = 1 << 20
WEB = {"key": "pod/name", "operator": "Equals", "values": ["web"]}


def sample() -> dict:
    return yaml.safe_load((EXAMPLES / "external-adjustment.yaml").read_text())


def schema() -> dict:
    (version,) = adjustment_schema.definition()["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]


def effect(**resources) -> Effect:
    return adjustment("a", {"scope": [], "resources": resources}, "node-1").effect


def test_the_definition_in_the_examples_is_what_the_models_say():
    made = subprocess.run(
        [sys.executable, "-m", "cri_resmgr.config.adjustment_schema"], capture_output=True, text=True, check=True
    ).stdout
    assert (EXAMPLES / "adjustment-schema.yaml").read_text() == made, "run: make docs"


def test_the_sample_says_what_it_seems_to_say_on_each_node():
    one = adjustment("external-adjustment", sample()["spec"], "node-1")
    assert one.scopes == (Scope((), (Statement(":,:pod/name,name", "Matches", ("*:container",)),)),)
    assert one.effect == Effect(750, 1500, 500 * MI, 750 * MI, "rdt-class-1", "blockio-class-1", 500 * MI)
    (gpu,) = adjustment("external-adjustment", sample()["spec"], "gpu-7").scopes
    assert gpu.containers[0].values == ("pod:*",)
    assert not named(sample()["spec"], "node-2")


@pytest.mark.parametrize(
    ("scope", "is_named"),
    [
        ([], True),
        ([{}], True),
        ([{"nodes": []}], True),
        ([{"nodes": ["node-2"]}], False),
        ([{"nodes": ["node-2"]}, {"nodes": ["node*"]}], True),
        ([{"nodes": None, "containers": [WEB]}], True),
        ("no scope", True),
        ([{"nodes": 3}], True),
    ],
)
def test_an_adjustment_is_for_a_node_that_its_scope_names_or_for_anybody_if_nobody_understands_it(scope, is_named):
    assert named({"scope": scope}, "node-1") is is_named


def test_a_request_that_is_missing_is_the_limit_whether_there_are_requests_or_not():
    assert effect(limits={"cpu": "2", "memory": "1Mi"}) == Effect(2000, 2000, MI, MI)
    assert effect(limits={"cpu": 2}, requests={"memory": "1Mi"}) == Effect(2000, 2000, MI)
    assert effect(requests={"cpu": "500m"}, limits={"cpu": 1}) == Effect(500, 1000)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "spec.scope: Field required"),
        ({"scope": [], "colour": "red"}, "spec.colour: Extra inputs"),
        (
            {"scope": [{"containers": [{"key": "name", "operator": "Like"}]}]},
            r"spec.scope\[0\].containers\[0\].operator: ",
        ),
        (
            {"scope": [{}, {"containers": [WEB, {"key": "name", "operator": "Equals"}]}]},
            r"spec.scope\[1\].containers\[1\].values: Equals takes one, not 0",
        ),
        (
            {"scope": [{"containers": [{"key": "colour", "operator": "Exists"}]}]},
            r"spec.scope\[0\].containers\[0\].key: 'colour' is no key",
        ),
        ({"scope": [], "toptierLimit": "much"}, "spec.toptierLimit"),
        (
            {"scope": [], "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1500m"}}},
            "spec.resources.requests.cpu: 2 is more than the limit, 1500m",
        ),
        ({"scope": [], "resources": {"limits": {"memory": "0"}}}, "spec.resources.limits.memory: 0 would stop"),
        ({"scope": [], "resources": {"limits": {"memory": -1}}}, "spec.resources.limits.memory"),
        ({"scope": [], "resources": {"limits": {"gpu": "1"}}}, "spec.resources.limits.gpu: Extra inputs"),
        (
            {"scope": [], "resources": {"limits": {"cpu": "9e30"}}},
            "spec.resources.limits.cpu: .* more than any machine",
        ),
    ],
)
def test_what_cannot_be_is_said_with_its_path(spec, message):
    with pytest.raises(Unusable, match=message):
        adjustment("a", spec, "node-1")


@given(st.from_regex(QUANTITY, fullmatch=True))
def test_each_quantity_that_the_schema_takes_is_one_unless_it_is_too_large(text):
    with suppress(ValueError):
        assert quantities.bytes_of(text) >= 0
        return
    with pytest.raises(ValueError, match=r"more than any machine has|…|is no quantity") as error:
        quantities.bytes_of(text)
    assert "more than any machine has" in str(error.value) or len(text) > 64


@pytest.mark.parametrize("operator", Operator.__args__)
def test_each_operator_of_the_schema_is_known(operator):
    count = {"Equals": 1, "NotEqual": 1, "Matches": 1, "MatchesNot": 1}.get(operator, 0)
    assert expression("name", operator, ["a"] * count)


def test_each_operator_that_is_known_is_in_the_schema():
    with pytest.raises(ValueError, match="write one of") as error:
        expression("name", "Like", [])
    assert str(error.value).rpartition("one of ")[2].split(", ") == sorted(
        Operator.__args__, key=str(error.value).index
    )


@pytest.mark.parametrize("change", [{}, {"scope": []}, {"resources": {"limits": {"cpu": 2}}}, {"toptierLimit": 7}])
def test_the_schema_takes_what_we_take(change):
    jsonschema.validate(sample() | {"spec": sample()["spec"] | change}, schema())


@pytest.mark.parametrize(
    "change",
    [
        {"scope": None},
        {"scope": [{"nodes": [1]}]},
        {"scope": [{"containers": [{"key": "name"}]}]},
        {"resources": {"limits": {"cpu": "two"}}},
        {"resources": {"limits": {"cpu": -2}}},
        {"resources": {"limits": {"cpu": 1.5}}},
        {"classes": {"rdt": ""}},
    ],
)
def test_the_schema_refuses_what_we_refuse(change):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(sample() | {"spec": sample()["spec"] | change}, schema())


def test_the_schema_is_structural():
    def check(part: dict) -> None:
        assert not {"$ref", "$defs", "title", "default", "const"} & part.keys()
        assert "type" in part or part.get("x-kubernetes-int-or-string")
        assert not ("properties" in part and "additionalProperties" in part)
        for below in (*part.get("properties", {}).values(), part.get("items"), part.get("additionalProperties")):
            if isinstance(below, dict):
                check(below)

    check(schema())


def test_the_page_shows_an_adjustment_that_works_and_files_that_are_there():
    page = (REPOSITORY / "docs" / "adjustments.md").read_text()
    shown = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])
    jsonschema.validate(shown, schema())
    assert adjustment("a", shown["spec"], "gpu-1").effect.rdt_class == "gold"
    for word in page.split():
        if word.startswith("examples/"):
            assert (REPOSITORY / word).is_file(), word
    known = {"NotExists", *Operator.__args__}
    assert all(f"`{operator}`" in page for operator in known - {"NotExists"})
