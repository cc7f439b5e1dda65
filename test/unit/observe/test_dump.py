import asyncio
import logging
import os
import re
import threading
from pathlib import Path

import pytest
import structlog
import yaml

from cri_resmgr.config import dumprules
from cri_resmgr.config.settings import DumpSettings
from cri_resmgr.cri import api_pb2 as api
from cri_resmgr.cri import methods
from cri_resmgr.errors import BadInput
from cri_resmgr.observe import dump_entries
from cri_resmgr.observe.dump import Dumper
from cri_resmgr.relay.hooks import Failed, Refused

STATUS = methods.RUNTIME + "Status"
EVENTS = methods.RUNTIME + "GetContainerEvents"
FULL, SHORT = DumpSettings(rules="full:.*"), DumpSettings(rules="short:.*")
SAMPLE = Path(__file__).parents[3] / "examples/cri-full-message-dump.cfg"


class Log:
    """Remembers (level, event, fields)."""

    def __init__(self):
        self.said: list[tuple[str, str, dict]] = []

    def __getattr__(self, level):
        return lambda event, **fields: self.said.append((level, event, fields))


class Call:
    """An intercepted call whose runtime answers with what it is told to."""

    remaining_s = None

    def __init__(self, method, request, answer=b""):
        self.method, self.request, self.answer = method, request, answer
        self.forwarded = []

    async def forward(self, message):
        self.forwarded.append(message)
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


async def passing(call):
    return await call.forward(call.request)


def dumped(settings, use) -> list[tuple[str, str]]:
    """Levels and lines of the log after `use` had a dumper, all of it written."""
    log = Log()
    dumper = Dumper(log)
    dumper.configure(settings)
    use(dumper)
    dumper.close()
    return [(level, event) for level, event, _ in log.said]


def call_through(call, hook=passing, qualifier="web-0:app"):
    def use(dumper):
        try:
            asyncio.run(dumper.layer(hook, lambda _: qualifier)(call))
        except (Failed, Refused, ValueError):
            return

    return use


def tapped(path, *events):
    """Drives a tap through `events`: ("request", b"…"), ("reply", b"…"), ("ended", code, message)."""

    def use(dumper):
        tap = dumper.tap_for(path)
        for name, *arguments in events:
            getattr(tap, name)(*arguments)

    return use


def create_call(answer=None):
    request = api.CreateContainerRequest(pod_sandbox_id="p1")
    request.config.metadata.name = "app"
    request.config.linux.resources.cpu_shares = 512
    reply = api.CreateContainerResponse(container_id="c1").SerializeToString()
    return Call(methods.CREATE_CONTAINER, request.SerializeToString(), answer or reply)


# ---- what is written -----------------------------------------------------------------------------------------------


def test_a_full_dump_shows_request_and_reply_as_yaml_in_the_predecessors_form():
    head = "web-0:app CreateContainer => (intercepted) REQUEST    "
    assert dumped(FULL, call_through(create_call())) == [
        ("info", head + "config:"),
        ("info", head + "  linux:"),
        ("info", head + "    resources:"),
        ("info", head + "      cpu_shares: 512"),
        ("info", head + "  metadata:"),
        ("info", head + "    name: app"),
        ("info", head + "pod_sandbox_id: p1"),
        ("info", "web-0:app CreateContainer <= (intercepted) REPLY container_id: c1"),
    ]


def test_a_short_dump_is_one_line_for_a_call():
    lines = dumped(SHORT, call_through(create_call()))
    assert lines == [("info", "web-0:app CreateContainer <= (intercepted) REQUEST")]


def test_a_call_that_nobody_can_name_starts_with_its_method():
    lines = dumped(SHORT, call_through(create_call(), qualifier=""))
    assert lines == [("info", "CreateContainer <= (intercepted) REQUEST")]


def test_what_goes_on_changed_is_shown_as_relayed():
    async def changing(call):
        message = api.CreateContainerRequest.FromString(call.request)
        message.config.linux.resources.cpuset_cpus = "0-1"
        return await call.forward(message.SerializeToString())

    lines = [line for _, line in dumped(FULL, call_through(create_call(), changing))]
    relayed = [line for line in lines if "=> (relayed) REQUEST" in line]
    assert relayed[4].endswith('cpuset_cpus: "0-1"')
    assert not any("cpuset_cpus" in line for line in lines if "(intercepted)" in line)


