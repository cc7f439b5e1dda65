"""The extension as it runs in a seed: processes of its own command, with the rights of its chart and no others."""

import contextlib
import os
import re
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from equipment import audit
from equipment.audit import Write
from equipment.garden import Garden
from equipment.processes import wait_for

REPOSITORY = Path(__file__).parents[2]
RBAC = REPOSITORY / "charts" / "gardener-extension-cri-resmgr" / "templates" / "rbac.yaml"
DURATION_S = 4
QUICK = (
    f"--leader-election-lease-duration={DURATION_S}s",
    "--leader-election-renew-deadline=2s",
    "--leader-election-retry-period=300ms",
    "--heartbeat-renew-interval-seconds=1",
)
"""Times at which a test can wait for them; the relations are those of the defaults."""
LISTENING = re.compile(r'"http.listening".*"endpoint": "(127[^"]*)"')
DEADLINE_S = 30.0
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class Replicas:
    """The replicas of one installation in a namespace of its own; `stop` them at the end."""

    garden: Garden
    namespace: str = field(default_factory=lambda: f"extension-{uuid4().hex[:8]}")
    started: list[str] = field(default_factory=list)

    def install(self, *accounts: str) -> None:
        """The chart's rights, for these accounts: a replica each, so that the audit log can tell them apart."""
        self._post("/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        for account in accounts:
            self._post(f"/api/v1/namespaces/{self.namespace}/serviceaccounts", {"metadata": {"name": account}})
        text = RBAC.read_text().replace("{{ .Release.Namespace }}", self.namespace)
        assert "{{" not in text, "nothing but the namespace is a value in the chart's rights"
        for thing in yaml.safe_load_all(text):
            if thing["kind"] != "ServiceAccount":
                self._allow(thing, accounts)

    def start(self, name: str, *flags: str) -> None:
        """A replica that acts as the account of its name."""
        here = ("EXTENSION_CONFIGMAP_NAMESPACE", "LEADER_ELECTION_NAMESPACE")
        command = [
            sys.executable, "-m", "extension.cli", f"--kubeconfig={self.garden.seed.account(self.namespace, name)}",
            "--health-bind-address=127.0.0.1:0", "--metrics-bind-address=127.0.0.1:0", *QUICK, *flags,
        ]  # fmt: skip
        environment = dict.fromkeys(here, self.namespace)
        self.garden.seed.processes.start(self._process(name), command, env=environment, cwd=REPOSITORY)
        self.started.append(name)

    def stop(self) -> None:
        """End all of them, also those that hang."""
        for name in self.started:
            with contextlib.suppress(KeyError, ProcessLookupError):
                self.signal(name, signal.SIGCONT)
            self.garden.seed.processes.stop(self._process(name))

    def signal(self, name: str, number: int) -> None:
        """Send a signal."""
        os.kill(self.pid(name), number)

    def kill(self, name: str) -> None:
        """As a crash would."""
        self.garden.seed.processes.kill(self._process(name))

    def terminate(self, name: str) -> None:
        """As a kubelet would; returns when it has ended."""
        self.garden.seed.processes.stop(self._process(name))

    def pid(self, name: str) -> int:
        """Its process id."""
        return self.garden.seed.processes.pid(self._process(name))

    def log(self, name: str) -> str:
        """What it has logged."""
        return self.garden.seed.processes.log(self._process(name))

    def address(self, name: str) -> str:
        """Where it answers; empty while it does not."""
        return (["", *LISTENING.findall(self.log(name))])[-1]

    def get(self, name: str, path: str) -> tuple[int, str]:
        """What it answers: status and body; the status is 0 while it does not listen."""
        address = self.address(name)
        if not address:
            return 0, ""
        try:
            with _OPENER.open(f"http://{address}{path}", timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:  # it is ending
            return 0, ""

    def leads(self, name: str) -> bool:
        """Does it say that it acts?"""
        return "\ngardener_extension_cri_resmgr_leading 1\n" in self.get(name, "/metrics")[1]

    def wait_leading(self, name: str) -> None:
        """Until it acts."""
        processes = self.garden.seed.processes
        processes.wait_for(self._process(name), lambda: self.leads(name), f"{name} to lead", DEADLINE_S)

    def lease(self, name: str = "cri-resmgr-leader-election") -> dict[str, Any]:
        """The spec of a Lease."""
        path = f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases/{name}"
        return (self.garden.seed.api.find(path) or {}).get("spec") or {}

    def beats(self) -> str:
        """When the heart has beaten last."""
        return str(self.lease("gardener-extension-heartbeat").get("renewTime", ""))

    def writes(self, *, since: int = 0) -> list[Write]:
        """What replicas of this installation have written, in order."""
        prefix = f"system:serviceaccount:{self.namespace}:"
        log = self.garden.seed.audit_log
        assert log is not None
        return [write for write in audit.writes(log, since=since) if write.user.startswith(prefix)]

    def mark(self) -> int:
        """For `writes` from now on."""
        log = self.garden.seed.audit_log
        assert log is not None
        return audit.mark(log)

    def _process(self, name: str) -> str:
        return f"{self.namespace}-{name}"

    def _allow(self, thing: dict[str, Any], accounts: tuple[str, ...]) -> None:
        group, kind = thing["apiVersion"], thing["kind"].lower() + "s"
        if "subjects" in thing:
            thing["subjects"] = [{**thing["subjects"][0], "name": account} for account in accounts]
        where = f"/namespaces/{self.namespace}" if "namespace" in thing["metadata"] else ""
        if not where:  # of the whole seed, which is shared
            thing["metadata"]["name"] += f":{self.namespace}"
            if "roleRef" in thing:
                thing["roleRef"]["name"] += f":{self.namespace}"
        self._post(f"/apis/{group}{where}/{kind}", thing)

    def _post(self, path: str, body: object) -> None:
        self.garden.seed.api("POST", path, body)


@contextlib.contextmanager
def installed(garden: Garden, *accounts: str) -> Iterator[Replicas]:
    """An installation with its rights, and no replica yet."""
    replicas = Replicas(garden)
    replicas.install(*accounts)
    try:
        yield replicas
    finally:
        replicas.stop()


def settled(replicas: Replicas, *, quiet_s: float = 2.0) -> int:
    """Wait until no replica has written anything but Leases for so long; a mark."""
    at, end_s = replicas.mark(), time.monotonic() + DEADLINE_S

    def quiet() -> bool:
        nonlocal at, begun_s
        if others(replicas.writes(since=at)):
            at, begun_s = replicas.mark(), time.monotonic()
        return time.monotonic() - begun_s >= quiet_s

    begun_s = time.monotonic()
    wait_for(quiet, "nobody to write", end_s - begun_s)
    return at


def others(writes: list[Write]) -> list[Write]:
    """Without those to Leases."""
    return [write for write in writes if write.plural != "leases"]
