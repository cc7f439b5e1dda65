"""Our client, reflector and credentials against a real API server that dies, hangs, forgets and changes its CA."""

import asyncio
import shutil
from collections import Counter
from contextlib import asynccontextmanager, suppress

import pytest
from structlog.testing import capture_logs

from cri_resmgr.kube.backoff import Backoff
from cri_resmgr.kube.clients import Client, connected
from cri_resmgr.kube.credentials import from_pod
from cri_resmgr.kube.errors import Conflict, Expired, Forbidden, Invalid, NotFound, Unauthorised, Unavailable
from cri_resmgr.kube.outages import Outages
from cri_resmgr.kube.resources import Resource
from cri_resmgr.kube.sessions import Session
from cri_resmgr.kube.watching import Pace, Reflector
from equipment.api_server import ADDRESS
from equipment.credentials import ADMIN
from node.kube_fixtures import *  # noqa: F403 - a fixture, as if it stood here

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_go, pytest.mark.timeout(300)]

CONFIGMAPS = Resource("v1", "configmaps", "default")
THINGS = Resource("example.org/v1", "things", "default")
PACE = Pace(silence_s=60.0, backoff=Backoff(first_s=0.2, last_s=1.0))
AWHILE_S = 1.0
DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def kinds(api_server):
    """A server with a kind of our own."""
    make_kind(api_server)
    return api_server


