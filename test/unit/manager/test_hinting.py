"""Hints are advice: looked up beside the loop, and never waited for longer than the deadline."""

import asyncio
import threading

import pytest

from cri_resmgr.cri import api_pb2 as api
from cri_resmgr.cri.messages import Device, Mount, Undecodable
from cri_resmgr.manager.hinting import ANNOTATION, LIMIT_THREADS, Hinter
from cri_resmgr.values.hints import Hint
from cri_resmgr.values.workloads import Container, Pod

CONTAINER = Container("p", "c", 0)
POD = Pod("p", "web", "shop", "u")
FOUND = (Hint("/sys/devices/x", cpus=0b11),)
LONG_S = 60.0


def request(*paths: str) -> bytes:
    asked = api.CreateContainerRequest()
    for path in paths:
        asked.config.mounts.add(host_path=path, container_path=f"/in{path}")
    return asked.SerializeToString()


class Looks:
    """A look that waits for `go`, and remembers what it was asked."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.asked: list[tuple] = []
        self.threads: set[int] = set()

    def __call__(self, mounts, devices):
        self.asked.append((mounts, devices))
        self.threads.add(threading.get_ident())
        self.go.wait(20)
        return FOUND


@pytest.fixture
def looks() -> Looks:
    made = Looks()
    yield made
    made.go.set()


async def test_mounts_and_devices_are_looked_at_in_another_thread(looks):
    asked = api.CreateContainerRequest.FromString(request("/srv"))
    asked.config.devices.add(host_path="/dev/x", container_path="/dev/y", permissions="rw")
    found = await Hinter(looks).of_create(asked.SerializeToString(), CONTAINER, POD, deadline_s=LONG_S)
    assert found == FOUND
    assert looks.asked == [((Mount("/srv", "/in/srv"),), (Device("/dev/x", "/dev/y", "rw"),))]
    assert threading.get_ident() not in looks.threads


async def test_a_container_without_mounts_and_devices_is_not_looked_at(looks):
    assert await Hinter(looks).of_create(request(), CONTAINER, POD, deadline_s=LONG_S) == ()
    assert looks.asked == []


@pytest.mark.parametrize(
    ("annotations", "looked"),
    [
        ({ANNOTATION: "false"}, False),
        ({ANNOTATION: "False "}, False),
        ({ANNOTATION: "0"}, False),
        ({ANNOTATION: "off"}, False),
        ({ANNOTATION: "true"}, True),
        ({ANNOTATION: "perhaps"}, True),
        ({f"{ANNOTATION}/pod": "false"}, False),
        ({f"{ANNOTATION}/pod": "true", ANNOTATION: "false"}, True),
        ({f"{ANNOTATION}/container.c": "false", f"{ANNOTATION}/pod": "true"}, False),
        ({f"{ANNOTATION}/container.other": "false"}, True),
    ],
)
async def test_a_pod_may_want_no_hints(looks, annotations, looked):
    pod = Pod("p", "web", "shop", "u", annotations=annotations)
    found = await Hinter(looks).of_create(request("/srv"), CONTAINER, pod, deadline_s=LONG_S)
    assert found == (FOUND if looked else ())
    assert bool(looks.asked) == looked


async def test_a_file_system_that_hangs_costs_the_hints_and_not_the_pod(looks, logged):
    looks.go.clear()
    assert await Hinter(looks).of_create(request("/dead"), CONTAINER, POD, deadline_s=0.001) == ()
    assert [(entry["event"], entry["paths"]) for entry in logged] == [("hints.late", ["/dead"])]


async def test_those_that_hang_are_no_more_than_a_few_and_afterwards_all_is_well(looks, logged):
    hinter = Hinter(looks)
    looks.go.clear()
    for _ in range(LIMIT_THREADS + 3):
        assert await hinter.of_create(request("/dead"), CONTAINER, POD, deadline_s=0) == ()
    assert [entry["event"] for entry in logged] == ["hints.late"] * LIMIT_THREADS + ["hints.skipped"] * 3
    looks.go.set()
    async with asyncio.timeout(20):
        while hinter._under_way:
            await asyncio.sleep(0.001)
    assert await hinter.of_create(request("/srv"), CONTAINER, POD, deadline_s=LONG_S) == FOUND


async def test_a_look_that_breaks_gives_no_hints_and_is_logged(logged):
    def broken(mounts, devices):
        raise ZeroDivisionError

    assert await Hinter(broken).of_create(request("/srv"), CONTAINER, POD, deadline_s=LONG_S) == ()
    assert [entry["event"] for entry in logged] == ["hints.broken"]


async def test_what_is_no_request_is_told_from_one_without_paths(looks):
    with pytest.raises(Undecodable):
        await Hinter(looks).of_create(b"\xff", CONTAINER, POD, deadline_s=LONG_S)


def test_a_loop_that_ends_meanwhile_leaves_the_thread_alone(looks):
    looks.go.clear()
    asyncio.run(Hinter(looks).of_create(request("/dead"), CONTAINER, POD, deadline_s=0))
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "hints")
    looks.go.set()
    thread.join(20)
    assert not thread.is_alive()
