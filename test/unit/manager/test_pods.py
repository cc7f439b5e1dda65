"""The ledger follows what the runtime agrees to about pods."""

import asyncio

import pytest

from cri_resmgr.cri import api_pb2 as api
from cri_resmgr.cri import methods
from cri_resmgr.relay.hooks import Failed, Gone
from cri_resmgr.values.workloads import Pod, State
from cri_resmgr.wire.grpc import NOT_FOUND, UNKNOWN
from doubles.calls import FakeCall, accepting
from unit.manager.managers import create_request, run_request

NO_MESSAGE = b"\xff\xff\xff"
STOP, REMOVE = methods.STOP_POD_SANDBOX, methods.REMOVE_POD_SANDBOX


def request(method: str, pod_id: str):
    kind = api.StopPodSandboxRequest if method == STOP else api.RemovePodSandboxRequest
    return kind(pod_sandbox_id=pod_id)


async def test_a_pod_that_the_runtime_has_made_is_remembered_with_what_the_kubelet_said(manager):
    request = run_request()
    reply = api.RunPodSandboxResponse(pod_sandbox_id="pod1").SerializeToString()
    call = manager.begin(methods.RUN_POD_SANDBOX, request)
    assert call.forwarded == request.SerializeToString()
    assert not manager.ledger.pods
    assert await call.answer(reply).result() == reply
    assert manager.ledger.pods["pod1"] == Pod(
        "pod1", "web", "shop", "uid-web", "/kubepods/web", "runc", {"app": "web"}, {"note": "x"}
    )


async def test_a_pod_that_the_runtime_refuses_is_not_remembered(manager):
    call = manager.begin(methods.RUN_POD_SANDBOX, run_request()).fail(UNKNOWN)
    with pytest.raises(Failed):
        await call.result()
    assert not manager.ledger.pods
    assert not manager.book.doubted.is_set()


@pytest.mark.parametrize("method", [methods.RUN_POD_SANDBOX, STOP, REMOVE])
async def test_when_a_call_is_cut_off_the_runtime_is_asked_what_came_of_it(manager, method):
    for cut_off, error in ((FakeCall.cancel, asyncio.CancelledError), (FakeCall.reset, Gone)):
        manager.book.doubted.clear()
        with pytest.raises(error):
            await cut_off(manager.begin(method, b"")).result()
        assert manager.book.doubted.is_set()


@pytest.mark.parametrize("method", [methods.RUN_POD_SANDBOX, STOP, REMOVE])
async def test_what_cannot_be_decoded_passes_as_it_is(manager, method, logged):
    pod_id = await manager.run_pod()
    call = manager.begin(method, NO_MESSAGE)
    assert call.forwarded == NO_MESSAGE
    assert await call.answer(NO_MESSAGE).result() == NO_MESSAGE
    assert set(manager.ledger.pods) == {pod_id}
    assert {event["event"] for event in logged if event["log_level"] != "debug"} == {"call.undecodable"}


async def test_the_containers_of_a_stopped_pod_have_ended(manager):
    pod_id, other = await manager.run_pod(), await manager.run_pod("other")
    for name in ("a", "b"):
        await manager.run_container(pod_id, name)
    await manager.run_container(other, "a")
    await manager.do(STOP, request(STOP, pod_id))
    assert {c.state for c in manager.ledger.of_pod(pod_id)} == {State.EXITED}
    assert manager.container(other, "a").state is State.RUNNING
    assert set(manager.ledger.pods) == {pod_id, other}


async def test_a_container_that_is_created_while_its_pod_is_stopped_speaks_for_itself(manager):
    pod_id = await manager.run_pod()
    create = manager.begin(methods.CREATE_CONTAINER, create_request(pod_id))
    stop = manager.begin(STOP, request(STOP, pod_id)).answer(b"")
    await accepting(manager.runtime, create).result()
    await stop.result()
    assert manager.container(pod_id).state is State.CREATED


async def test_a_pod_that_could_not_be_stopped_runs_on(manager):
    pod_id = await manager.run_pod()
    await manager.run_container(pod_id)
    with pytest.raises(Failed):
        await manager.begin(STOP, request(STOP, pod_id)).fail(UNKNOWN).result()
    assert manager.container(pod_id).state is State.RUNNING


async def test_a_removed_pod_goes_with_all_that_was_in_it(manager):
    pod_id = await manager.run_pod()
    await manager.run_container(pod_id)
    await manager.do(REMOVE, request(REMOVE, pod_id))
    assert (dict(manager.ledger.pods), dict(manager.ledger.containers)) == ({}, {})


async def test_a_pod_that_the_runtime_does_not_know_goes_as_well(manager):
    pod_id = await manager.run_pod()
    with pytest.raises(Failed):
        await manager.begin(REMOVE, request(REMOVE, pod_id)).fail(NOT_FOUND).result()
    assert not manager.ledger.pods


async def test_a_pod_that_could_not_be_removed_stays(manager):
    pod_id = await manager.run_pod()
    with pytest.raises(Failed):
        await manager.begin(REMOVE, request(REMOVE, pod_id)).fail(UNKNOWN).result()
    assert set(manager.ledger.pods) == {pod_id}


@pytest.mark.parametrize("method", [STOP, REMOVE])
async def test_a_pod_that_we_do_not_know_passes(manager, method):
    call = manager.begin(method, request(method, "stranger")).answer(b"")
    assert await call.result() == b""
    assert not manager.ledger.pods
