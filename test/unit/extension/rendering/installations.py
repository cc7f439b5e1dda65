"""Installations to render, and where to look in what comes of them."""

from typing import Any

from hypothesis import strategies as st

from extension.rendering import objects
from extension.rendering.inputs import Certificate, ImageSet, Installation, PullSecret, Selection

IMAGES = ImageSet("r.io/installation:v1", "r.io/agent:v1", "r.io/webhook:v1")
EVERYTHING = Installation(
    images=(IMAGES,),
    configs={"default": "policy: {Active: topology-aware}", "force": "policy: {Active: none}"},
    on_policy_error="pass",
    selection=Selection(("a", "b"), ("c",), {"node": "big"}),
    max_unavailable="25%",
    webhook=Certificate("certificate", "key", "authority"),
    pull_secrets=(PullSecret("mirror", '{"auths": {}}'),),
)


def made(**said: Any) -> dict[tuple[str, str], dict[str, Any]]:
    """The objects of an installation by kind and name."""
    found = objects(Installation(**{"images": (IMAGES,), **said}))
    by_name = {(each["kind"], each["metadata"]["name"]): each for each in found}
    assert len(by_name) == len(found)
    return by_name


def daemon_set(name: str, **said: Any) -> dict[str, Any]:
    return made(**said)["DaemonSet", name]


def pod(thing: dict[str, Any]) -> dict[str, Any]:
    """The pod of what has a template for one."""
    return thing["spec"]["template"]["spec"]


names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
selections = st.builds(
    Selection,
    st.lists(names, max_size=3).map(tuple),
    st.lists(names, max_size=3).map(tuple),
    st.dictionaries(names, names, max_size=3),
)
