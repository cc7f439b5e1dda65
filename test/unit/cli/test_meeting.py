"""The runtime is waited for, met, or refused with a reason."""

import asyncio

import pytest
from structlog.testing import capture_logs

from cri_resmgr.cli import meeting
from cri_resmgr.cri.messages import Undecodable, Version
from cri_resmgr.errors import BadInput
from cri_resmgr.wire import grpc
from cri_resmgr.wire.client import CallError

CONTAINERD = Version("containerd", "v2.1.4", "v1")


class Answers:
    """A runtime that gives these answers in turn, the last one for ever."""

    def __init__(self, *answers: object) -> None:
        self.answers, self.asked = list(answers), 0

    async def version(self, *, deadline_s: float) -> Version:
        assert deadline_s > 0
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[return-value]


def error(code: int, text: str = "odd") -> CallError:
    return CallError("/runtime.v1.RuntimeService/Version", code, text)


async def meet(runtime: Answers, *, allow_untested: bool = False, waited: list[float] | None = None) -> Version:
    noted = [] if waited is None else waited
    async with asyncio.timeout(30):
        return await meeting.meet(runtime, "/run/c.sock", allow_untested=allow_untested, waiting=noted.append)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def logged(monkeypatch):
    monkeypatch.setattr(meeting, "RETRY_S", 0.001)
    with capture_logs() as records:
        yield records


@pytest.mark.parametrize("name", ["containerd", "cri-o"])
async def test_a_tested_runtime_is_met_at_once(name, logged):
    version = Version(name, "v1", "v1")
    assert await meet(Answers(version)) == version
    assert [event["event"] for event in logged] == ["runtime.met"]


@pytest.mark.parametrize("code", [grpc.UNAVAILABLE, grpc.DEADLINE_EXCEEDED])
async def test_one_that_does_not_answer_yet_is_asked_again_and_the_time_told(code):
    waited: list[float] = []
    runtime = Answers(*[error(code)] * 5, CONTAINERD)
    assert await meet(runtime, waited=waited) == CONTAINERD
    assert runtime.asked == 6
    assert waited == sorted(waited)
    assert len(waited) == 5


async def test_the_log_says_once_in_a_while_who_is_awaited_and_why(logged):
    await meet(Answers(*[error(grpc.UNAVAILABLE, "cannot connect")] * 20, CONTAINERD))
    (awaited,) = (event for event in logged if event["event"] == "runtime.awaited")
    assert (awaited["socket"], awaited["error"]) == ("/run/c.sock", "cannot connect")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (error(grpc.UNIMPLEMENTED, "unknown service"), ["unknown service", "with its CRI plugin enabled?"]),
        (error(grpc.INTERNAL, "not HTTP/2: frame larger than allowed"), ["not HTTP/2"]),
        (Undecodable("3 bytes are no VersionResponse"), ["3 bytes are no VersionResponse"]),
    ],
)
async def test_what_is_no_cri_runtime_is_refused_and_not_waited_for(answer, words):
    runtime = Answers(error(grpc.UNAVAILABLE), answer)
    with pytest.raises(BadInput, match=r"--runtime-socket /run/c\.sock: does not speak CRI v1") as refused:
        await meet(runtime)
    assert runtime.asked == 2
    assert all(word in str(refused.value) for word in words)


async def test_one_that_was_never_tested_is_refused_unless_the_user_takes_it(logged):
    frakti = Version("frakti", "v0", "v1")
    with pytest.raises(BadInput, match=r"'frakti' is not tested.*--allow-untested-runtimes takes any"):
        await meet(Answers(frakti))
    assert await meet(Answers(frakti), allow_untested=True) == frakti
    assert "runtime.untested" in {event["event"] for event in logged}
