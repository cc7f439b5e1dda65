import asyncio
import contextlib
import json
import logging as stdlib
import os
import select
import signal
import socket
import stat
import types
from concurrent.futures import ThreadPoolExecutor

import pytest
import structlog

from cri_resmgr.config.settings import LoggerSettings
from cri_resmgr.errors import BadInput
from cri_resmgr.observe import logging, sinks

NOON_S = 1_800_000_000.25  # 2027-01-15T08:00:00.250Z


@pytest.fixture(name="read_end")
def make_pipe():
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    yield types.SimpleNamespace(fd=reading, writing=writing)
    for fd in (reading, writing):
        os.close(fd)


@pytest.fixture(name="logs")
def make_logs(read_end):
    """A log of its own: structlog's configuration, and the standard library's, are as before afterwards."""
    handlers, level = stdlib.root.handlers[:], stdlib.root.level
    structlog.reset_defaults()
    made = logging.configure(LoggerSettings(), environment={})
    made.clock = lambda: NOON_S
    made.stderr = sinks.Sink(read_end.writing)
    yield made
    if made.file is not None:
        os.close(made.file.fd)
    structlog.reset_defaults()
    stdlib.root.handlers[:] = handlers
    stdlib.root.setLevel(level)


@pytest.fixture(name="said")
def make_said(logs, read_end):
    def said() -> list[str]:
        try:
            return os.read(read_end.fd, 1 << 20).decode().splitlines()
        except BlockingIOError:
            return []

    return said


def test_an_event_is_one_line_with_time_level_source_and_values(said):
    structlog.get_logger("relay").info("link.opened", peer="/run/x.sock", number=3, took_s=0.123456789)
    assert said() == ["2027-01-15T08:00:00.250Z I [relay] link.opened peer=/run/x.sock number=3 took_s=0.123457"]


@pytest.mark.parametrize(
    ("method", "letter"),
    [("info", "I"), ("warning", "W"), ("error", "E"), ("critical", "C")],
)
def test_a_line_tells_its_level(said, method, letter):
    getattr(logging.get("relay"), method)("a.b")
    assert said() == [f"2027-01-15T08:00:00.250Z {letter} [relay] a.b"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("two words", 'x="two words"'),
        ("", 'x=""'),
        ("a=b", 'x="a=b"'),
        ('say "hi"', r'x="say \"hi\""'),
        ("line\nsource=forged", r'x="line\nsource=forged"'),
        ("\x1b[31mred", r'x="\u001b[31mred"'),
        ("größe", "x=größe"),
        (None, "x=None"),
        ((1, 2), 'x="(1, 2)"'),
    ],
)
def test_no_value_can_break_a_line_or_pass_for_another_key(said, value, shown):
    logging.get("relay").info("a.b", x=value)
    assert said() == [f"2027-01-15T08:00:00.250Z I [relay] a.b {shown}"]


def test_an_event_with_a_line_break_stays_one_line(said):
    logging.get("relay").info("a\nb")
    assert said() == [r"2027-01-15T08:00:00.250Z I [relay] a\nb"]


def test_a_field_named_like_a_part_of_the_line_is_kept_apart(said, logs):
    logs.apply(LoggerSettings(backend="json"))
    logging.get("relay").info("a.b", source="file", level="high")
    line = json.loads(said()[0])
    assert (line["source"], line["source_"], line["level"], line["level_"]) == ("relay", "file", "info", "high")


def test_json_lines_are_objects_and_take_any_value(said, logs):
    logs.apply(LoggerSettings(backend="json"))
    logging.get("relay").warning("a.b", what=ValueError("no"), number=1, text="x\ny")
    assert [json.loads(line) for line in said()] == [
        {
            "time": "2027-01-15T08:00:00.250Z",
            "level": "warning",
            "source": "relay",
            "event": "a.b",
            "what": "no",
            "number": 1,
            "text": "x\ny",
        }
    ]


