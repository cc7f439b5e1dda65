"""What gardenlet does about one Extension, and nothing else of it: a stand-in, for gardenlet wants a whole seed.

It makes namespace, Cluster and Extension, annotates, deletes, migrates and restores as the shoot flows of Gardener
v1.149.3 do (`pkg/component/extensions/extension`, `pkg/extensions/customresources.go`), and waits by the rules of
`CheckExtensionObject` (`pkg/utils/kubernetes/health/extensions.go`).  It polls faster than gardenlet's 5 s.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from equipment.control_plane import Api, ApiError

TYPE = "cri-resmgr-extension"
EXTENSIONS, CORE = "extensions.gardener.cloud/v1alpha1", "core.gardener.cloud/v1beta1"
OPERATION, TIMESTAMP = "gardener.cloud/operation", "gardener.cloud/timestamp"
CONFIRMATION = "confirmation.gardener.cloud/deletion"
FORCE_DELETION = "confirmation.gardener.cloud/force-deletion"
POLL_S = 0.05
SECONDS = len("2026-08-21T10:00:00")
ATTEMPTS = 20
FATAL_CODES = frozenset({
    "ERR_INFRA_UNAUTHENTICATED", "ERR_INFRA_UNAUTHORIZED", "ERR_INFRA_DEPENDENCIES", "ERR_INFRA_QUOTA_EXCEEDED",
    "ERR_INFRA_RATE_LIMITS_EXCEEDED", "ERR_CONFIGURATION_PROBLEM", "ERR_PROBLEMATIC_WEBHOOK",
})  # fmt: skip
"""With one of these in its lastError gardenlet gives the shoot up, instead of trying again."""


@dataclass(frozen=True, kw_only=True)
class Shoot:
    """What gardenlet knows of a shoot when it works on it; `dataclasses.replace` it and `reconcile` again."""

    namespace: str
    provider_config: Any = None
    """None: the shoot's spec has none."""
    kubernetes: str = "1.34.4"
    workers: tuple[Mapping[str, Any], ...] = ({"name": "worker", "cri": {"name": "containerd"}},)
    hibernated: bool = False
    state: str = "Processing"
    """Of the last operation; with Failed nobody acts on the shoot."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    deleting: bool = False
    """The whole shoot goes."""
    spec: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the shoot's spec."""
    whole: Mapping[str, Any] | None = None
    """The Shoot as a garden has it, in place of one that is made of all of these."""

    def cluster(self) -> dict[str, Any]:
        """The Cluster object."""
        return {
            "apiVersion": EXTENSIONS,
            "kind": "Cluster",
            "metadata": {"name": self.namespace},
            "spec": {
                "cloudProfile": {"apiVersion": CORE, "kind": "CloudProfile", "metadata": {"name": "local"}},
                "seed": {"apiVersion": CORE, "kind": "Seed", "metadata": {"name": "local"}},
                "shoot": dict(self.whole) if self.whole else self._shoot(),
            },
        }

    def _shoot(self) -> dict[str, Any]:
        extension = {"type": TYPE} if self.provider_config is None else {**self._provided()}
        metadata: dict[str, Any] = {"name": self.namespace.rpartition("--")[2], "namespace": "garden-test"}
        if self.annotations:
            metadata["annotations"] = dict(self.annotations)
        if self.deleting:
            metadata["deletionTimestamp"] = _now()[:19] + "Z"
        operation = "Delete" if self.deleting else "Reconcile"
        return {
            "apiVersion": CORE,
            "kind": "Shoot",
            "metadata": metadata,
            "spec": {
                "kubernetes": {"version": self.kubernetes},
                "hibernation": {"enabled": self.hibernated},
                "provider": {"type": "local", "workers": [dict(worker) for worker in self.workers]},
                "extensions": [extension],
                **self.spec,
            },
            "status": {
                "hibernated": self.hibernated,
                "technicalID": self.namespace,
                "lastOperation": {
                    "type": operation, "state": self.state, "progress": 50, "description": "by a test",
                    "lastUpdateTime": _now()[:19] + "Z",
                },
            },
        }  # fmt: skip

    def _provided(self) -> dict[str, Any]:
        return {"type": TYPE, "providerConfig": self.provider_config}


class Refused(Exception):  # noqa: N818 - gardenlet's shoot is `Failed`
    """The extension has said that trying again would not help."""