def test_what_goes_on_as_it_came_is_not_shown_twice():
    lines = dumped(FULL, call_through(create_call()))
    assert not any("relayed" in line for _, line in lines)


@pytest.mark.parametrize("error", [Failed(5, "no such pod"), Refused(5, "no such pod")], ids=["runtime", "us"])
def test_a_failed_call_is_a_warning_with_code_and_message(error):
    text = "rpc error: code = NotFound desc = no such pod"
    assert dumped(SHORT, call_through(create_call(error))) == [
        ("warning", f"web-0:app CreateContainer <= (intercepted) FAILED: {text}")
    ]
    assert dumped(FULL, call_through(create_call(error)))[-2:] == [
        ("warning", "web-0:app CreateContainer <= (intercepted) FAILED"),
        ("warning", f"web-0:app CreateContainer <=     {text}"),
    ]


def test_an_error_of_our_own_is_told_as_internal():
    lines = dumped(SHORT, call_through(create_call(ValueError("oops"))))
    assert lines[0][1].endswith("FAILED: rpc error: code = Internal desc = ValueError('oops')")


def test_a_cancelled_call_is_told_as_cancelled_and_stays_cancelled():
    log = Log()
    dumper = Dumper(log)
    dumper.configure(SHORT)

    async def main():
        started = asyncio.Event()

        async def waiting(_call):
            started.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(dumper.layer(waiting, lambda _: "")(create_call()))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    dumper.close()
    assert "code = Canceled" in log.said[0][1]


def test_a_layer_changes_neither_messages_nor_errors():
    dumper = Dumper(Log())
    dumper.configure(FULL)
    layered = dumper.layer(passing, lambda _: "")
    call = create_call()
    assert asyncio.run(layered(call)) is call.answer
    assert call.forwarded == [call.request]
    failure = Failed(5, "x")
    with pytest.raises(Failed) as caught:
        asyncio.run(layered(create_call(failure)))
    assert caught.value is failure
    dumper.close()


def test_a_call_that_is_passed_through_is_dumped_by_its_tap():
    reply = api.StatusResponse(status=api.RuntimeStatus(conditions=[api.RuntimeCondition(type="Ready", status=True)]))
    use = tapped(STATUS, ("request", b""), ("reply", reply.SerializeToString()), ("ended", 0, ""))
    assert [line for _, line in dumped(FULL, use)] == [
        "Status => (passthrough) REQUEST {}",
        "Status <= (passthrough) REPLY    status:",
        "Status <= (passthrough) REPLY      conditions:",
        "Status <= (passthrough) REPLY      - status: true",
        "Status <= (passthrough) REPLY        type: Ready",
    ]


def events(count):
    made = (api.ContainerEventResponse(container_id=f"c{i}", container_event_type=i % 4) for i in range(count))
    return [("reply", event.SerializeToString()) for event in made]


def test_each_reply_of_a_stream_is_dumped_in_full():
    lines = dumped(FULL, tapped(EVENTS, ("request", b""), *events(3), ("ended", 0, "")))
    replies = [line for _, line in lines if "REPLY" in line]
    assert replies == [
        "GetContainerEvents <= (passthrough) REPLY container_id: c0",
        "GetContainerEvents <= (passthrough) REPLY    container_event_type: 1",
        "GetContainerEvents <= (passthrough) REPLY    container_id: c1",
        "GetContainerEvents <= (passthrough) REPLY    container_event_type: 2",
        "GetContainerEvents <= (passthrough) REPLY    container_id: c2",
    ]


def test_a_short_dump_tells_of_a_stream_once_and_of_its_failure():
    lines = dumped(SHORT, tapped(EVENTS, ("request", b""), *events(3), ("ended", None, "")))
    error = "rpc error: code = Canceled desc = the call was cancelled or its connection was lost"
    assert lines == [
        ("info", "GetContainerEvents <= (passthrough) REQUEST"),
        ("warning", f"GetContainerEvents <= (passthrough) FAILED: {error}"),
    ]


