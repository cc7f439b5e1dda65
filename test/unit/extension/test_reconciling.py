"""Whole operations on one Extension, with the seed in memory: what is written, in which order, and what is not."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from cri_resmgr.errors import BadInput
from cri_resmgr.kube.errors import Conflict, NotFound, Unavailable
from cri_resmgr.kube.resources import Ref
from extension.beside import Beside
from extension.carrying import Carrier
from extension.certifying import Certifier
from extension.checking import Checker
from extension.contract import CLUSTERS, EXTENSIONS, MANAGED_RESOURCES, NAMESPACES, SECRETS
from extension.errors import BaseProblem, ConfigurationProblem, NotYet
from extension.images import AGENT, INSTALLATION, WEBHOOK, Source
from extension.installing import Installer
from extension.options import Options
from extension.reconciling import Reconciler
from extension.recording import ATTEMPTS, Recorder
from extension.remembering import Renderer
from extension.removing import Remover
from extension.rendering.managed import MONITORING_NAME, NAME
from extension.shoot_access import NAME as TOKEN
from extension.shoot_access import ShootAccess
from unit.extension.memory import Memory
from unit.extension.things import TYPE, extension_object

NAMESPACE = "shoot--p--s"
REF = Ref(NAMESPACE, TYPE)
OURS, RESOURCES, THEIRS = EXTENSIONS.within(NAMESPACE), MANAGED_RESOURCES.within(NAMESPACE), SECRETS.within(NAMESPACE)
FINALIZER = "extensions.gardener.cloud/cri-resmgr-extension"
START = datetime(2026, 8, 21, 10, 0, 0, tzinfo=UTC)
VECTOR = tuple(Source(name=name, repository=f"example.org/{name}", tag="v1") for name in (INSTALLATION, AGENT, WEBHOOK))


class Base:
    """The operator's texts."""

    def __init__(self):
        self.known = asyncio.Event()
        self.known.set()
        self.said = {}

    def texts(self):
        return self.said


class World:
    """A seed with one shoot, and a reconciler at work there."""

    def __init__(self, **options):
        self.memory, self.base, self.now, self.finished = Memory(), Base(), START, []
        carrier, renderer, settings = Carrier(self.memory), Renderer(), Options(**options)
        beside = Beside(Carrier(self.memory, MONITORING_NAME), Certifier(self.memory, self.time), ())
        self.reconciler = Reconciler(
            client=self.memory,
            options=settings,
            now=self.time,
            observer=self.finished.append,
            recorder=Recorder(self.memory, self.time),
            carrier=carrier,
            beside=beside,
            installer=Installer(self.base, Checker(), renderer, VECTOR, beside),
            remover=Remover(carrier, beside, ShootAccess(self.memory), renderer, VECTOR, settings, self.time),
        )
        self.tell({})

    def time(self):
        return self.now

    def tell(self, shoot):
        """What the Cluster says."""
        spec = {"kubernetes": {"version": "1.34.4"}, **shoot.pop("spec", {})}
        self.memory.put(CLUSTERS, {"metadata": {"name": NAMESPACE}, "spec": {"shoot": {"spec": spec, **shoot}}})

    def extend(self, *arguments, spec=None, **keywords):
        """The Extension is like that."""
        thing = extension_object(*arguments, **keywords)
        thing["spec"].update(spec or {})
        self.memory.put(OURS, thing)

    async def work(self):
        """Work once; returns what was written."""
        self.memory.writes.clear()
        self.again_s = await self.reconciler.work(REF)
        return list(self.memory.writes)

    @property
    def extension(self):
        return self.memory.find(OURS, TYPE)

    @property
    def resource(self):
        return self.memory.find(RESOURCES, NAME)

    def operation(self):
        last = self.extension["status"]["lastOperation"]
        return last["type"], last["state"]

    def manages(self, **conditions):
        """gardener-resource-manager has come so far."""
        good = {"ResourcesApplied": "True", "ResourcesHealthy": "True", "ResourcesProgressing": "False", **conditions}
        listed = [{"type": kind, "status": status, "message": f"{kind}!"} for kind, status in good.items()]
        status = {"conditions": listed, "observedGeneration": self.resource["metadata"]["generation"]}
        self.memory.put(RESOURCES, {**self.resource, "status": status})


@pytest.fixture
def world():
    return World()


@pytest.fixture
async def installed(world):
    world.extend("reconcile", None)
    await world.work()
    world.manages()
    return world