class Gardenlet:
    """Acts on the seed whose administrator's client this is."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def reconcile(self, shoot: Shoot) -> str:
        """As on every reconciliation of the shoot, the first one too; the timestamp that was set."""
        self.tell(shoot)
        return self._deploy(shoot, "reconcile")

    def tell(self, shoot: Shoot) -> None:
        """Make the namespace and write the Cluster, without touching the Extension."""
        labels = {"gardener.cloud/role": "shoot", f"extensions.gardener.cloud/{TYPE}": "true"}
        self._made("/api/v1/namespaces", {"metadata": {"name": shoot.namespace, "labels": labels}})
        path = self._cluster(shoot)
        if not self._made(path.rpartition("/")[0], shoot.cluster()):
            version = self._api("GET", path)["metadata"]["resourceVersion"]
            body = shoot.cluster()
            body["metadata"]["resourceVersion"] = version
            self._api("PUT", path, body)

    def wait(self, shoot: Shoot, *, deadline_s: float = 60) -> dict[str, Any]:
        """The Extension once it is accepted; raises Refused, or TimeoutError with the reason."""

        def accepted() -> dict[str, Any] | None:
            extension = self.find(shoot)
            if extension is None:
                return None
            if text := refusal(extension):
                raise Refused(text)
            return None if objection(extension) else extension

        return self._poll(accepted, shoot, deadline_s)

    def delete(self, shoot: Shoot) -> None:
        """Confirm and delete: the extension is disabled, or the shoot goes."""
        try:
            self._api.merge(path_of(shoot), {"metadata": {"annotations": {CONFIRMATION: "true"}}})
        except ApiError as error:
            if error.status != 404:
                raise
        self._api.discard(path_of(shoot))

    def wait_gone(self, shoot: Shoot, *, deadline_s: float = 60) -> None:
        """Until the Extension is deleted; TimeoutError with its last error."""
        self._poll(lambda: self.find(shoot) is None or None, shoot, deadline_s)

    def migrate(self, shoot: Shoot) -> None:
        """Have the Extension migrated away from this seed; `wait_migrated`, then `delete`, as gardenlet does."""
        self._annotate(shoot, "migrate")

    def wait_migrated(self, shoot: Shoot, *, deadline_s: float = 60) -> dict[str, Any]:
        """The Extension once it says that it has been migrated."""

        def migrated() -> dict[str, Any] | None:
            extension = self.find(shoot) or {}
            operation = (extension.get("status") or {}).get("lastOperation") or {}
            done = operation.get("type") == "Migrate" and operation.get("state") == "Succeeded"
            return extension if done and OPERATION not in annotations(extension) else None

        return self._poll(migrated, shoot, deadline_s)

    def restore(self, shoot: Shoot, *, state: Any = None) -> None:
        """Bring an Extension that was migrated to this seed, with the state that it had."""
        self.tell(shoot)
        self._deploy(shoot, "wait-for-state")
        if state is not None:
            self._api.merge(f"{path_of(shoot)}/status", {"status": {"state": state}})
        self._annotate(shoot, "restore")

    def drop(self, shoot: Shoot) -> None:
        """Take the Extension away whatever anybody waits for, and the Cluster: nobody is to try it again."""
        self.delete(shoot)
        with contextlib.suppress(ApiError):  # it is gone, or was never there
            self._api.merge(path_of(shoot), {"metadata": {"finalizers": None}})
        self._api.discard(self._cluster(shoot))

    def find(self, shoot: Shoot) -> dict[str, Any] | None:
        """The Extension, or None."""
        found: dict[str, Any] | None = self._api.find(path_of(shoot))
        return found

    def _cluster(self, shoot: Shoot) -> str:
        return f"/apis/{EXTENSIONS}/clusters/{shoot.namespace}"

    def _deploy(self, shoot: Shoot, operation: str) -> str:
        stamp = self._stamp(shoot)
        metadata = {"name": TYPE, "annotations": {OPERATION: operation, TIMESTAMP: stamp}}
        spec = {"type": TYPE, "providerConfig": shoot.provider_config}
        body = {"apiVersion": EXTENSIONS, "kind": "Extension", "metadata": metadata}
        given = {key: value for key, value in spec.items() if value is not None}
        if not self._made(path_of(shoot).rpartition("/")[0], {**body, "spec": given}):
            self._redeploy(shoot, metadata["annotations"], given)
        return stamp

    def _redeploy(self, shoot: Shoot, notes: Mapping[str, str], given: Mapping[str, Any]) -> None:
        """Change it whatever others write meanwhile: gardenlet's patch has no resourceVersion."""
        for _ in range(ATTEMPTS):
            found = self._api("GET", path_of(shoot))
            found["metadata"].setdefault("annotations", {}).update(notes)
            spec = {**found["spec"], "providerConfig": None, **given}
            try:
                self._api("PUT", path_of(shoot), {**found, "spec": spec})
            except ApiError as error:
                if error.status != 409:
                    raise
            else:
                return
        raise TimeoutError(f"{path_of(shoot)} is changed by others all the time")

    def _annotate(self, shoot: Shoot, operation: str) -> None:
        body = {"metadata": {"annotations": {OPERATION: operation, TIMESTAMP: self._stamp(shoot)}}}
        self._api.merge(path_of(shoot), body)

    def _stamp(self, shoot: Shoot) -> str:
        """Now, and not in the second of the last answer.

        Its rule counts whole seconds, so between the annotation's end and the status Processing such a request looks
        answered.  gardenlet itself never asks so quickly.
        """
        last = ((self.find(shoot) or {}).get("status") or {}).get("lastOperation") or {}
        while _now()[:SECONDS] == last.get("lastUpdateTime", "")[:SECONDS]:
            time.sleep(POLL_S)
        return _now()

    def _made(self, path: str, body: object) -> bool:
        try:
            self._api("POST", path, body)
        except ApiError as error:
            if error.status != 409:
                raise
            return False
        return True

    def _poll(self, condition: Callable[[], Any], shoot: Shoot, deadline_s: float) -> Any:
        end_s = time.monotonic() + deadline_s
        while (found := condition()) is None:
            if time.monotonic() > end_s:
                extension = self.find(shoot)
                reason = "there is none" if extension is None else objection(extension) or "it is accepted"
                raise TimeoutError(f"Extension {shoot.namespace}/{TYPE}, after {deadline_s} s: {reason}")
            time.sleep(POLL_S)
        return found


