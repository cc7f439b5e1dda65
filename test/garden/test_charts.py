"""What the seed and the shoot get is taken by a real API server, to the last field."""

import pytest
import yaml

from equipment import gardener
from equipment.charts import NAMESPACE, RenderError, by_gardenlet, by_helm, dry_run, key, lint
from equipment.control_plane import ApiError
from equipment.garden import Garden, define
from extension.rendering import Installation, objects
from extension.rendering.inputs import ImageSet
from unit.extension.rendering.installations import EVERYTHING, IMAGES

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_go]

VPA, PARSER, FILTER = (
    "autoscaling.k8s.io_verticalpodautoscalers.yaml",
    "fluentbit.fluent.io_clusterparsers.yaml",
    "fluentbit.fluent.io_clusterfilters.yaml",
)
GARDENER = {"version": "v1.149.3", "seed": {"name": "local"}, "gardenlet": {"featureGates": {}}}
VALUES = {
    "defaults": {},
    "by gardenlet": {"gardener": GARDENER},
    "self-hosted shoot": {
        "gardener": {"version": "v1.149.3", "selfHostedShootCluster": True, "shoot": {}},
        "usablePorts": [1],
    },
    "garden runtime": {
        "gardener": {"runtimeCluster": {"enabled": "true", "priorityClassName": "gardener-garden-system-200"}}
    },
    "the readme's": {
        "image": {
            "repository": "v2.isvimgreg.com/gardener-extension-cri-resmgr",
            "tag": "mybranch",
            "pullPolicy": "Always",
        },
        "imageVectorOverwrite": "images:\n- name: x\n  tag: mybranch\n  repository: r\n",
        "configs": {"fallback": "### a comment\npolicy:\n  Active: topology-aware\n", "node.n-1": 'a: "b: {{ c }}"\n'},
    },
    "everything": {
        "image": {"repository": "r", "tag": "sha256:" + "0" * 64, "pullPolicy": "Never"},
        "pullSecrets": {"mirror": '{"auths": {}}', "another": "{}"},
        "replicas": 3,
        "fluentBit": True,
        "serviceAccount": {"automountToken": True},
        "vpa": {"enabled": True, "updateMode": "Auto"},
        "priorityClassName": "own",
        "monitoring": {"scrapeConfig": False, "prometheusRule": False, "dashboard": False},
        "removalTimeout": "1h",
    },
    "little": {"vpa": {"enabled": False}, "podDisruptionBudget": {"enabled": False}, "resources": {}},
}
SHOOTS = {
    "everything": EVERYTHING,
    "least": Installation(images=(IMAGES,)),
    "uninstall": Installation(images=(IMAGES,), form="uninstall"),
    "architectures": Installation(
        images=(ImageSet("i:1", "a:1", "w:1", ("amd64",)), ImageSet("i:2", "a:2", "w:2", ("arm64",)))
    ),
}


@pytest.fixture(scope="module", name="seed")
def _seed(garden: Garden) -> Garden:
    """A seed that has what Gardener brings beside its own kinds."""
    for name in (VPA, PARSER, FILTER):
        define(garden.seed.api, yaml.safe_load(gardener.original(name).read_text()))
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    if not garden.seed.api.find(f"/api/v1/namespaces/{NAMESPACE}"):
        garden.seed.api("POST", "/api/v1/namespaces", space)
    return garden


def test_helm_finds_nothing_to_complain_about():
    assert "1 chart(s) linted, 0 chart(s) failed" in lint()


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_helm_and_gardenlet_make_the_same_objects_and_the_seed_takes_them(seed, values, tmp_path):
    made = by_helm(values)
    assert made == by_gardenlet(values, tmp_path)
    assert len({key(each) for each in made}) == len(made)
    for each in made:
        dry_run(seed.seed.api, each)


def test_the_seed_gets_a_disruption_budget_and_an_autoscaler_unless_they_are_switched_off():
    name = "gardener-extension-cri-resmgr"
    both = {("PodDisruptionBudget", name), ("VerticalPodAutoscaler", name)}
    assert both <= {key(each) for each in by_helm(VALUES["defaults"])}
    assert not both & {key(each) for each in by_helm(VALUES["little"])}


def test_the_seeds_fluent_bit_is_told_of_our_lines_only_when_asked_for():
    name = "gardener-extension-cri-resmgr"
    both = {("ClusterParser", name), ("ClusterFilter", name)}
    assert both <= {key(each) for each in by_helm(VALUES["everything"])}
    assert not both & {key(each) for each in by_helm(VALUES["defaults"])}


def test_values_that_are_wrong_are_refused_by_both(tmp_path):
    for render in (by_helm, lambda values: by_gardenlet(values, tmp_path)):
        with pytest.raises(RenderError, match="tga"):
            render({"image": {"tga": "x"}})


def test_configurations_arrive_as_they_were_written():
    text = "### comment\npolicy:\n  Active: {{ none }}\n\n   'odd': \"quotes\"\n\tä 😀\n"
    (found,) = (each for each in by_helm({"configs": {"force": text}}) if each["kind"] == "ConfigMap")
    assert found["metadata"]["name"] == "gardener-extension-cri-resmgr-configs"
    assert found["data"] == {"force": text}


@pytest.mark.parametrize("installation", SHOOTS.values(), ids=SHOOTS)
def test_a_shoot_takes_every_object_as_it_is(seed, installation):
    for each in objects(installation):
        dry_run(seed.seed.api, each)


def test_an_object_with_a_field_that_does_not_exist_would_have_been_noticed(seed):
    (thing,) = (each for each in objects(SHOOTS["uninstall"]) if each["kind"] == "DaemonSet")
    thing["spec"]["template"]["spec"]["hostPid"] = True
    with pytest.raises(ApiError, match="unknown field"):
        dry_run(seed.seed.api, thing)


@pytest.mark.parametrize("kind", ["VerticalPodAutoscaler", "ClusterParser", "ClusterFilter"])
def test_so_would_one_of_an_object_of_somebody_elses_kind(seed, kind):
    (thing,) = (each for each in by_helm(VALUES["everything"]) if each["kind"] == kind)
    thing["spec"]["typo"] = True
    with pytest.raises(ApiError, match="unknown field"):
        dry_run(seed.seed.api, thing)
