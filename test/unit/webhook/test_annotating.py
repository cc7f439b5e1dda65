"""A new pod is annotated with what its containers request and are limited to, and with nothing else."""

import copy
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.policies.declarations import ANNOTATION, LIMIT_CHARS, Amounts, Declared, declared
from cri_resmgr.webhook.annotating import TOTAL_LIMIT_BYTES, annotation, patch
from unit.webhook.pods import container, pod


def patched(made: Any) -> Any:
    """What the API server makes of the pod and our patch: RFC 6902, as far as we use it."""
    made = copy.deepcopy(made)
    for operation in patch(made):
        assert operation["op"] == "add"
        *parents, key = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        target = made
        for part in parents:
            target = target[part]
        target[key] = operation["value"]
    return made


def said(made: Any) -> Any:
    return json.loads(patched(made)["metadata"]["annotations"][ANNOTATION])


def test_the_annotation_has_init_sidecar_and_normal_containers():
    amounts = {"requests": {"cpu": "500m"}, "limits": {"memory": "1Gi"}}
    sidecar = container("proxy", {"requests": {"cpu": "1"}}, restartPolicy="Always")
    made = pod(container("app", amounts), init=[container("setup", {"limits": {"cpu": "2"}}), sidecar])
    assert said(made) == {
        "initContainers": {"setup": {"limits": {"cpu": "2"}}, "proxy": {"requests": {"cpu": "1"}}},
        "containers": {"app": amounts},
    }


def test_extended_resources_are_copied_and_claims_are_not():
    made = pod(container("c", {"limits": {"example.com/gpu": "1"}, "claims": [{"name": "x"}]}))
    assert said(made)["containers"]["c"] == {"limits": {"example.com/gpu": "1"}}


@pytest.mark.parametrize("resources", [None, {}, {"requests": {}, "limits": None}])
def test_a_container_without_resources_is_listed_with_none(resources):
    assert said(pod(container("c", resources))) == {"initContainers": {}, "containers": {"c": {}}}


@pytest.mark.parametrize("annotations", [None, {}])
def test_a_pod_without_annotations_gets_the_mapping_too(annotations):
    made = pod(annotations=annotations)
    assert [operation["path"] for operation in patch(made)] == ["/metadata/annotations"]
    assert set(patched(made)["metadata"]["annotations"]) == {ANNOTATION}


def test_annotations_that_are_there_stay():
    assert patched(pod(annotations={"a/b": "c"}))["metadata"]["annotations"] == {
        "a/b": "c",
        ANNOTATION: '{"initContainers":{},"containers":{"c":{}}}',
    }


def test_nothing_but_the_annotation_is_changed():
    made = pod(container("c", {"limits": {"cpu": "1"}}), init=[container("i")], labels={"x": "y"})
    result = patched(made)
    del result["metadata"]["annotations"]
    assert result == made


@pytest.mark.parametrize("others", [{}, {"a": "b"}])
def test_a_pod_that_says_the_truth_already_is_left_alone(others):
    made = pod(container("c", {"limits": {"cpu": "1"}}))
    assert (
        patch(pod(container("c", {"limits": {"cpu": "1"}}), annotations={**others, ANNOTATION: annotation(made)})) == ()
    )


@pytest.mark.parametrize("claim", ["", "no JSON", '{"containers":{"c":{"limits":{"cpu":"64"}}}}'])
def test_what_a_user_claims_is_replaced_by_the_truth(claim):
    made = pod(container("c", {"limits": {"cpu": "1"}}), annotations={ANNOTATION: claim})
    assert said(made)["containers"] == {"c": {"limits": {"cpu": "1"}}}


def test_a_second_look_after_another_webhook_has_changed_the_pod_corrects_the_first():
    first = patched(pod(container("c")))
    first["spec"]["containers"].append(container("injected", {"limits": {"cpu": "1"}}))
    assert said(first)["containers"] == {"c": {}, "injected": {"limits": {"cpu": "1"}}}


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        (None, "the object has no metadata"),
        ([], "the object is no mapping"),
        ({"spec": {}}, "the object has no metadata"),
        ({"metadata": None, "spec": {}}, "the object has no metadata"),
        (pod(annotations=[]), "metadata.annotations is no mapping"),
        ({"metadata": {}, "spec": "x"}, "spec is no mapping"),
        (pod(init={"a": 1}), "spec.initContainers is no list"),
        (pod(container("c"), "x"), "spec.containers[1] is no mapping"),
        (pod({"image": "x"}), "spec.containers[0] has no name"),
        (pod(container("c", "much")), "spec.containers[0].resources is no mapping"),
        (pod(container("c", {"limits": "much"})), "spec.containers[0].resources.limits is no mapping"),
    ],
)
def test_what_is_no_pod_is_named_by_its_place(made, problem):
    with pytest.raises(ValueError, match=f"^{re.escape(problem)}$"):
        patch(made)


def test_resources_longer_than_a_node_reads_are_not_written():
    wide = container("c", {"limits": {f"example.com/{at}": "1" for at in range(4000)}})
    with pytest.raises(ValueError, match=rf"its resources take \d+ characters, and nodes read {LIMIT_CHARS}$"):
        patch(pod(wide))


@pytest.mark.parametrize("character", ["x", "é", "\ud800"])
def test_a_pod_whose_annotations_are_full_is_not_made_impossible(character):
    room = TOTAL_LIMIT_BYTES - len(ANNOTATION) - len(annotation(pod())) - len("a")
    width = len(character.encode(errors="surrogatepass"))
    value = character * (room // width) + "x" * (room % width)
    assert patch(pod(annotations={"a": value}))
    with pytest.raises(ValueError, match=f"its annotations would take {TOTAL_LIMIT_BYTES + 1} bytes, and"):
        patch(pod(annotations={"a": value + "x"}))


def test_an_annotation_that_is_replaced_does_not_count_twice():
    claim = "x" * (TOTAL_LIMIT_BYTES - len(ANNOTATION))
    assert patch(pod(annotations={ANNOTATION: claim}))


milli = st.integers(0, 64_000)
resources = st.fixed_dictionaries(
    {}, optional={"requests": st.fixed_dictionaries({"cpu": milli}), "limits": st.fixed_dictionaries({"cpu": milli})}
)
names = st.text(st.sampled_from('abc-é😀\ud800"\\/~'), min_size=1, max_size=8)


@given(st.dictionaries(names, resources, min_size=1, max_size=6), st.integers(0, 6))
def test_a_node_reads_back_what_the_pod_said(containers, init_count):
    def written(amounts):
        return {word: {"cpu": f"{said['cpu']}m"} for word, said in amounts.items()}

    listed = [container(name, written(amounts)) for name, amounts in containers.items()]
    annotations = patched(pod(*listed[init_count:], init=listed[:init_count]))["metadata"]["annotations"]
    for name, amounts in containers.items():
        limit = amounts.get("limits", {}).get("cpu", 0)
        request = amounts.get("requests", {}).get("cpu", limit)
        assert declared(name, annotations) == Declared(Amounts(request, limit), Amounts())