def test_an_exception_brings_its_trace_below_the_line(said):
    try:
        int("broken")
    except ValueError:
        logging.get("relay").exception("call.failed", method="Exec")
    first, *rest = said()
    assert first == "2027-01-15T08:00:00.250Z E [relay] call.failed method=Exec"
    assert rest[0] == "    Traceback (most recent call last):"
    assert rest[-1].startswith("    ValueError: invalid literal")


def test_debugging_is_off_until_a_source_is_named(said, logs):
    relay, wire = logging.get("relay"), logging.get("wire")
    relay.debug("a.b")
    logs.apply(LoggerSettings(debug="relay"))
    relay.debug("c.d")
    wire.debug("e.f")
    logs.apply(LoggerSettings())
    relay.debug("g.h")
    assert [line.split()[-1] for line in said()] == ["c.d"]


def test_a_source_that_is_first_heard_after_the_settings_follows_them(said, logs):
    logs.apply(LoggerSettings(debug="*,off:wire"))
    logging.get("relay").debug("a.b")
    logging.get("wire").debug("c.d")
    assert [line.split()[-1] for line in said()] == ["a.b"]


def test_settings_do_not_add_up_over_updates(said, logs):
    logs.apply(LoggerSettings(debug="relay"))
    logs.apply(LoggerSettings(debug="wire"))
    logging.get("relay").debug("a.b")
    assert said() == []


@pytest.mark.parametrize("name", ["cri_resmgr.state.store", "state", "cache"])
def test_modules_and_old_names_log_under_the_name_of_their_room(said, logs, name):
    logs.apply(LoggerSettings(debug="cache"))
    structlog.get_logger(name).debug("row.written")
    assert said() == ["2027-01-15T08:00:00.250Z D [state] row.written"]


def test_verbosity_of_four_debugs_everything(said, logs):
    logs.apply(LoggerSettings(verbosity=3))
    logging.get("relay").debug("a.b")
    logs.apply(LoggerSettings(verbosity=4))
    logging.get("relay").debug("c.d")
    assert [line.split()[-1] for line in said()] == ["c.d"]


def test_a_level_lets_only_the_worse_pass(said, logs):
    logs.apply(LoggerSettings(level="error"))
    log = logging.get("relay")
    log.info("a.b")
    log.warning("c.d")
    log.error("e.f")
    logs.apply(LoggerSettings(level="debug"))
    log.debug("g.h")
    assert [line.split()[-1] for line in said()] == ["e.f", "g.h"]


def test_a_source_that_is_switched_off_may_still_warn(said, logs):
    logs.apply(LoggerSettings(sources="off:*,on:policy"))
    logging.get("relay").info("a.b")
    logging.get("relay").warning("c.d")
    logging.get("policy").info("e.f")
    assert [line.split()[-1] for line in said()] == ["c.d", "e.f"]


def test_forced_debugging_survives_a_change_of_settings_until_it_is_toggled_again(said, logs):
    assert logging.toggle_debug() is True
    logs.apply(LoggerSettings())
    logging.get("relay").debug("a.b")
    assert logging.toggle_debug() is False
    logging.get("relay").debug("c.d")
    assert [line.split()[-1] for line in said()] == ["debug.forced", "a.b", "debug.released"]


async def test_sigusr1_can_toggle_it(said, logs):
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, logging.toggle_debug)
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
        async with asyncio.timeout(30):
            while not logs.forced:
                await asyncio.sleep(0.01)
    finally:
        loop.remove_signal_handler(signal.SIGUSR1)
    assert said() == ["2027-01-15T08:00:00.250Z W [logging] debug.forced"]


def test_a_bound_logger_gives_its_fields_to_every_event(said):
    log = logging.get("relay").bind(link=7, method="Exec")
    log.info("a.b")
    log.unbind("link").info("c.d", extra=1)
    log.new(only=2).info("e.f")
    assert [line.partition("] ")[2] for line in said()] == [
        "a.b link=7 method=Exec",
        "c.d method=Exec extra=1",
        "e.f only=2",
    ]


