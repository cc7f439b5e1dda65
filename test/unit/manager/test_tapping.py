"""Copies of the kubelet's lists keep the ledger true, at most once a second, and only whole lists without a filter."""

import pytest

from cri_resmgr.cri import api_pb2 as api
from cri_resmgr.cri import methods
from cri_resmgr.manager.tapping import INTERVAL_S, ListTaps, either
from cri_resmgr.values.workloads import State
from cri_resmgr.wire.grpc import OK, UNAVAILABLE
from doubles.runtime import FakeRuntime

LISTS = [methods.LIST_CONTAINERS, methods.STREAM_CONTAINERS, methods.LIST_POD_SANDBOX, methods.STREAM_POD_SANDBOXES]
UNFILTERED = [b"", api.ListContainersRequest(filter=api.ContainerFilter()).SerializeToString()]
FILTERED = api.ListContainersRequest(filter=api.ContainerFilter(id="x")).SerializeToString()


class Compared:
    """Stands for the reconciler and notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple] = []

    def known_ids(self) -> frozenset[str]:
        return frozenset({"known"})

    def known_pods(self) -> frozenset[str]:
        return frozenset({"known-pod"})

    def listed(self, known: frozenset[str], states: dict[str, State]) -> None:
        self.told.append((known, states))

    def pods_listed(self, known: frozenset[str], listed: frozenset[str]) -> None:
        self.told.append((known, listed))


class Taps(ListTaps):
    """With a clock in the test's hand."""

    def __init__(self) -> None:
        self.compared, self.now_s = Compared(), 100.0
        super().__init__(self.compared, clock=lambda: self.now_s)  # type: ignore[arg-type]


@pytest.fixture(name="taps")
def _taps():
    return Taps()


def containers(*ids: str) -> bytes:
    listed = [api.Container(id=id_, state=api.CONTAINER_RUNNING) for id_ in ids]
    return api.ListContainersResponse(containers=listed).SerializeToString()


def pods(*ids: str) -> bytes:
    return api.ListPodSandboxResponse(items=[api.PodSandbox(id=id_) for id_ in ids]).SerializeToString()


def listen(taps, path, *parts, request=b"", code=OK) -> bool:
    """One call, if a tap is wanted for it."""
    tap = taps.tap_for(path)
    if tap is None:
        return False
    tap.request(request)
    for part in parts:
        tap.reply(part)
    tap.ended(code, "")
    return True


@pytest.mark.parametrize("request_", UNFILTERED)
def test_a_whole_list_of_containers_is_compared_with_what_was_known_when_it_was_asked_for(taps, request_):
    listen(taps, methods.LIST_CONTAINERS, containers("a", "b"), request=request_)
    assert taps.compared.told == [(frozenset({"known"}), {"a": State.RUNNING, "b": State.RUNNING})]


def test_a_whole_list_of_pods_is_compared_with_the_pods_that_were_known(taps):
    listen(taps, methods.LIST_POD_SANDBOX, pods("a", "b"))
    assert taps.compared.told == [(frozenset({"known-pod"}), frozenset({"a", "b"}))]


def test_what_is_known_is_taken_when_the_list_is_asked_for(taps):
    tap = taps.tap_for(methods.LIST_CONTAINERS)
    tap.request(b"")
    taps.compared.known_ids = lambda: frozenset({"later"})
    tap.reply(containers())
    tap.ended(OK, "")
    assert taps.compared.told == [(frozenset({"known"}), {})]


@pytest.mark.parametrize("path", LISTS)
def test_an_empty_list_says_that_nothing_is_there(taps, path):
    assert listen(taps, path)
    assert len(taps.compared.told) == 1
    assert not taps.compared.told[0][1]


@pytest.mark.parametrize(
    ("path", "part"), [(methods.STREAM_CONTAINERS, containers), (methods.STREAM_POD_SANDBOXES, pods)]
)
def test_the_parts_of_a_stream_are_one_list(taps, path, part):
    listen(taps, path, part("a"), part(), part("b", "c"))
    assert set(taps.compared.told[0][1]) == {"a", "b", "c"}


@pytest.mark.parametrize("path", LISTS)
def test_a_list_that_did_not_end_well_says_nothing(taps, path):
    for code in (UNAVAILABLE, None):
        listen(taps, path, containers("a"), code=code)
        taps.now_s += INTERVAL_S
    assert not taps.compared.told


def test_a_filtered_list_says_nothing_and_does_not_use_up_the_second(taps):
    listen(taps, methods.LIST_CONTAINERS, containers("a"), request=FILTERED)
    assert not taps.compared.told
    assert listen(taps, methods.LIST_CONTAINERS, containers("a"))
    assert len(taps.compared.told) == 1


def test_a_list_is_looked_into_once_a_second_however_often_it_is_made(taps):
    looked = []
    for _ in range(32):
        looked.append(listen(taps, methods.LIST_CONTAINERS, containers()))
        taps.now_s += INTERVAL_S / 8
    assert looked == ([True] + [False] * 7) * 4


def test_each_list_has_its_own_second(taps):
    assert all(listen(taps, path) for path in LISTS)


@pytest.mark.parametrize("path", [methods.VERSION, methods.CONTAINER_STATUS, "/some.Other/ListContainers"])
def test_other_calls_are_nobodys_business(taps, path):
    assert taps.tap_for(path) is None


def test_a_list_that_cannot_be_read_is_logged_and_changes_nothing(taps, logged):
    listen(taps, methods.LIST_CONTAINERS, b"\xff\xff\xff")
    assert not taps.compared.told
    assert [event["event"] for event in logged] == ["list.undecodable"]


async def test_a_list_through_the_tap_makes_the_ledger_true(manager):
    pod_id = await manager.run_pod()
    container_id = await manager.run_container(pod_id)
    manager.runtime.containers[container_id].state = api.CONTAINER_EXITED
    reply = manager.runtime.answer(methods.LIST_CONTAINERS, b"")
    listen(ListTaps(manager.reconciler), methods.LIST_CONTAINERS, reply)
    assert manager.container(pod_id).state is State.EXITED
    listen(ListTaps(manager.reconciler), methods.LIST_POD_SANDBOX, FakeRuntime().answer(methods.LIST_POD_SANDBOX, b""))
    assert not manager.ledger.pods


class Noting:
    """A tap that notes everything."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    def request(self, message: bytes) -> None:
        self.seen.append(message)

    def reply(self, message: bytes) -> None:
        self.seen.append(message)

    def ended(self, code: int | None, message: str) -> None:
        self.seen.append((code, message))


@pytest.mark.parametrize(("one", "other"), [(True, True), (True, False), (False, True)])
def test_whoever_wants_to_watch_sees_everything(one, other):
    first, second = Noting(), Noting()
    tap = either(lambda _path: first if one else None, lambda _path: second if other else None)("/a")
    tap.request(b"q")
    tap.reply(b"r")
    tap.ended(0, "fine")
    seen = [b"q", b"r", (0, "fine")]
    assert (first.seen, second.seen) == (seen if one else [], seen if other else [])


def test_where_nobody_wants_to_watch_there_is_no_tap():
    assert either(lambda _path: None, lambda _path: None)("/a") is None
