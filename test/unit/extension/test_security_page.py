"""docs/security.md has a reason for each right and privilege that the charts ask for, and for none that they do not."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from extension.rendering import Installation, objects
from unit.extension.rendering.installations import EVERYTHING, IMAGES

PAGE = Path("docs/security.md").read_text()
SEED = Path("charts/gardener-extension-cri-resmgr/templates")
UNINSTALL = Installation(images=(IMAGES,), form="uninstall")
Right = tuple[str, str, str]


def rows(section: str) -> list[list[str]]:
    """The cells of the table below a heading."""
    (text,) = re.findall(rf"^###? {re.escape(section)}\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]


def seed_objects() -> list[dict[str, Any]]:
    """Roles and bindings of the seed's chart, which have one variable only."""
    text = (SEED / "rbac.yaml").read_text().replace("{{ .Release.Namespace }}", "ours")
    assert "{{" not in text
    return list(yaml.safe_load_all(text))


def roles() -> list[dict[str, Any]]:
    """All that the charts have, for the seed and for both forms of a shoot's objects."""
    made = [*seed_objects(), *objects(EVERYTHING), *objects(UNINSTALL)]
    return [each for each in made if each["kind"] in {"Role", "ClusterRole"}]


def said() -> set[Right]:
    """The rights that the page gives reasons for."""
    found = set()
    for section in re.findall(r"^### ((?:Cluster)?Role .+)$", PAGE, re.MULTILINE):
        for resource, verbs, why in rows(section):
            assert why, f"{section}: {resource} has no reason"
            found |= {(section, resource, verb) for verb in verbs.split(", ")}
    return found


def asked() -> set[Right]:
    """The rights that the charts ask for."""
    return {
        (f"{role['kind']} {role['metadata']['name']}", "/".join(filter(None, (group, resource))), verb)
        for role in roles()
        for rule in role.get("rules", [])
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_every_right_has_a_reason_and_every_reason_a_right():
    assert len(roles()) == 5
    assert said() == asked()


def test_nobody_asks_for_everything():
    assert not [right for right in asked() if "*" in right[1] or right[2] == "*"]


def privileges(thing: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """DaemonSet, container, what it has beyond an ordinary pod."""
    name, spec = thing["metadata"]["name"], thing["spec"]["template"]["spec"]
    yield from ((name, "", key) for key in ("hostPID", "hostNetwork", "hostIPC") if spec.get(key))
    paths = {volume["name"]: volume["hostPath"]["path"] for volume in spec.get("volumes", []) if "hostPath" in volume}
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        context = spec.get("securityContext", {}) | container["securityContext"]
        yield from ((name, container["name"], key) for key in ("privileged",) if context.get(key))
        yield from ((name, container["name"], key) for key in context.get("capabilities", {}).get("add", []))
        if context.get("runAsUser") == 0:
            yield name, container["name"], "runAsUser 0"
        if spec["automountServiceAccountToken"]:
            yield name, container["name"], "service account token"
        mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
        yield from ((name, container["name"], f"hostPath {paths[volume]}") for volume in paths.keys() & mounted)


def test_every_privilege_of_a_pod_has_a_reason_and_every_reason_a_privilege():
    made = [thing for thing in objects(EVERYTHING) if "template" in thing.get("spec", {})]
    reasons = {(name, container, what): why for name, container, what, why in rows("Pods")}
    assert all(reasons.values())
    assert set(reasons) == {privilege for thing in made for privilege in privileges(thing)}


def test_the_uninstall_form_has_the_privileges_of_the_removal():
    (form,) = (each for each in objects(UNINSTALL) if each["kind"] == "DaemonSet")
    (removal,) = (each for each in objects(EVERYTHING) if each["metadata"]["name"] == "cri-resmgr-removal")
    assert {each[1:] for each in privileges(form)} == {each[1:] for each in privileges(removal)}


@pytest.mark.parametrize("word", ["hostPath", "hostPID", "hostNetwork", "privileged: true", "runAsUser: 0"])
def test_the_extension_itself_has_nothing_of_its_node(word):
    assert word not in (SEED / "deployment.yaml").read_text()


@pytest.mark.parametrize(
    "line",
    [
        "runAsNonRoot: true",
        "readOnlyRootFilesystem: true",
        "allowPrivilegeEscalation: false",
        "drop: [ALL]",
        "RuntimeDefault",
    ],
)
def test_the_extension_fits_into_a_restricted_namespace(line):
    assert line in (SEED / "deployment.yaml").read_text()
    for name in ("ctrldeploy-ctrlreg.yaml", "controllerdeployment-v1.yaml", "operator-extension.yaml"):
        assert "security.gardener.cloud/pod-security-enforce: restricted" in (Path("examples") / name).read_text()
