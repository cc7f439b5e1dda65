"""A cluster in which the webhook is installed with the commands of docs/webhook.md, and pods that are made in it."""

import contextlib
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from cri_resmgr.policies.declarations import ANNOTATION
from equipment.control_plane import ControlPlane
from equipment.processes import wait_for

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = REPOSITORY / "examples" / "webhook"
MANIFESTS = ("mutating-webhook-config.yaml", "webhook-deployment.yaml")  # in the seed's order
NAMESPACE = "cri-resmgr"
PODS = "/api/v1/namespaces/{}/pods"
SERVICE = f"/api/v1/namespaces/{NAMESPACE}/services/cri-resmgr-webhook"
CROWD = 4
REMOVAL_DEADLINE_S = 180


class Cluster:
    """A context manager; the webhook's own pods, or what stands for them, are for others to make."""

    def __init__(self, plane: ControlPlane, certificates: Path) -> None:
        """Keep certificates in a directory that does not exist yet."""
        self.plane, self.certificates = plane, certificates

    def __enter__(self) -> "Cluster":
        for name in MANIFESTS:
            self.plane.kubectl("apply", "-f", str(EXAMPLES / name))
        self.renew()
        return self

    def __exit__(self, *_: object) -> None:
        for name in MANIFESTS:
            self.plane.kubectl("delete", "-f", str(EXAMPLES / name), deadline_s=REMOVAL_DEADLINE_S)

    def renew(self) -> None:
        """A new certificate of the same CA: run the script, and what it says should be done."""
        hack = REPOSITORY / "hacks" / "make-webhook-certificate"
        printed = subprocess.run([hack, self.certificates], check=True, capture_output=True, text=True).stdout
        for line in printed.splitlines():
            self.plane.kubectl(*line.split()[1:])

    def made(self, spec: Any, *, namespace: str = "default", **metadata: Any) -> Any:
        """What the API server makes of a pod, which is never scheduled and gone again."""
        never = {"schedulingGates": [{"name": "test.example.com/never"}]}
        body = {"metadata": {"generateName": "web-", **metadata}, "spec": {**never, **spec}}
        pod = self.plane.api("POST", PODS.format(namespace), body)
        self.plane.api("DELETE", f"{PODS.format(namespace)}/{pod['metadata']['name']}?gracePeriodSeconds=0")
        return pod

    def annotates(self) -> bool:
        """Whether an ordinary new pod gets the annotation."""
        return said(self.made({"containers": [container("c", limits={"cpu": "1"})]})) is not None

    def address(self) -> tuple[str, int]:
        """Where the API server calls the service."""
        service = self.plane.api("GET", SERVICE)["spec"]
        return service["clusterIP"], service["ports"][0]["port"]

    def certificate_shown(self) -> str:
        """To who calls the service now."""
        return ssl.get_server_certificate(self.address())

    def complaints(self) -> str:
        """What the API server says of calls that failed."""
        log = self.plane.processes.log("kube-apiserver")
        return "\n".join(line for line in log.splitlines() if "cri-resmgr.intel.com" in line)

    @contextlib.contextmanager
    def crowd(self) -> Iterator[list[bool]]:
        """Pods are made all the time; yields for each whether it was annotated.  Fails if one is refused."""
        made: list[bool] = []
        ending = threading.Event()

        def go_on() -> None:
            while not ending.is_set():
                made.append(self.annotates())

        with ThreadPoolExecutor(CROWD) as pool:
            making = [pool.submit(go_on) for _ in range(CROWD)]
            try:
                yield made
            finally:
                ending.set()
        for one in making:
            one.result()


def more(made: list[bool], count: int = 20) -> None:
    """Wait until so many more pods have been made."""
    goal = len(made) + count
    wait_for(lambda: len(made) >= goal, f"{count} more pods")


def container(name: str, *, limits: Any = None, **fields: Any) -> dict[str, Any]:
    """One container of a spec."""
    return {"name": name, "image": "none", "resources": {"limits": limits} if limits else {}, **fields}


def said(pod: Any) -> Any:
    """What the annotation says; None without one."""
    text = pod["metadata"].get("annotations", {}).get(ANNOTATION)
    return None if text is None else json.loads(text)


def documents(path: Path) -> list[Any]:
    """What a file of YAML holds."""
    return list(yaml.safe_load_all(path.read_text()))
