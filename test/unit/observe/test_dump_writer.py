import threading

from cri_resmgr.cri import api_pb2 as api
from cri_resmgr.observe import dump_writer
from cri_resmgr.observe.dump_entries import Entry
from cri_resmgr.observe.dump_writer import Target, Writer

DEADLINE_S = 20


class StuckLog:
    """A log that takes nothing until it is let go."""

    def __init__(self):
        self.entered, self.free = threading.Event(), threading.Event()
        self.said: list[tuple[str, dict]] = []

    def info(self, event, **fields):
        self.entered.set()
        assert self.free.wait(DEADLINE_S)
        self.said.append((event, fields))

    warning = error = info


def entry(text="line", size=0):
    return Entry(text, wall_s=0.0, size_bytes=size, raw=bytes(size), shape=api.StatusRequest)


def stuck_writer():
    log = StuckLog()
    writer = Writer(log)
    writer.put(Entry("first", wall_s=0.0))
    assert log.entered.wait(DEADLINE_S)
    return log, writer


def test_while_the_log_is_stuck_entries_are_dropped_and_counted_and_nobody_waits():
    log, writer = stuck_writer()
    for number in range(dump_writer.LIMIT_ENTRIES + 9):
        writer.put(Entry(str(number), wall_s=0.0))
    assert writer.dropped == 10  # the first is still being written
    log.free.set()
    writer.close(DEADLINE_S)
    *written, (event, fields) = log.said
    assert len(written) == dump_writer.LIMIT_ENTRIES
    assert (event, fields["messages"]) == ("dump.dropped", 10)


def test_what_waits_is_bounded_in_bytes_as_well():
    log, writer = stuck_writer()
    half = dump_writer.LIMIT_BYTES // 2
    for _ in range(5):
        writer.put(entry(size=half))
    assert writer.dropped == 3
    log.free.set()
    writer.close(DEADLINE_S)


def test_after_the_log_has_recovered_entries_are_taken_again():
    log, writer = stuck_writer()
    for _ in range(dump_writer.LIMIT_ENTRIES + 5):
        writer.put(Entry("old", wall_s=0.0))
    log.free.set()
    while writer._taken != writer._done:
        log.entered.wait(0.01)
    writer.put(Entry("new", wall_s=0.0))
    writer.close(DEADLINE_S)
    assert "new" in [event for event, _ in log.said]


def test_closing_does_not_wait_for_a_log_that_is_stuck():
    log, writer = stuck_writer()
    writer.close(0.01)
    assert writer._thread.is_alive()
    assert writer._thread.daemon  # and so the process can end
    log.free.set()
    writer._thread.join(DEADLINE_S)
    assert not writer._thread.is_alive()


class BrokenLog:
    """A log whose first lines fail."""

    def __init__(self, failures):
        self.failures, self.said = failures, []

    def info(self, event, **_fields):
        if self.failures:
            self.failures -= 1
            raise BrokenPipeError
        self.said.append(event)

    warning = error = info


def test_a_log_that_fails_costs_its_line_and_no_more():
    log = BrokenLog(failures=2)  # the line, and what is said about its failure
    writer = Writer(log)
    for text in ("lost", "kept"):
        writer.put(Entry(text, wall_s=0.0))
    writer.close(DEADLINE_S)
    assert log.said == ["kept"]


def test_a_full_disk_ends_the_file_with_a_remedy_and_the_log_goes_on():
    log = BrokenLog(failures=0)
    writer = Writer(log)
    with open("/dev/full", "w") as full:  # noqa: PTH123
        writer._file = full
        writer.put(Entry("first", wall_s=0.0))
        writer.put(Entry("second", wall_s=0.0))
        writer.close(DEADLINE_S)
    assert [event for event in log.said if not event.startswith("dump.file")] == ["first", "second"]
    assert log.said.count("dump.file_failed") == 1


def test_a_file_that_has_grown_enough_is_set_aside_once(tmp_path, monkeypatch):
    monkeypatch.setattr(dump_writer, "FILE_LIMIT_BYTES", 100)
    file = tmp_path / "dump"
    writer = Writer(BrokenLog(failures=0))
    writer.direct(Target(file=str(file)))
    for number in range(10):
        writer.put(Entry(f"line {number}", wall_s=0.0))
    writer.close(DEADLINE_S)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dump", "dump.1"]
    kept = (tmp_path / "dump.1").read_text() + file.read_text()
    assert kept.splitlines()[-1].endswith("line 9")
    assert len(kept) <= 2 * 140
