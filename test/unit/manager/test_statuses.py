"""The kubelet is told that a container has what it has asked for; all else is the runtime's own word."""

import pytest

from cri_resmgr.cri import api_pb2 as api
from cri_resmgr.cri import methods
from cri_resmgr.manager.statuses import Statuses
from cri_resmgr.relay.hooks import Failed
from cri_resmgr.state.ledger import Ledger
from cri_resmgr.values.adjustments import Adjusted, Effect
from cri_resmgr.values.resources import NOTHING, Assignment, Resources
from cri_resmgr.values.workloads import Container, State
from cri_resmgr.wire.grpc import NOT_FOUND
from doubles.calls import FakeCall

ASKED = Resources(cpu_shares=1536, cpu_quota_us=150_000, cpu_period_us=100_000, cpuset_cpus="7")
MIXED = Assignment(cpuset_cpus="0-1", cpuset_mems="0", cpu_shares=512)


def asks(id_: str = "c1") -> bytes:
    return api.ContainerStatusRequest(container_id=id_).SerializeToString()


def says(**fields: int | str) -> api.ContainerStatusResponse:
    reply = api.ContainerStatusResponse(info={"info": "{}"})
    reply.status.id = "c1"
    reply.status.resources.linux.CopyFrom(api.LinuxContainerResources(**fields))
    return reply


def begun(ledger: Ledger, request: bytes) -> FakeCall:
    return FakeCall(methods.CONTAINER_STATUS, request).begin(Statuses(ledger).hooks()[methods.CONTAINER_STATUS])


async def told(request: bytes, reply: api.ContainerStatusResponse | bytes, given: Assignment) -> bytes:
    ledger = Ledger((), [Container("p", "c", 0, id="c1", state=State.RUNNING, asked=ASKED, given=given)])
    call = begun(ledger, request)
    assert call.forwarded is request
    return await call.answer(reply).result()


async def test_shares_that_a_policy_has_set_are_shown_as_they_were_asked_for():
    reply = says(cpu_shares=512, cpu_quota=150_000, cpu_period=100_000, cpuset_cpus="0-1", memory_limit_in_bytes=1)
    shown = api.ContainerStatusResponse.FromString(await told(asks(), reply, MIXED))
    reply.status.resources.linux.cpu_shares = 1536
    assert shown == reply


async def test_a_quota_that_a_policy_has_set_is_shown_as_it_was_asked_for():
    reply = says(cpu_shares=1536, cpu_quota=-1, cpu_period=50_000)
    given = Assignment(cpu_quota_us=-1, cpu_period_us=50_000)
    shown = api.ContainerStatusResponse.FromString(await told(asks(), reply, given)).status.resources.linux
    assert (shown.cpu_quota, shown.cpu_period, shown.cpu_shares) == (150_000, 100_000, 1536)


async def test_amounts_that_an_adjustment_has_set_are_shown_as_they_were_asked_for():
    asked = Resources(cpu_shares=512, memory_limit_bytes=10, memory_swap_limit_bytes=15)
    wanted = Adjusted("a", Effect(cpu_request_millicpu=1000, memory_limit_bytes=30))
    ledger = Ledger((), [Container("p", "c", 0, id="c1", state=State.RUNNING, asked=asked, adjustment=wanted)])
    reply = says(cpu_shares=1024, memory_limit_in_bytes=30, memory_swap_limit_in_bytes=35)
    shown = api.ContainerStatusResponse.FromString(await begun(ledger, asks()).answer(reply).result())
    has = shown.status.resources.linux
    assert (has.cpu_shares, has.memory_limit_in_bytes, has.memory_swap_limit_in_bytes) == (512, 10, 15)


@pytest.mark.parametrize("given", [NOTHING, Assignment(cpuset_cpus="0-1", cpuset_mems="0")])
async def test_whoever_has_the_kubelets_amounts_is_shown_by_the_runtime_alone(given: Assignment):
    reply = says(cpu_shares=3, cpuset_cpus="0-1").SerializeToString()  # a resize is under way, say
    assert await told(asks(), reply, given) is reply


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        pytest.param(asks("stranger"), says(cpu_shares=512).SerializeToString(), id="somebody whom we do not know"),
        pytest.param(asks(), says(cpu_shares=1536).SerializeToString(), id="said already"),
        pytest.param(asks(), api.ContainerStatusResponse().SerializeToString(), id="no resources are told"),
        pytest.param(asks(), b"\xff", id="no message"),
        pytest.param(b"\xff", b"any answer", id="no request"),
    ],
)
async def test_what_cannot_be_corrected_or_need_not_be_passes_as_it_is(request_: bytes, reply: bytes):
    assert await told(request_, reply, MIXED) is reply


async def test_an_error_of_the_runtime_is_the_kubelets():
    with pytest.raises(Failed, match="no such container"):
        await begun(Ledger(), asks()).fail(NOT_FOUND, "no such container").result()
