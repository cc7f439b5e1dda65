"""AdmissionReview v1: bytes of a request to bytes of the answer.

Whatever is asked, the answer to a review that can be identified is *allowed*; what went wrong becomes a warning, which
kubectl shows to whoever made the pod.  A body without a usable `uid` is no review: nobody could take an answer to it,
so it is refused as a whole (HTTP 400), and the failure policy lets the pod pass.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from cri_resmgr.policies.declarations import ANNOTATION
from cri_resmgr.webhook import annotating
from cri_resmgr.webhook.annotating import Operation

API_VERSION, KIND = "admission.k8s.io/v1", "AdmissionReview"
WARNING_LIMIT_CHARS = 256
"""The API server cuts longer ones."""
_PODS = {"group": "", "version": "v1", "resource": "pods"}


class NoReview(ValueError):  # noqa: N818 - it says what the body is not
    """The body is not what an API server sends."""


class Outcome(Enum):
    """What became of a review; the values are those of the metric's label."""

    ANNOTATED = "annotated"
    UNCHANGED = "unchanged"
    """The pod says already what we would write."""
    UNCONCERNED = "unconcerned"
    """It is not about a new pod; the webhook's rules are wider than they need be."""
    FAILED = "failed"
    """Allowed with a warning instead of a patch."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a review asks; `concerned` tells whether `pod` is one that is to be made."""

    uid: str
    namespace: str = ""
    name: str = ""
    concerned: bool = False
    pod: Any = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What we say to it; `problem` is a sentence without anything of the pod's spec in it."""

    outcome: Outcome
    patch: Sequence[Operation] = ()
    problem: str = ""


def request(body: bytes) -> Request:
    """What the body asks.  Raises NoReview."""
    try:
        review = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NoReview(f"the body is no JSON; send an {KIND}") from error
    if not isinstance(review, dict) or (review.get("apiVersion"), review.get("kind")) != (API_VERSION, KIND):
        raise NoReview(f"the body is no {KIND} of {API_VERSION}; let admissionReviewVersions be [v1]")
    asked = review.get("request")
    if not isinstance(asked, dict) or not isinstance(uid := asked.get("uid"), str) or not uid:
        raise NoReview(f"the {KIND} has no request.uid; send it as the API server does")
    return Request(
        uid,
        namespace=str(asked.get("namespace", "")),
        name=_name(asked),
        concerned=_makes_a_pod(asked),
        pod=asked.get("object"),
    )


def verdict(asked: Request) -> Verdict:
    """Our answer, which never refuses."""
    if not asked.concerned:
        return Verdict(Outcome.UNCONCERNED)
    try:
        patch = annotating.patch(asked.pod)
    except ValueError as error:
        return Verdict(Outcome.FAILED, problem=str(error))
    return Verdict(Outcome.ANNOTATED if patch else Outcome.UNCHANGED, patch)


def answer(uid: str, said: Verdict) -> bytes:
    """The review that the API server expects back."""
    response: dict[str, Any] = {"uid": uid, "allowed": True}
    if said.patch:
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(json.dumps(said.patch).encode()).decode()
    if said.outcome is Outcome.FAILED:
        response["warnings"] = [_warning(said.problem)]
    return json.dumps({"apiVersion": API_VERSION, "kind": KIND, "response": response}).encode()


def _makes_a_pod(asked: Mapping[str, Any]) -> bool:
    # Bindings and evictions are created, too: under pods, as subresources.
    return asked.get("operation") == "CREATE" and asked.get("resource") == _PODS and not asked.get("subResource")


def _name(asked: Mapping[str, Any]) -> str:
    """The pod's, or what its name will begin with: the API server makes names after it has asked."""
    if asked.get("name"):
        return str(asked["name"])
    made = asked.get("object")
    metadata = made.get("metadata") if isinstance(made, dict) else None
    return str(metadata.get("generateName", "")) if isinstance(metadata, dict) else ""


def _warning(problem: str) -> str:
    text = f"cri-resmgr: the pod has no annotation {ANNOTATION}, nodes will estimate its resources: {problem}"
    return text[:WARNING_LIMIT_CHARS]