async def test_new_extension_is_claimed_before_and_told_after_the_work(world):
    world.extend("reconcile", None)
    assert await world.work() == [
        "patch extensions",
        "patch status extensions",
        "create secrets",
        "create managedresources",
        "patch status extensions",
    ]
    assert world.operation() == ("Create", "Succeeded")
    assert world.extension["metadata"]["finalizers"] == [FINALIZER]
    assert "gardener.cloud/operation" not in world.extension["metadata"]["annotations"]
    assert world.again_s is not None
    assert [(one.operation, one.outcome) for one in world.finished] == [("Create", "succeeded")]


async def test_what_nobody_asks_about_is_looked_at_without_a_write(installed):
    assert await installed.work() == []
    assert installed.finished[-1].operation == "Look"


async def test_what_nobody_asks_about_is_put_right_when_it_differs(installed):
    installed.base.said = {"default": "policy:\n  Active: topology-aware\n"}
    assert "patch managedresources" in await installed.work()
    assert installed.operation() == ("Reconcile", "Succeeded")


async def test_operators_mistake_does_not_touch_a_shoot_that_nobody_asks_about(installed):
    installed.base.said = {"default": "policy: ["}
    with pytest.raises(BaseProblem):
        await installed.work()
    assert installed.memory.writes == []


async def test_failure_is_told_before_it_is_raised_and_an_earlier_finalizer_stays(installed):
    installed.extend("reconcile", spec={"providerConfig": {"x": 1}}, finalizers=[FINALIZER])
    before = installed.resource
    with pytest.raises(ConfigurationProblem):
        await installed.work()
    error = installed.extension["status"]["lastError"]
    assert error["description"].startswith("Error reconciling Extension: providerConfig.x: unknown key")
    assert error["codes"] == ["ERR_CONFIGURATION_PROBLEM"]
    assert installed.extension["status"]["observedGeneration"] == 2
    assert installed.resource == before


async def test_success_takes_the_error_away(installed):
    installed.extend("reconcile", ("Reconcile", "Error"), finalizers=[FINALIZER])
    installed.extension["status"]["lastError"] = {"description": "x"}
    await installed.work()
    assert "lastError" not in installed.extension["status"]


async def test_clock_behind_gardenlets_is_no_reason_to_wait_for_ever(world):
    world.extend("reconcile", None, requested="2026-08-21T10:00:09.5Z")
    await world.work()
    assert world.extension["status"]["lastOperation"]["lastUpdateTime"] == "2026-08-21T10:00:09Z"


@pytest.mark.parametrize("requested", ["2027-08-21T10:00:00Z", "no time", "2026-08-21T10:00:09"])
async def test_time_that_cannot_be_is_not_believed(world, requested):
    world.extend("reconcile", None, requested=requested)
    await world.work()
    assert world.extension["status"]["lastOperation"]["lastUpdateTime"] == "2026-08-21T10:00:00Z"


async def test_deadline_is_told(world):
    world = World(deadline_s=0.01)
    world.base.known.clear()
    world.extend("reconcile", None)
    with pytest.raises(Exception, match=r"not done within 0.01 s"):
        await world.work()
    assert "not done within 0.01 s" in world.extension["status"]["lastError"]["description"]


async def test_shoot_without_cluster_is_nothing_to_write_about(world):
    world.memory.drop(CLUSTERS, NAMESPACE)
    world.memory.put(NAMESPACES, {"metadata": {"name": NAMESPACE, "labels": {"gardener.cloud/role": "shoot"}}})
    world.extend("reconcile", None)
    with pytest.raises(NotYet, match="there is no Cluster"):
        await world.work()
    assert world.memory.writes == []


async def test_namespace_of_no_shoot_needs_no_cluster(world):
    world.memory.drop(CLUSTERS, NAMESPACE)
    world.memory.put(NAMESPACES, {"metadata": {"name": NAMESPACE}})
    world.extend("reconcile", None)
    await world.work()
    assert world.operation() == ("Create", "Succeeded")


async def test_failed_shoot_is_left_alone_with_its_annotation(world):
    world.tell({"status": {"lastOperation": {"state": "Failed"}}})
    world.extend("reconcile", None)
    assert await world.work() == []


async def test_extension_that_is_gone_needs_nothing(world):
    assert await world.work() == []
    assert world.again_s is None


async def test_extension_that_goes_in_the_middle_needs_nothing_more(world):
    world.extend("reconcile", None)

    def gone(write):
        if write == "patch status extensions":
            world.memory.objects.pop(("extensions", NAMESPACE, TYPE), None)

    world.memory.before = gone
    await world.work()
    assert world.again_s is None


