"""A controller that runs in a thread of its own, so that a test may wait with plain calls; and a stand-in for GRM.

The controller is the real one, with the real client; it can be made to die right after its n-th write, which is what
any `kill -9` looks like from the API server.
"""

import asyncio
import base64
import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cri_resmgr.kube.backoff import Backoff
from cri_resmgr.kube.clients import Client, connected
from cri_resmgr.kube.watching import Pace
from equipment.control_plane import Api, ApiError
from equipment.processes import wait_for
from extension.controller import Controller
from extension.images import AGENT, INSTALLATION, WEBHOOK, Source
from extension.observing import Finished
from extension.options import Options

VECTOR = tuple(Source(name=name, repository=f"example.org/{name}", tag="v1") for name in (INSTALLATION, AGENT, WEBHOOK))
PACE = Pace(backoff=Backoff(first_s=0.1, last_s=0.5))
NAME = "extension-runtime-cri-resmgr"
DEADLINE_S = 30


class Death(BaseException):
    """Ends the controller on the spot: it is no Exception, so nothing of the controller's handles it."""


@dataclass
class Fate:
    """What becomes of writes that are about a namespace: all pass, or the controller dies after one of them."""

    namespace: str = "-"
    dies_at: int = 0
    """Counted from 1; 0 for never."""
    writes: list[str] = field(default_factory=list)


def fated(client: Client, fate: Fate) -> Client:
    """The client with a fate: each write is noted, and may be the last."""

    class Fated(Client):
        async def _written(self, request, deadline_s):
            if f"/{fate.namespace}/" not in f"{request}/":
                return await super()._written(request, deadline_s)
            fate.writes.append(str(request))
            answer = await super()._written(request, deadline_s)
            if len(fate.writes) == fate.dies_at:
                raise Death
            return answer

    return Fated(client._session, client.outages)


@dataclass
class Running:
    """A controller at work."""

    controller: Controller
    fate: Fate
    finished: list[Finished]
    thread: threading.Thread


@contextlib.contextmanager
def running(kubeconfig: Path, options: Options, *, fate: Fate | None = None) -> Iterator[Running]:
    """A controller that works until the end of the block, or its death."""
    started, loop = threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()
    made: list[Running] = []
    errors: list[BaseException] = []
    fate = fate or Fate()

    async def work() -> None:
        async with connected(kubeconfig=kubeconfig, user_agent="cri-resmgr-test") as client:
            finished: list[Finished] = []
            controller = Controller(fated(client, fate), options, VECTOR, observer=finished.append, pace=PACE)
            controller.queue._backoff = Backoff(first_s=0.05, last_s=0.5)
            made.append(Running(controller, fate, finished, threading.current_thread()))
            task = asyncio.create_task(controller.run())
            started.set()
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
            task.cancel()
            stopping.cancel()
            await asyncio.wait({task, stopping})
            if not task.cancelled():
                task.result()

    def run() -> None:
        try:
            loop.run_until_complete(work())
        except BaseException as error:  # noqa: BLE001 - told in the test's own thread
            if not _is_death(error):
                errors.append(error)
        finally:
            loop.run_until_complete(_closed(loop))
            loop.close()
            started.set()

    thread = threading.Thread(target=run, name="controller")
    thread.start()
    started.wait(DEADLINE_S)
    try:
        yield made[0]
    finally:
        with contextlib.suppress(RuntimeError):  # it has ended, and its loop with it
            loop.call_soon_threadsafe(stop.set)
        thread.join(DEADLINE_S)
    assert not thread.is_alive(), "the controller does not end"
    if errors:
        raise errors[0]


async def _closed(loop: asyncio.AbstractEventLoop) -> None:
    """Until the connections are closed, all but the loop's own."""
    async with asyncio.timeout(DEADLINE_S):
        while len(loop._selector.get_map()) > 1:
            await asyncio.sleep(0.01)


def _is_death(error: BaseException) -> bool:
    return isinstance(error, Death) or (isinstance(error, BaseExceptionGroup) and all(map(_is_death, error.exceptions)))


@dataclass(frozen=True)
class Seed:
    """What tests look at and do in one namespace of the seed."""

    api: Api
    namespace: str

    def path(self, plural: str, name: str = "") -> str:
        root = {"secrets": "/api/v1"}.get(plural, "/apis/resources.gardener.cloud/v1alpha1")
        return f"{root}/namespaces/{self.namespace}/{plural}{name and '/'}{name}"

    def resource(self):
        """The ManagedResource, or None."""
        return self.api.find(self.path("managedresources", NAME))

    def secrets(self) -> list[str]:
        """Names of the Secrets that carry objects."""
        found = self.api("GET", self.path("secrets"))["items"]
        return [one["metadata"]["name"] for one in found if one["metadata"]["name"].startswith("managedresource-")]

    def patch(self, patch, subresource: str = "") -> None:
        path = self.path("managedresources", NAME) + subresource
        self.api.merge(path, patch)

    def manages(self, *, missing: str = "") -> None:
        """What gardener-resource-manager says of the newest form: it is rolled out, or what is missing."""
        conditions = {
            "ResourcesApplied": ("True", "ApplySucceeded", "All resources are applied."),
            "ResourcesHealthy": ("True", "ResourcesHealthy", "All resources are healthy."),
            "ResourcesProgressing": ("True", "DaemonSetProgressing", missing)
            if missing
            else ("False", "RolledOut", "-"),
        }
        time = "2026-01-01T00:00:00Z"
        listed = [
            {"type": kind, "status": status, "reason": reason, "message": message}
            | {"lastTransitionTime": time, "lastUpdateTime": time}
            for kind, (status, reason, message) in conditions.items()
        ]
        generation = self.resource()["metadata"]["generation"]
        self.patch({"status": {"conditions": listed, "observedGeneration": generation}}, "/status")

    def objects(self):
        """What the ManagedResource carries, by kind and name."""
        refs = self.resource()["spec"]["secretRefs"]
        data = [self.api("GET", self.path("secrets", ref["name"]))["data"] for ref in refs]
        text = b"".join(base64.b64decode(value) for one in data for value in one.values()).decode()
        found = [json.loads(part) for part in text.split("---\n") if part.strip()]
        return {(one["kind"], one["metadata"]["name"]): one for one in found}

    def uninstalls(self) -> bool:
        """Is the ManagedResource there, in its uninstall form?"""
        with contextlib.suppress(ApiError, TypeError):  # gone between two looks
            return ("ConfigMap", "cri-resmgr-config.fallback") not in self.objects()
        return False

    def wait_for(self, condition, what: str) -> None:
        """Until it holds."""
        wait_for(condition, what, DEADLINE_S)
