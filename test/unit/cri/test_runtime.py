"""Our own calls: the right method and message, and the deadline of its kind."""

import pytest

from cri_resmgr.cri import api_pb2 as api
from cri_resmgr.cri import messages, methods
from cri_resmgr.cri.runtime import ASK_DEADLINE_S, SET_DEADLINE_S, Runtime
from cri_resmgr.values.resources import Resources
from cri_resmgr.wire.client import CallError
from doubles.runtime import FakeRuntime, MemoryClient, StatusError, resources


class Client:
    """Answers every call with the same reply and remembers what was asked."""

    def __init__(self, reply: bytes = b"") -> None:
        self.reply = reply
        self.calls: list[tuple[str, bytes, float]] = []

    async def call(self, method: str, message: bytes, *, deadline_s: float) -> bytes:
        self.calls.append((method, message, deadline_s))
        return self.reply


async def test_an_update_is_one_call_that_says_only_what_is_set():
    client = Client()
    await Runtime(client).update("c1", Resources(cpuset_cpus="0-3"))
    ((method, message, deadline_s),) = client.calls
    assert (method, deadline_s) == (methods.UPDATE_CONTAINER_RESOURCES, SET_DEADLINE_S)
    asked = api.UpdateContainerResourcesRequest.FromString(message)
    assert asked == api.UpdateContainerResourcesRequest(container_id="c1", linux=resources(cpuset_cpus="0-3"))


async def test_the_first_process_of_a_container_comes_from_a_verbose_status():
    status = api.ContainerStatus(id="c1", state=api.CONTAINER_RUNNING)
    client = Client(api.ContainerStatusResponse(status=status, info={"info": '{"pid": 7}'}).SerializeToString())
    assert await Runtime(client).pid("c1") == 7
    assert client.calls == [(methods.CONTAINER_STATUS, messages.container_status_request("c1"), ASK_DEADLINE_S)]


async def test_an_update_reaches_the_container_and_leaves_what_it_does_not_say():
    fake = FakeRuntime()
    runtime = Runtime(MemoryClient(fake))
    pod = api.RunPodSandboxResponse.FromString(fake.answer(methods.RUN_POD_SANDBOX, b"")).pod_sandbox_id
    request = api.CreateContainerRequest(pod_sandbox_id=pod)
    request.config.linux.resources.CopyFrom(resources(cpu_shares=512, cpuset_cpus="0"))
    reply = fake.answer(methods.CREATE_CONTAINER, request.SerializeToString())
    container_id = messages.container_id_of_created(reply)
    await runtime.update(container_id, Resources(cpuset_cpus="1"))
    assert await runtime.resources(container_id) == Resources(cpu_shares=512, cpuset_cpus="1")


async def test_what_the_runtime_refuses_is_raised():
    fake = FakeRuntime(refused={methods.UPDATE_CONTAINER_RESOURCES: StatusError(2, "no such CPU")})
    with pytest.raises(CallError, match="no such CPU"):
        await Runtime(MemoryClient(fake)).update("c1", Resources(cpuset_cpus="99"))