def path_of(shoot: Shoot) -> str:
    """Of the shoot's Extension."""
    return f"/apis/{EXTENSIONS}/namespaces/{shoot.namespace}/extensions/{TYPE}"


def annotations(thing: Mapping[str, Any]) -> dict[str, str]:
    """Of any object."""
    return (thing.get("metadata") or {}).get("annotations") or {}


def conditions(thing: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Of any object, by their types."""
    return {one["type"]: one for one in ((thing or {}).get("status") or {}).get("conditions") or ()}


def objection(extension: Mapping[str, Any]) -> str:
    """Why gardenlet does not accept it yet, the first reason of `CheckExtensionObject`; empty when it does."""
    return next(_objections(extension), "")


def _objections(extension: Mapping[str, Any]) -> Iterator[str]:
    status, metadata, notes = extension.get("status") or {}, extension["metadata"], annotations(extension)
    if error := status.get("lastError"):
        yield f"error during reconciliation: {error['description']}"
    if status.get("observedGeneration", 0) != metadata["generation"]:
        yield f"observed generation outdated ({status.get('observedGeneration', 0)}/{metadata['generation']})"
    if OPERATION in notes:
        yield f'gardener operation "{notes[OPERATION]}" is not yet picked up by controller'
    operation = status.get("lastOperation")
    if operation is None:
        yield "extension did not record a last operation yet"
        return
    if operation["state"] != "Succeeded":
        yield f"extension state is not succeeded but {operation['state']}"
    if notes.get(TIMESTAMP, "")[:19] > operation["lastUpdateTime"][:19]:  # to the second
        yield f"reconciliation requested at {notes[TIMESTAMP]}, last update time is: {operation['lastUpdateTime']}"


def refusal(extension: Mapping[str, Any]) -> str:
    """Why the newest run of it has failed for good; empty when it has not, or has not ended yet."""
    status = extension.get("status") or {}
    error, operation = status.get("lastError") or {}, status.get("lastOperation") or {}
    stamp = annotations(extension).get(TIMESTAMP, "")
    ended = operation.get("state") == "Error" and operation["lastUpdateTime"][:19] >= stamp[:19]
    fatal = FATAL_CODES & set(error.get("codes") or ())
    return str(error["description"]) if fatal and ended and OPERATION not in annotations(extension) else ""


def _now() -> str:
    """As Go's RFC3339Nano has it, in UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