async def test_others_who_write_at_the_same_time_are_not_overwritten(world):
    world.extend("reconcile", None, finalizers=["theirs"])
    crossings = iter(range(ATTEMPTS - 1))

    def cross(write):
        if write == "patch extensions" and next(crossings, None) is not None:
            world.memory.put(OURS, world.extension)

    world.memory.before = cross
    await world.work()
    assert world.extension["metadata"]["finalizers"] == ["theirs", FINALIZER]


async def test_others_who_write_all_the_time_are_waited_for(world):
    world.extend("reconcile", None)
    world.memory.before = lambda _write: world.memory.put(OURS, world.extension) and None
    with pytest.raises(Conflict, match="change the object all the time"):
        await world.work()


async def test_status_of_another_leader_is_not_overwritten(world):
    """What was sent while we led may arrive when somebody else does."""
    world.extend("reconcile", None)

    def another(write):
        if write == "create managedresources":
            operation = {"type": "Reconcile", "state": "Succeeded", "description": "by another", "progress": 100}
            status = {"lastOperation": {**operation, "lastUpdateTime": "2026-08-21T10:00:00Z"}}
            world.memory.put(OURS, {**world.extension, "status": status})

    world.memory.before = another
    with pytest.raises(Conflict, match="somebody else has written its status"):
        await world.work()
    assert world.extension["status"]["lastOperation"]["description"] == "by another"
    assert "lastError" not in world.extension["status"]


async def test_condition_that_is_written_meanwhile_is_no_reason_to_keep_a_status_back(world):
    world.extend("reconcile", None)

    def condition(write):
        if write == "create managedresources":
            world.extension["status"]["conditions"] = [{"type": "X"}]
            world.memory.put(OURS, world.extension)

    world.memory.before = condition
    await world.work()
    assert world.operation()[1] == "Succeeded"
    assert world.extension["status"]["conditions"] == [{"type": "X"}]


async def test_status_that_cannot_be_written_does_not_hide_what_went_wrong(installed):
    installed.extend("reconcile", finalizers=[FINALIZER], spec={"providerConfig": {"x": 1}})

    def away(write):
        if write == "patch status extensions" and len(installed.memory.writes) > 1:
            raise Unavailable("away")

    installed.memory.before = away
    with pytest.raises(ConfigurationProblem):
        await installed.work()


def delete(world, *last):
    world.extend("", last or ("Reconcile", "Succeeded"), deleted=True, finalizers=[FINALIZER])


async def test_removal_goes_a_step_at_a_time_and_writes_each_thing_once(installed):
    delete(installed)
    assert await installed.work() == ["patch status extensions", "create secrets", "patch managedresources"]
    assert (installed.operation(), installed.again_s) == (("Delete", "Processing"), installed.reconciler.options.poll_s)
    assert await installed.work() == [], "the resource manager has not seen it yet"
    installed.manages(ResourcesProgressing="True")
    assert await installed.work() == []
    installed.manages()
    last = await installed.work()
    assert last[:2] == ["delete secrets", "delete managedresources"], (
        "a token for the shoot, if there is one, comes first"
    )
    assert last[-2:] == ["patch status extensions", "patch extensions"]
    assert installed.extension is None
    assert not [key for key in installed.memory.objects if key[0] in {"managedresources", "secrets"}]
    assert [one.outcome for one in installed.finished[-4:]] == ["waiting"] * 3 + ["succeeded"]


async def test_removal_that_takes_long_is_told_once(installed):
    delete(installed)
    await installed.work()
    installed.now += timedelta(seconds=installed.reconciler.options.told_s + 1)
    assert await installed.work() == ["create secrets", "patch status extensions"], "a token, for the nodes' names"
    assert installed.operation() == ("Delete", "Error")
    assert installed.memory.find(THEIRS, TOKEN) is not None
    assert await installed.work() == [], "nothing new is to be said"
    installed.manages(ResourcesHealthy="False")
    assert await installed.work() == ["patch status extensions"]
    assert "ResourcesHealthy!" in installed.extension["status"]["lastError"]["description"]


async def test_removal_gives_a_node_up_after_its_time_counted_from_when_it_could_begin(installed):
    delete(installed)
    installed.now += timedelta(hours=3)  # nobody worked
    await installed.work()
    assert installed.resource is not None
    installed.manages(ResourcesProgressing="True")
    installed.now += timedelta(seconds=installed.reconciler.options.removal_s + 1)
    await installed.work()
    assert installed.extension is None