def test_a_debug_call_that_is_off_touches_no_processor(logs):
    log = logging.get("relay").bind()
    touched = []
    structlog.get_config()["processors"].insert(0, lambda *_: touched.append(1))
    log.debug("a.b", x=1)
    assert not touched
    assert not log.is_debugged()


def test_captured_logs_work_for_the_tests_of_others(logs, said):
    with structlog.testing.capture_logs() as entries:
        logging.get("relay").info("a.b", c=1)
    assert entries == [{"event": "a.b", "c": 1, "log_level": "info"}]
    assert said() == []


def test_the_source_can_be_left_out_and_so_can_the_header(said, logs):
    logs.apply(LoggerSettings(log_source=False))
    logging.get("relay").info("a.b")
    logs.apply(LoggerSettings(skip_headers=True))
    logging.get("relay").info("c.d")
    assert said() == ["2027-01-15T08:00:00.250Z I a.b", "[relay] c.d"]


def test_under_the_journal_each_line_starts_with_its_priority_and_has_no_time(logs):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        found = os.fstat(ours.fileno())
        logs.environment = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        logs.stderr = sinks.Sink(ours.fileno())
        logs.apply(LoggerSettings(debug="relay"))
        log = logging.get("relay")
        for tell in (log.debug, log.info, log.warning, log.error, log.critical):
            tell("a.b")
        try:
            int("broken")
        except ValueError:
            log.exception("c.d")
        lines = theirs.recv(1 << 16).decode().splitlines()
    assert lines[:5] == [f"<{priority}>[relay] a.b" for priority in (7, 6, 4, 3, 2)]
    assert lines[5] == "<3>[relay] c.d"
    assert {line[:3] for line in lines[5:]} == {"<3>"}


def test_a_redirected_descriptor_is_not_taken_for_the_journal(logs, said, read_end):
    with socket.socket(socket.AF_UNIX) as elsewhere:
        found = os.fstat(elsewhere.fileno())
        logs.environment = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        logs.apply(LoggerSettings())
    logging.get("relay").info("a.b")
    assert said() == ["2027-01-15T08:00:00.250Z I [relay] a.b"]
    assert not sinks.is_journal(read_end.writing, {"JOURNAL_STREAM": "nonsense"})
    assert not sinks.is_journal(987654, {"JOURNAL_STREAM": "1:2"})


def test_a_log_file_gets_every_line_and_standard_error_the_errors(said, logs, tmp_path):
    path = tmp_path / "x.log"
    logs.apply(LoggerSettings(to_stderr=False, file=str(path), stderr_threshold="error"))
    logging.get("relay").info("a.b")
    logging.get("relay").error("c.d")
    assert [line.split()[-1] for line in path.read_text().splitlines()] == ["a.b", "c.d"]
    assert [line.split()[-1] for line in said()] == ["c.d"]
    assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0


def test_both_places_get_every_line_when_told_so(said, logs, tmp_path):
    logs.apply(LoggerSettings(to_stderr=False, also_to_stderr=True, file=str(tmp_path / "x.log")))
    logging.get("relay").info("a.b")
    assert said() == (tmp_path / "x.log").read_text().splitlines() != []


def test_a_rotated_file_is_made_anew_by_applying_the_settings_again(logs, tmp_path):
    path = tmp_path / "x.log"
    settings = LoggerSettings(to_stderr=False, file=str(path))
    logs.apply(settings)
    logging.get("relay").info("a.b")
    path.rename(tmp_path / "x.log.1")
    logs.apply(settings)
    logging.get("relay").info("c.d")
    assert path.read_text().split()[-1] == "c.d"
    assert (tmp_path / "x.log.1").read_text().split()[-1] == "a.b"