def test_a_stream_without_replies_is_told_of_at_its_end():
    lines = dumped(SHORT, tapped(EVENTS, ("request", b""), ("ended", 0, "")))
    assert lines == [("info", "GetContainerEvents <= (passthrough) REQUEST")]


def test_of_an_unknown_method_only_sizes_are_told():
    path = "/runtime.v9.RuntimeService/Teleport"
    lines = dumped(FULL, tapped(path, ("request", b"secret"), ("reply", b"12"), ("ended", 77, "gone")))
    assert [line for _, line in lines] == [
        "Teleport => (passthrough) REQUEST # 6 bytes of a method that we do not know",
        "Teleport <= (passthrough) REPLY # 2 bytes of a method that we do not know",
        "Teleport <= (passthrough) FAILED",
        "Teleport <=     rpc error: code = Code(77) desc = gone",
    ]


def test_a_message_that_is_none_and_one_that_is_too_long_are_told_by_their_size():
    long = dump_entries.LIMIT_BYTES + 1
    lines = dumped(FULL, tapped(STATUS, ("request", b"\xff"), ("reply", bytes(long))))
    assert [line for _, line in lines] == [
        "Status => (passthrough) REQUEST # 1 bytes that are no StatusRequest",
        f"Status <= (passthrough) REPLY # {long} bytes, more than are shown",
    ]


def test_nobody_can_write_lines_of_their_own_into_the_log():
    path = "/x/Evil\nCreateContainer\x1b[2J"
    use = tapped(path, ("request", b""), ("ended", 2, "first\nsecond\x9b"))
    lines = dumped(FULL, use) + dumped(SHORT, call_through(create_call(), qualifier="pod\ninjected"))
    assert all(line.isprintable() for _, line in lines)
    assert any("first\\U0000000asecond" in line for _, line in lines)


# ---- which calls ---------------------------------------------------------------------------------------------------


def test_a_call_that_is_off_has_no_tap_and_no_layer_in_its_way():
    seen = []

    async def hook(call):
        seen.append(call)
        return b""

    call = create_call()

    def use(dumper):
        assert dumper.tap_for(STATUS) is None
        assert dumper.tap_for("/unknown/Method") is None
        asyncio.run(dumper.layer(hook, lambda _: pytest.fail("nobody needs a name"))(call))

    assert dumped(DumpSettings(rules="off:.*"), use) == []
    assert seen == [call]  # not wrapped


def test_before_it_is_configured_and_when_disabled_nothing_is_dumped_and_no_thread_runs():
    before = threading.active_count()
    dumper = Dumper(Log())
    assert dumper.tap_for(STATUS) is None
    dumper.configure(DumpSettings(rules="full:.*", disabled=True, file="/nonexistent/dump"))
    assert dumper.tap_for(STATUS) is None
    assert threading.active_count() == before
    dumper.close()


def test_by_default_nothing_is_dumped():
    dumper = Dumper(Log())
    dumper.configure(DumpSettings())
    assert dumper.tap_for(STATUS) is None
    assert dumped(DumpSettings(), call_through(create_call())) == []


def test_the_predecessors_default_shows_in_short_the_calls_that_change_something():
    rules = "off:.*,short:((Create)|(Start)|(Run)|(Update)|(Stop)|(Remove)).*,off:.*Image.*"
    lines = dumped(DumpSettings(rules=rules), call_through(create_call()))
    assert lines == [("info", "web-0:app CreateContainer <= (intercepted) REQUEST")]


def test_the_rules_hold_for_methods_that_we_do_not_know():
    dumper = Dumper(Log())
    dumper.configure(DumpSettings(rules="off:.*,full:Tele.*"))
    assert dumper.tap_for("/runtime.v9.RuntimeService/Teleport") is not None
    assert dumper.tap_for("/runtime.v9.RuntimeService/Other") is None


def test_a_new_configuration_holds_for_new_calls_and_those_in_flight_go_on():
    def use(dumper):
        tap = dumper.tap_for(STATUS)
        dumper.configure(DumpSettings(rules="off:.*"))
        assert dumper.tap_for(STATUS) is None
        tap.request(b"")

    assert dumped(FULL, use) == [("info", "Status => (passthrough) REQUEST {}")]