async def test_second_removal_has_its_own_time(installed):
    delete(installed)
    await installed.work()
    installed.extend("reconcile", finalizers=[FINALIZER])  # as if it had been made anew
    await installed.work()
    assert not any("uninstall-since" in key for key in installed.resource["metadata"]["annotations"])


@pytest.mark.parametrize(
    "shoot",
    [
        {"metadata": {"deletionTimestamp": "2026-08-21T10:00:00Z"}},
        {"spec": {"hibernation": {"enabled": True}}, "status": {"hibernated": True}},
        {"metadata": {"annotations": {"confirmation.gardener.cloud/force-deletion": "true"}}},
    ],
    ids=["deleted", "hibernated", "forced"],
)
async def test_where_there_can_be_no_node_everything_goes_at_once(installed, shoot):
    installed.tell(shoot)
    delete(installed)
    await installed.work()
    assert (installed.extension, installed.resource) == (None, None)


async def test_sleeping_shoot_is_no_error_however_long_it_sleeps(installed):
    installed.resource["metadata"]["finalizers"] = ["grm"]
    installed.tell({"spec": {"hibernation": {"enabled": True}}, "status": {"hibernated": True}})
    delete(installed)
    await installed.work()
    installed.now += timedelta(days=100)
    assert await installed.work() == []
    assert "lastError" not in installed.extension["status"]


@pytest.mark.parametrize("version", ["", "not a version", "1"])
async def test_removal_works_with_any_kubernetes_version(installed, version):
    installed.tell({"spec": {"kubernetes": {"version": version}}})
    delete(installed)
    await installed.work()
    installed.manages()
    await installed.work()
    assert installed.extension is None


async def test_deletion_of_what_we_never_claimed_is_none_of_our_business(world):
    world.extend(deleted=True, finalizers=["theirs"])
    assert await world.work() == []
    assert world.extension["metadata"]["finalizers"] == ["theirs"]


async def test_migration_keeps_the_objects_and_takes_all_finalizers_off(installed):
    installed.extend("migrate", finalizers=[FINALIZER, "theirs"])
    installed.resource["metadata"]["finalizers"] = ["grm"]
    await installed.work()
    assert installed.resource["spec"]["keepObjects"] is True
    assert installed.operation() == ("Migrate", "Processing")
    assert installed.extension["metadata"]["finalizers"] == [FINALIZER, "theirs"]
    installed.resource["metadata"]["finalizers"] = []
    installed.memory.drop(RESOURCES, NAME)
    await installed.work()
    assert installed.operation() == ("Migrate", "Succeeded")
    assert not installed.extension["metadata"].get("finalizers")
    assert "gardener.cloud/operation" not in installed.extension["metadata"]["annotations"]
    assert await installed.work() == []


async def test_migration_that_takes_long_is_told(installed):
    installed.extend("migrate", finalizers=[FINALIZER])
    installed.resource["metadata"]["finalizers"] = ["grm"]
    await installed.work()
    installed.now += timedelta(seconds=installed.reconciler.options.told_s + 1)
    await installed.work()
    assert installed.extension["status"]["lastError"]["description"].startswith(
        "Error migrating Extension resource: the"
    )


async def test_restore_is_answered_at_the_end(world):
    world.extend("restore", None)
    writes = await world.work()
    assert writes[-2:] == ["patch status extensions", "patch extensions"]
    assert world.operation() == ("Restore", "Succeeded")
    assert world.resource["spec"]["keepObjects"] is False


async def test_webhook_has_a_certificate_that_goes_with_it(world):
    world.extend("reconcile", None, spec={"providerConfig": {"webhook": True}})
    await world.work()
    assert world.memory.find(THEIRS, "cri-resmgr-webhook-certificate")
    assert await world.work() == []
    world.tell({"metadata": {"deletionTimestamp": "2026-08-21T10:00:00Z"}})
    delete(world)
    await world.work()
    assert world.memory.find(THEIRS, "cri-resmgr-webhook-certificate") is None


async def test_image_that_is_not_there_is_no_fault_of_the_owner(world):
    world.tell({"spec": {"kubernetes": {"version": "not a version"}}})
    world.extend("reconcile", None)
    with pytest.raises(BadInput, match="Kubernetes version"):
        await world.work()
    assert "codes" not in world.extension["status"]["lastError"]


async def test_object_that_is_missing_is_not_taken_for_the_extension(world):
    world.extend("reconcile", None)

    def missing(write):
        if write == "create secrets":
            raise NotFound("the namespace is gone")

    world.memory.before = missing
    with pytest.raises(NotFound):
        await world.work()