def make_kind(server):
    """The kind `things`, with a status."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
    }
    spec = {
        "group": "example.org",
        "scope": "Namespaced",
        "names": {"plural": "things", "singular": "thing", "kind": "Thing"},
        "versions": [version],
    }
    kinds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    server.api("POST", kinds, {"metadata": {"name": "things.example.org"}, "spec": spec})
    server.processes.wait_for("kube-apiserver", lambda: server.api.find(THINGS.path()), "the kind to be served")


@pytest.fixture
async def client(kinds):
    async with connected(kubeconfig=kinds.kubeconfig, user_agent="cri-resmgr-test") as made:
        yield made
        for resource in (CONFIGMAPS, THINGS):
            for thing in [item async for page in made.pages(resource.all()) for item in page.items]:
                if thing["metadata"]["name"] != "kube-root-ca.crt":
                    await made.delete(resource, thing["metadata"]["name"])


def configmap(name, **data):
    return {"metadata": {"name": name, "labels": {"x": name[0]}}, "data": data}


def thing(name, **spec):
    return {"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": name}, "spec": spec}


class Kept:
    """A reflector of the data of configmaps, or of the specs of things, and what its handler was told."""

    def __init__(self, client, collection, pace=PACE):
        self.told = []
        self._news = asyncio.Event()
        self.reflector = Reflector(client, collection, project=projected, changed=self._changed, pace=pace)

    @property
    def objects(self):
        return {ref.name: value for ref, value in self.reflector.objects.items()}

    def _changed(self, old, new):
        self.told.append((old, new))
        self._news.set()

    async def becomes(self, objects):
        """Wait until the memory says so."""
        async with asyncio.timeout(DEADLINE_S):
            while self.objects != objects:
                self._news.clear()
                await self._news.wait()


def projected(found):
    return found.get("spec", found.get("data"))


@asynccontextmanager
async def kept(client, collection, pace=PACE):
    made = Kept(client, collection, pace)
    task = asyncio.create_task(made.reflector.run())
    try:
        async with asyncio.timeout(DEADLINE_S):
            await made.reflector.known.wait()
        yield made
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_objects_are_made_read_changed_and_deleted(client):
    made = await client.create(CONFIGMAPS, configmap("a", x="1"))
    assert (await client.get(CONFIGMAPS, "a"))["metadata"]["uid"] == made["metadata"]["uid"]
    await client.merge_patch(CONFIGMAPS, "a", {"data": {"y": "2", "x": None}})
    await client.json_patch(CONFIGMAPS, "a", [{"op": "replace", "path": "/data/y", "value": "3"}])
    assert (await client.get(CONFIGMAPS, "a"))["data"] == {"y": "3"}
    await client.delete(CONFIGMAPS, "a")
    with pytest.raises(NotFound, match='configmaps "a" not found'):
        await client.get(CONFIGMAPS, "a")


async def test_who_has_read_an_old_version_cannot_write_it(client):
    old = await client.create(CONFIGMAPS, configmap("a", x="1"))
    with pytest.raises(Conflict):
        await client.create(CONFIGMAPS, configmap("a"))
    await client.replace(CONFIGMAPS, {**old, "data": {"x": "2"}})
    with pytest.raises(Conflict):
        await client.replace(CONFIGMAPS, {**old, "data": {"x": "3"}})
    with pytest.raises(Conflict):
        await client.merge_patch(
            CONFIGMAPS, "a", {"metadata": {"resourceVersion": old["metadata"]["resourceVersion"]}, "data": {"x": "3"}}
        )
    with pytest.raises(Invalid):
        await client.json_patch(CONFIGMAPS, "a", [{"op": "test", "path": "/data/x", "value": "1"}])


async def test_a_status_is_written_beside_the_object(client):
    await client.create(THINGS, thing("a", size=1))
    await client.merge_patch(THINGS, "a", {"spec": {"size": 2}, "status": {"ok": True}}, subresource="status")
    found = await client.get(THINGS, "a")
    assert (found["spec"], found["status"]) == ({"size": 1}, {"ok": True})
    await client.replace(THINGS, {**found, "status": {"ok": False}}, subresource="status")
    assert (await client.get(THINGS, "a"))["status"] == {"ok": False}


async def test_a_list_comes_in_pages_and_by_label(client):
    for number in range(5):
        await client.create(CONFIGMAPS, configmap(f"{'ab'[number % 2]}-{number}"))
    pages = [page async for page in client.pages(CONFIGMAPS.all(labels="x in (a)"), page_size=2)]
    assert [[item["metadata"]["name"] for item in page.items] for page in pages] == [["a-0", "a-2"], ["a-4"]]
    assert len({page.version for page in pages}) == 1


async def test_one_object_is_followed_by_its_name_whether_it_is_there_or_not(client):
    async with kept(client, CONFIGMAPS.named("a")) as memory:
        assert memory.objects == {}
        await client.create(CONFIGMAPS, configmap("b"))
        await client.create(CONFIGMAPS, configmap("a", x="1"))
        await memory.becomes({"a": {"x": "1"}})
        await client.delete(CONFIGMAPS, "a")
        await memory.becomes({})
        assert memory.told == [(None, {"x": "1"}), ({"x": "1"}, None)]


async def test_a_configmap_of_a_mebibyte_of_what_json_makes_long_comes_through_a_watch(client):
    data = {"x": 170_000 * "<\n&\t"}
    async with kept(client, CONFIGMAPS.named("a")) as memory:
        await client.create(CONFIGMAPS, configmap("a", **data))
        await memory.becomes({"a": data})


async def test_writing_a_status_is_no_news_to_who_has_projected_it_away(client):
    async with kept(client, THINGS.all()) as memory:
        await client.create(THINGS, thing("a", size=1))
        await client.merge_patch(THINGS, "a", {"status": {"ok": True}}, subresource="status")
        await client.merge_patch(THINGS, "a", {"spec": {"size": 2}})
        await memory.becomes({"a": {"size": 2}})
        assert len(memory.told) == 2


async def test_nothing_is_lost_and_nothing_invented_when_the_api_server_is_killed_and_comes_back(api_server, client):
    lists = Counter()

    class Counting(Client):
        def pages(self, collection, **options):
            lists[str(collection)] += 1
            return super().pages(collection, **options)

    for name in "ab":
        await client.create(CONFIGMAPS, configmap(name, x="1"))
        await client.create(THINGS, thing(name, x=1))
    counting = Counting(client._session, client.outages)
    everything = CONFIGMAPS.all(labels="x in (a,b,c)")
    with capture_logs() as logs:
        async with kept(counting, everything) as maps, kept(counting, THINGS.all()) as things:
            for turn in ("2", "3"):
                api_server.kill()
                await asyncio.sleep(AWHILE_S)
                await asyncio.to_thread(api_server.start_server)
                await client.merge_patch(CONFIGMAPS, "a", {"data": {"x": turn}})
                await client.merge_patch(THINGS, "a", {"spec": {"x": turn}})
                await maps.becomes({"a": {"x": turn}, "b": {"x": "1"}})
                await things.becomes({"a": {"x": turn}, "b": {"x": 1}})
            await client.delete(THINGS, "b")
            await things.becomes({"a": {"x": "3"}})
        assert maps.told[2:] == [({"x": "1"}, {"x": "2"}), ({"x": "2"}, {"x": "3"})]
        assert things.told[2:] == [({"x": 1}, {"x": "2"}), ({"x": "2"}, {"x": "3"}), ({"x": 1}, None)]
    assert Counter(entry["event"] for entry in logs) == {"api.unavailable": 2, "api.recovered": 2}
    # A server that has just started remembers little: each kill may cost each reflector one more list, and no more.
    assert max(lists.values()) <= 3


async def test_a_reflector_may_be_there_before_the_api_server(api_server, client):
    await client.create(CONFIGMAPS, configmap("a", x="1"))
    api_server.kill()
    starting = asyncio.create_task(asyncio.to_thread(api_server.start_server))
    async with kept(client, CONFIGMAPS.named("a")) as memory:
        assert memory.objects == {"a": {"x": "1"}}
    await starting


async def test_what_the_server_has_forgotten_has_expired_for_a_watch_as_for_a_list(api_server, client):
    for number in range(4):
        await client.create(THINGS, thing(f"a-{number}"))
    pages = client.pages(THINGS.all(), page_size=2)
    first = await anext(pages)
    await client.merge_patch(THINGS, "a-0", {"spec": {"x": 1}})
    await asyncio.to_thread(api_server.compact)
    api_server.kill()  # its own memory goes, too
    await asyncio.to_thread(api_server.start_server)
    with pytest.raises(Expired):
        await anext(pages)
    with pytest.raises(Expired):
        async with client.watch(THINGS.all(), since=first.version, lasting_s=60, silence_s=60) as events:
            await anext(events)


async def test_a_server_that_hangs_costs_a_request_its_deadline_and_holds_up_no_stop(api_server, client):
    async with kept(client, CONFIGMAPS.named("a"), Pace(silence_s=AWHILE_S, backoff=PACE.backoff)) as memory:
        api_server.pause()
        try:
            with pytest.raises(Unavailable, match="no answer within 1 s"):
                await client.get(CONFIGMAPS, "a", deadline_s=AWHILE_S)
            async with (
                asyncio.timeout(DEADLINE_S),
                connected(kubeconfig=api_server.kubeconfig, user_agent="cri-resmgr-test") as another,
            ):
                ending = asyncio.create_task(Kept(another, CONFIGMAPS.all()).reflector.run())
                await asyncio.sleep(AWHILE_S)
                ending.cancel()
                await asyncio.wait({ending})
        finally:
            api_server.resume()
        await client.create(CONFIGMAPS, configmap("a", x="1"))
        await memory.becomes({"a": {"x": "1"}})


async def test_who_may_not_is_told_so(api_server, tmp_path):
    account = service_account(api_server, tmp_path, token=new_token(api_server, "nobody"))
    async with in_pod(account) as nobody:
        with pytest.raises(Forbidden, match='User "system:serviceaccount:default:nobody" cannot list'):
            await anext(nobody.pages(CONFIGMAPS.all()))


async def test_a_token_that_has_expired_is_replaced_without_a_restart(api_server, client, tmp_path):
    account = service_account(api_server, tmp_path, token="long-expired")  # noqa: S106 - no secret
    async with in_pod(account) as ours:
        with pytest.raises(Unauthorised):
            await ours.get(CONFIGMAPS, "a")
        (account / "token").write_text(ADMIN.token)
        await client.create(CONFIGMAPS, configmap("a"))
        await ours.get(CONFIGMAPS, "a")


async def test_a_certificate_authority_that_was_replaced_is_found_without_a_restart(api_server, client, tmp_path):
    account = service_account(api_server, tmp_path, token=ADMIN.token)
    async with in_pod(account) as ours, kept(ours, CONFIGMAPS.named("a")) as memory:
        api_server.kill()
        api_server.renew_credentials()
        await asyncio.to_thread(api_server.start_server)
        with pytest.raises(Unavailable, match="certificate"):
            await ours.get(CONFIGMAPS, "a")
        shutil.copy(api_server.credentials.authority, account / "ca.crt")
        await ours.create(CONFIGMAPS, configmap("a", x="1"))
        await memory.becomes({"a": {"x": "1"}})
        await ours.delete(CONFIGMAPS, "a")


def new_token(api_server, name):
    """A token of a service account without any rights."""
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    api_server.api("POST", accounts, {"metadata": {"name": name}})
    return api_server.api("POST", f"{accounts}/{name}/token", {"spec": {}})["status"]["token"]


def service_account(api_server, tmp_path, *, token):
    """What the kubelet puts into a pod."""
    shutil.copy(api_server.credentials.authority, tmp_path / "ca.crt")
    (tmp_path / "token").write_text(token)
    return tmp_path


@asynccontextmanager
async def in_pod(account):
    environment = {"KUBERNETES_SERVICE_HOST": str(ADDRESS), "KUBERNETES_SERVICE_PORT": "443"}
    session = Session(from_pod(environment, account), user_agent="cri-resmgr-test")
    await session.open()
    try:
        yield Client(session, Outages())
    finally:
        await session.close()
