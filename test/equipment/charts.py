"""The seed's chart as helm and as gardenlet render it, and objects as the API server would take them."""

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

import controller_registration
from equipment.control_plane import Api
from equipment.tools import tool

CHART = Path("charts/gardener-extension-cri-resmgr")
RELEASE, NAMESPACE = "cri-resmgr-extension", "extension-cri-resmgr-extension-x7k2p"
KUBERNETES = "v1.34.1"
DEADLINE_S = 60

Things = list[dict[str, Any]]


class RenderError(Exception):
    """The chart cannot be rendered; its text is the program's."""


def lint() -> str:
    """What helm has to say about the chart with its own values.  Raises RenderError."""
    return _run(tool("helm"), "lint", "--strict", str(CHART))


def by_helm(values: object) -> Things:
    """The objects that `helm template` makes.  Raises RenderError."""
    arguments = ("--namespace", NAMESPACE, "--kube-version", KUBERNETES, "--values", "-")
    return _objects(_run(tool("helm"), "template", RELEASE, str(CHART), *arguments, given=_json(values)))


def by_gardenlet(values: object, directory: Path) -> Things:
    """The objects that gardenlet makes of the archive in a ControllerDeployment.  Raises RenderError."""
    return rendered(controller_registration.archive(CHART), values, directory)


def rendered(chart: bytes, values: object, directory: Path, *, namespace: str = NAMESPACE) -> Things:
    """The objects that gardenlet's own renderer makes of an archive, which is left in `directory`; RenderError."""
    archive = directory / "chart.tgz"
    archive.write_bytes(chart)
    arguments = (str(archive), RELEASE, namespace, KUBERNETES)
    return _objects(_run(tool("chart-renderer"), *arguments, given=_json(values)))


def dry_run(api: Api, thing: dict[str, Any]) -> dict[str, Any]:
    """What the API server would make of an object, unknown fields being errors.  Raises ApiError."""
    body = json.loads(json.dumps(thing))
    path = f"{collection(api, thing)}?dryRun=All&fieldValidation=Strict"
    answer: dict[str, Any] = api("POST", path, body)
    return answer


def collection(api: Api, thing: dict[str, Any]) -> str:
    """The path of the objects of a kind, in the namespace of this one."""
    version = thing["apiVersion"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    for resource in api("GET", root)["resources"]:
        if resource["kind"] == thing["kind"] and "/" not in resource["name"]:
            space = f"/namespaces/{thing['metadata']['namespace']}" if resource["namespaced"] else ""
            return f"{root}{space}/{resource['name']}"
    raise LookupError(f"the API server serves no {thing['kind']} in {version}")


def key(thing: dict[str, Any]) -> tuple[str, str]:
    """By which objects of different renderers are the same."""
    return thing["kind"], thing["metadata"]["name"]


def _json(values: object) -> str:
    """As JSON that is YAML, too: pairs of escapes for one character are not."""
    return json.dumps(values, ensure_ascii=False)


def _objects(text: str) -> Things:
    return sorted((each for each in yaml.safe_load_all(text) if each), key=key)


def _run(*command: str | Path, given: str = "") -> str:
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    if done.returncode:
        raise RenderError(done.stderr.strip() or done.stdout.strip())
    return done.stdout
