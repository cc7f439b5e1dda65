"""Whatever happens to controller, API server or objects, every operation ends as if nothing had happened."""

import contextlib
import signal
import threading
from dataclasses import replace

import pytest

from equipment.control_plane import ApiError
from equipment.garden import Garden
from equipment.gardenlet import FORCE_DELETION, OPERATION, Gardenlet, annotations, objection, path_of
from equipment.lifetimes import started
from extension.options import Options
from garden.replicas import installed
from garden.running import NAME, Fate, Seed, running

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_go, pytest.mark.timeout(200)]

OPTIONS = Options(poll_s=0.1)
LIMIT_WRITES = 20


@pytest.fixture(scope="module")
def quiet(shown):
    """A seed on which no controller but the test's own works."""
    with started(Garden(), shown) as made:
        yield made


@pytest.fixture
def gardenlet(quiet):
    return Gardenlet(quiet.seed.api)


@pytest.fixture
def seed(quiet, shoot):
    return Seed(quiet.seed.api, shoot.namespace)


def install(quiet, gardenlet, shoot):
    """Everything is there and runs, and no controller does."""
    with running(quiet.seed.kubeconfig, OPTIONS):
        gardenlet.reconcile(shoot)
        gardenlet.wait(shoot)
    Seed(quiet.seed.api, shoot.namespace).manages()


def test_writes_are_few_and_there_are_none_while_nothing_changes(quiet, gardenlet, shoot, seed):
    fate = Fate(shoot.namespace)
    with running(quiet.seed.kubeconfig, replace(OPTIONS, resync_s=0.2), fate=fate) as made:
        gardenlet.reconcile(shoot)
        gardenlet.wait(shoot)
        assert len(fate.writes) == 5, fate.writes
        looks = [one.operation for one in made.finished].count("Look")
        seed.wait_for(lambda: [one.operation for one in made.finished].count("Look") > looks + 3, "some looks")
        assert len(fate.writes) == 5, fate.writes
        gardenlet.reconcile(shoot)
        seed.wait_for(lambda: [one for one in made.finished if one.operation == "Reconcile"], "the second answer")
    again = fate.writes[5:]
    assert len(again) == 3, again
    assert not any("managedresources" in one or "secrets" in one for one in again)


def begin_create(quiet, gardenlet, shoot):
    gardenlet.reconcile(shoot)


def begin_change(quiet, gardenlet, shoot):
    install(quiet, gardenlet, shoot)
    gardenlet.reconcile(replace(shoot, provider_config={"maxUnavailable": 2}))


def begin_restore(quiet, gardenlet, shoot):
    gardenlet.restore(shoot)


def begin_delete(quiet, gardenlet, shoot):
    install(quiet, gardenlet, shoot)
    gardenlet.delete(shoot)


def begin_forced_delete(quiet, gardenlet, shoot):
    install(quiet, gardenlet, shoot)
    gardenlet.tell(replace(shoot, annotations={FORCE_DELETION: "1"}))
    gardenlet.delete(shoot)


def begin_migrate(quiet, gardenlet, shoot):
    install(quiet, gardenlet, shoot)
    gardenlet.migrate(shoot)


def is_installed(gardenlet, shoot, seed):
    extension = gardenlet.find(shoot)
    return extension and not objection(extension) and not seed.uninstalls() and len(seed.secrets()) >= 1


def is_gone(gardenlet, shoot, seed):
    return gardenlet.find(shoot) is None and (seed.resource(), seed.secrets()) == (None, [])


def is_migrated(gardenlet, shoot, seed):
    extension = gardenlet.find(shoot)
    left = "finalizers" not in extension["metadata"] and OPERATION not in annotations(extension)
    last = extension["status"]["lastOperation"]
    return left and (last["type"], last["state"], seed.secrets()) == ("Migrate", "Succeeded", [])