def test_wrong_rules_are_refused_and_the_old_ones_stay():
    dumper = Dumper(Log())
    dumper.configure(FULL)
    with pytest.raises(BadInput):
        dumper.configure(DumpSettings(rules="full:("))
    assert dumper.tap_for(STATUS) is not None
    dumper.close()


def test_at_debug_level_messages_are_debug_and_failures_stay_warnings():
    use = tapped(STATUS, ("request", b""), ("ended", 2, "x"))
    levels = [level for level, _ in dumped(DumpSettings(rules="full:.*", debug=True), use)]
    assert levels == ["debug", "warning", "warning"]


def test_the_sample_of_the_predecessor_dumps_everything_in_full():
    section = yaml.safe_load(SAMPLE.read_text())["dump"]
    rules = dumprules.parse(section["Config"])
    assert {dumprules.level_of(rules, path) for path in methods.PATHS} == {dumprules.Level.FULL}


# ---- the file ------------------------------------------------------------------------------------------------------


def test_the_file_has_the_same_lines_each_with_the_time_or_the_latency(tmp_path):
    file = tmp_path / "dump.log"
    settings = DumpSettings(rules="full:.*", file=str(file))
    lines = [line for _, line in dumped(settings, call_through(create_call()))]
    written = file.read_text().splitlines()
    assert [line[27:] for line in written] == lines
    for line in written:
        stamp = r"\d{4}-[A-Z][a-z]{2}-\d\d \d\d:\d\d:\d\d\.\d{3}" if "=>" in line else r" *\+\d+\.\d{6}"
        assert re.fullmatch(rf"\[{stamp}\]", line[:26])
        assert line[26] == " "


def test_the_file_is_for_its_owner_only(tmp_path):
    file = tmp_path / "dump.log"
    dumped(DumpSettings(rules="full:.*", file=str(file)), tapped(STATUS, ("request", b"")))
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_file_is_begun_anew_when_it_changes_but_not_when_only_rules_do(tmp_path):
    first, second = tmp_path / "1", tmp_path / "2"
    first.write_text("from an earlier run")

    def settings(rules, file, **more):
        return DumpSettings(rules=rules, file=str(file), **more)

    def ask(dumper):
        dumper.tap_for(STATUS).request(b"")

    def use(dumper):
        ask(dumper)
        dumper.configure(settings("full:S.*", first, debug=True))
        ask(dumper)
        dumper.configure(settings("full:.*", second))
        ask(dumper)
        dumper.configure(settings("full:.*", second, disabled=True))
        dumper.configure(settings("full:.*", second))
        ask(dumper)

    dumped(settings("full:.*", first), use)
    assert len(first.read_text().splitlines()) == 2
    assert len(second.read_text().splitlines()) == 1


def folder(path):
    path.mkdir()
    return path


def link(path):
    path.symlink_to(path.with_name("elsewhere"))
    return path


def pipe(path):
    os.mkfifo(path)
    return path


@pytest.mark.parametrize("made", [folder, link, pipe, lambda path: path / "in/missing/folder"])
def test_a_file_that_cannot_be_had_is_told_with_a_remedy_and_the_log_goes_on(tmp_path, made):
    path = made(tmp_path / "dump.log")
    log = Log()
    dumper = Dumper(log)
    dumper.configure(DumpSettings(rules="full:.*", file=str(path)))
    dumper.tap_for(STATUS).request(b"")
    dumper.close()
    (level, event, fields), (_, line, _) = log.said
    assert (level, event, fields["file"]) == ("warning", "dump.file_failed", str(path))
    assert "dump.File" in fields["remedy"]
    assert line == "Status => (passthrough) REQUEST {}"


def test_it_speaks_to_a_real_structlog_logger():
    capture = structlog.testing.LogCapture()
    wrapper = structlog.make_filtering_bound_logger(logging.INFO)
    log = structlog.wrap_logger(None, processors=[capture], wrapper_class=wrapper)
    dumper = Dumper(log)
    dumper.configure(FULL)
    dumper.tap_for(STATUS).ended(2, "100 % wrong %s")
    dumper.close()
    assert capture.entries[-1] == {
        "event": "Status <=     rpc error: code = Unknown desc = 100 % wrong %s",
        "log_level": "warning",
    }
