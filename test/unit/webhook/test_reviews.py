"""Every review is answered, the answer is always yes, and it is one that the API server can take."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.policies.declarations import ANNOTATION
from cri_resmgr.webhook.reviews import (
    WARNING_LIMIT_CHARS,
    NoReview,
    Outcome,
    Verdict,
    answer,
    request,
    verdict,
)
from unit.webhook.pods import PODS, REVIEW, body, container, pod, review


def answered(asked: bytes):
    """The outcome, and the response of the answer after a look at its envelope."""
    made = request(asked)
    said = verdict(made)
    answered_review = json.loads(answer(made.uid, said))
    response = answered_review.pop("response")
    assert answered_review == REVIEW
    assert (response.pop("uid"), response.pop("allowed")) == (made.uid, True)
    return said.outcome, response


def test_a_new_pod_is_answered_with_a_patch():
    outcome, response = answered(body(pod(container("c", {"limits": {"cpu": "1"}}))))
    assert outcome is Outcome.ANNOTATED
    assert response.pop("patchType") == "JSONPatch"
    (operation,) = json.loads(base64.b64decode(response.pop("patch")))
    assert json.loads(operation["value"][ANNOTATION])["containers"] == {"c": {"limits": {"cpu": "1"}}}
    assert response == {}


def test_a_pod_that_needs_nothing_is_answered_with_nothing():
    made = pod(annotations={ANNOTATION: '{"initContainers":{},"containers":{"c":{}}}'})
    assert answered(body(made)) == (Outcome.UNCHANGED, {})


@pytest.mark.parametrize(
    "fields",
    [
        {"operation": "UPDATE"},
        {"operation": "DELETE", "object": None},
        {"operation": "CONNECT", "subResource": "exec"},
        {"subResource": "binding"},
        {"subResource": "eviction"},
        {"resource": {"group": "apps", "version": "v1", "resource": "deployments"}},
        {"resource": {**PODS, "version": "v2"}},
        {"resource": None},
    ],
)
def test_what_is_not_about_a_new_pod_passes_without_a_word(fields):
    assert answered(body(pod(), **fields)) == (Outcome.UNCONCERNED, {})


@pytest.mark.parametrize("made", [None, [], "pod", {}, pod("x"), pod({"name": 1})])
def test_a_pod_that_cannot_be_annotated_is_allowed_with_a_warning(made):
    outcome, response = answered(body(made))
    assert outcome is Outcome.FAILED
    (warning,) = response.pop("warnings")
    assert warning.startswith("cri-resmgr: the pod has no annotation intel.com/resources, ")
    assert response == {}


def test_a_warning_is_no_longer_than_the_api_server_shows():
    response = json.loads(answer("uid", Verdict(Outcome.FAILED, problem="x" * 1000)))["response"]
    assert [len(warning) for warning in response["warnings"]] == [WARNING_LIMIT_CHARS]


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b"1" * 5_000,
        b"null",
        b"[]",
        b"{}",
        json.dumps(REVIEW).encode(),
        json.dumps({**REVIEW, "request": "x"}).encode(),
        json.dumps({**REVIEW, "request": {"operation": "CREATE"}}).encode(),
        body(pod(), uid=""),
        body(pod(), uid=1),
        json.dumps({**review(pod()), "kind": "Pod"}).encode(),
    ],
)
def test_what_is_no_review_is_told_apart(sent):
    with pytest.raises(NoReview, match=r"; (send|let) "):
        request(sent)


def test_another_version_of_reviews_is_refused_with_the_remedy():
    old = json.dumps({**review(pod()), "apiVersion": "admission.k8s.io/v1beta1"}).encode()
    with pytest.raises(NoReview, match=r"no AdmissionReview of admission.k8s.io/v1; let admissionReviewVersions be"):
        request(old)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"name": "web"}, "web"),
        ({"object": pod(generateName="web-", name=None)}, "web-"),
        ({"object": None}, ""),
        ({"object": {"metadata": "x"}}, ""),
    ],
)
def test_a_review_is_named_by_the_pod_even_before_it_has_its_name(fields, name):
    assert request(body(pod(), **fields)).name == name


values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(values, values, values, values)
def test_no_pod_however_strange_is_refused_or_left_without_an_answer(metadata, annotations, containers, resources):
    strange = {"metadata": metadata, "spec": {"containers": containers}}
    half = pod(container("c", resources), annotations=annotations)
    for made in (metadata, strange, half):
        outcome, _ = answered(body(made))
        assert outcome is not Outcome.UNCONCERNED