OPERATIONS = {
    "create": (begin_create, is_installed),
    "change": (begin_change, is_installed),
    "restore": (begin_restore, is_installed),
    "delete": (begin_delete, is_gone),
    "forced delete": (begin_forced_delete, is_gone),
    "migrate": (begin_migrate, is_migrated),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_controller_killed_after_any_write_leaves_nothing_that_the_next_does_not_end(quiet, gardenlet, shoot, name):
    begin, has_ended = OPERATIONS[name]
    for at in range(1, LIMIT_WRITES):
        one = replace(shoot, namespace=f"{shoot.namespace}-{at}")
        seed, fate = Seed(quiet.seed.api, one.namespace), Fate(one.namespace, dies_at=at)
        begin(quiet, gardenlet, one)

        def ended(one=one, seed=seed):
            return has_ended(gardenlet, one, seed)

        with managed(seed):
            with running(quiet.seed.kubeconfig, OPTIONS, fate=fate) as made:
                seed.wait_for(lambda made=made, ended=ended: not made.thread.is_alive() or ended(), "death or the end")
            if len(fate.writes) < at:
                assert at > 3, "it has written something"
                return
            with running(quiet.seed.kubeconfig, OPTIONS):
                seed.wait_for(ended, f"the next controller to end it, after death at {fate.writes[-1]}")
    pytest.fail(f"more than {LIMIT_WRITES} writes")


@contextlib.contextmanager
def managed(seed):
    """gardener-resource-manager finds every form good, as soon as it sees it."""
    over = threading.Event()

    def manage():
        while not over.wait(0.02):
            with contextlib.suppress(ApiError, OSError, TypeError):  # it changes, or goes, at this moment
                resource = seed.resource()
                if (
                    resource
                    and (resource.get("status") or {}).get("observedGeneration") != resource["metadata"]["generation"]
                ):
                    seed.manages()

    thread = threading.Thread(target=manage, name="manager")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_restart_of_the_api_server_loses_nothing(quiet, gardenlet, shoot, seed):
    with running(quiet.seed.kubeconfig, OPTIONS):
        gardenlet.reconcile(shoot)
        gardenlet.wait(shoot)
        quiet.seed.kill()
        quiet.seed.start_server()
        changed = replace(shoot, provider_config={"maxUnavailable": 2})
        gardenlet.reconcile(changed)
        gardenlet.wait(changed)
        with managed(seed):
            gardenlet.delete(shoot)
            gardenlet.wait_gone(shoot)


def test_storm_of_conflicting_writes_is_ridden_out(quiet, gardenlet, shoot, seed):
    with running(quiet.seed.kubeconfig, OPTIONS), stirred(quiet, shoot), managed(seed):
        for count in (1, 2, 3):
            changed = replace(shoot, provider_config={"maxUnavailable": count})
            gardenlet.reconcile(changed)
            gardenlet.wait(changed)
        gardenlet.delete(shoot)
        gardenlet.wait_gone(shoot)
    assert (seed.resource(), seed.secrets()) == (None, [])


@contextlib.contextmanager
def stirred(quiet, shoot):
    """Somebody changes labels of Extension and ManagedResource all the time."""
    over, api = threading.Event(), quiet.seed.api
    paths = (path_of(shoot), Seed(api, shoot.namespace).path("managedresources", NAME))

    def stir(path):
        count = 0
        while not over.wait(0.01):
            count += 1
            with contextlib.suppress(ApiError, OSError):
                api.merge(path, {"metadata": {"labels": {"stirred": str(count)}}})

    threads = [threading.Thread(target=stir, args=(path,), name=path) for path in paths]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def delete_secret(seed):
    seed.api("DELETE", seed.path("secrets", seed.secrets()[0]))
    conditions = [{"type": "ResourcesApplied", "status": "False", "reason": "CannotReadSecret", "message": "not found"}]
    times = {"lastTransitionTime": "2026-01-01T00:00:00Z", "lastUpdateTime": "2026-01-01T00:00:00Z"}
    seed.patch({"status": {"conditions": [one | times for one in conditions]}}, "/status")


def delete_resource(seed):
    seed.api("DELETE", seed.path("managedresources", NAME))


def edit_resource(seed):
    seed.patch({"spec": {"keepObjects": True, "secretRefs": []}})


@pytest.mark.parametrize("harm", [delete_secret, delete_resource, edit_resource])
def test_what_others_take_away_or_change_is_put_right_at_once(quiet, gardenlet, shoot, seed, harm):
    with running(quiet.seed.kubeconfig, OPTIONS):
        gardenlet.reconcile(shoot)
        gardenlet.wait(shoot)
        before, secrets = seed.resource()["spec"], seed.secrets()
        harm(seed)
        seed.wait_for(lambda: (seed.resource() or {}).get("spec") == before and seed.secrets() == secrets, "the repair")
        gardenlet.wait(shoot)


def test_change_of_the_operators_words_while_nobody_works_is_found_later(quiet, gardenlet, shoot, seed):
    install(quiet, gardenlet, shoot)
    edit_resource(seed)
    with running(quiet.seed.kubeconfig, replace(OPTIONS, resync_s=0.5)):
        seed.wait_for(lambda: seed.resource()["spec"]["secretRefs"], "the repair")


def test_everybody_is_served_while_one_extension_fails(quiet, gardenlet, shoot):
    broken = replace(shoot, namespace=f"{shoot.namespace}-broken", provider_config={"x": 1})
    with running(quiet.seed.kubeconfig, replace(OPTIONS, workers=1)):
        gardenlet.reconcile(broken)
        for count in range(3):
            one = replace(shoot, namespace=f"{shoot.namespace}-{count}")
            gardenlet.reconcile(one)
            gardenlet.wait(one)


def test_what_happened_before_history_was_compacted_is_found_nevertheless(quiet, gardenlet, shoot, seed):
    with installed(quiet, "replica-a") as replicas:
        replicas.start("replica-a")
        replicas.wait_leading("replica-a")
        path = "/apis/extensions.gardener.cloud/v1alpha1/extensions"
        known = quiet.seed.api("GET", path)["metadata"]["resourceVersion"]
        replicas.signal("replica-a", signal.SIGSTOP)
        quiet.seed.kill()  # its watches end; it does not know yet
        quiet.seed.start_server()
        gardenlet.reconcile(shoot)
        quiet.seed.compact()
        answer = quiet.seed.api("GET", f"{path}?watch=true&timeoutSeconds=1&resourceVersion={known}")
        assert (answer["type"], answer["object"]["code"]) == ("ERROR", 410)
        replicas.signal("replica-a", signal.SIGCONT)
        gardenlet.wait(shoot)