def test_a_file_that_cannot_be_opened_is_bad_input_and_changes_nothing(said, logs, tmp_path):
    with pytest.raises(BadInput, match=r"log file .*: Is a directory; name a file that can be written"):
        logs.apply(LoggerSettings(to_stderr=False, file=str(tmp_path), debug="*"))
    logging.get("relay").info("a.b")
    logging.get("relay").debug("c.d")
    assert [line.split()[-1] for line in said()] == ["a.b"]


def test_a_reader_that_does_not_read_loses_lines_and_is_told_how_many(said, logs, read_end):
    log = logging.get("relay")
    os.set_blocking(read_end.writing, False)
    try:
        while True:
            os.write(read_end.writing, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(read_end.writing, True)
    for _ in range(5):
        log.info("a.b")
    said()
    log.info("c.d")
    assert said() == ["[logging] lines.dropped count=5", "2027-01-15T08:00:00.250Z I [relay] c.d"]


def test_a_line_that_was_cut_does_not_run_into_the_next(said, logs, read_end):
    log = logging.get("relay")
    log.info("a.b", big="y" * (1 << 17))
    said()
    log.info("c.d")
    empty, dropped, last = said()
    assert (empty, dropped, last.split()[-1]) == ("", "[logging] lines.dropped count=1", "c.d")


def test_threads_that_write_at_once_to_a_slow_reader_neither_fail_nor_mix_their_events(read_end, monkeypatch):
    monkeypatch.setattr(sinks, "PATIENCE_S", 60)
    sink, told = sinks.Sink(read_end.writing), [f"{number} {'x' * 3 * sinks.CHUNK_BYTES}" for number in range(40)]
    with ThreadPoolExecutor(4) as threads:
        written = [threads.submit(sink.write, text, 6) for text in told]
        read = b""
        while read.count(b"\n") < len(told) and not any(one.done() and one.exception() for one in written):
            select.select([read_end.fd], [], [], 1)
            with contextlib.suppress(BlockingIOError):
                read += os.read(read_end.fd, 1000)
    assert [one.exception() for one in written] == [None] * len(told)
    assert sorted(read.decode().splitlines()) == sorted(told)


def test_a_reader_that_is_gone_ends_nothing(logs, read_end):
    reading, writing = os.pipe()
    os.close(reading)
    logs.stderr = sinks.Sink(writing)
    logging.get("relay").info("a.b")
    os.close(writing)
    assert logs.stderr.dropped == 1


def test_what_libraries_say_comes_as_our_lines(said, logs):
    stdlib.getLogger("asyncio").error("Task exception was %s", "lost")
    stdlib.getLogger("asyncio").info("hidden")
    logs.apply(LoggerSettings(debug=logging.STDLIB_SOURCE))
    stdlib.getLogger("asyncio").info("shown")
    assert [line.partition("] ")[2] for line in said()] == [
        'library.said logger=asyncio message="Task exception was lost"',
        "library.said logger=asyncio message=shown",
    ]


def test_before_anything_is_configured_nothing_can_be_toggled():
    structlog.reset_defaults()
    assert logging.current() is None
    assert logging.toggle_debug() is False


def test_a_logger_made_before_the_configuration_follows_it(read_end):
    structlog.reset_defaults()
    log = structlog.get_logger("early")
    handlers, level = stdlib.root.handlers[:], stdlib.root.level
    try:
        made = logging.configure(LoggerSettings(debug="early"), environment={})
        made.stderr = sinks.Sink(read_end.writing)
        log.debug("a.b")
        assert os.read(read_end.fd, 1000).decode().split()[1:] == ["D", "[early]", "a.b"]
    finally:
        structlog.reset_defaults()
        stdlib.root.handlers[:] = handlers
        stdlib.root.setLevel(level)


def test_configuring_twice_keeps_one_state(logs):
    assert logging.configure(LoggerSettings(level="error"), environment={}) is logs
    assert logs.settings.level == "error"
