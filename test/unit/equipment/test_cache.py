import io
import multiprocessing
import os
import time
from pathlib import Path

import pytest

from equipment import cache, progress


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "cri-resmgr"


def write(place: Path) -> None:
    (place / "file").write_text("made")


def test_the_cache_lies_in_the_users_cache_directory(own_cache):
    assert cache.directory() == own_cache
    assert own_cache.is_dir()


def test_without_xdg_cache_home_the_cache_lies_in_the_home_directory(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache.directory() == tmp_path / "home/.cache/cri-resmgr"


def test_an_entry_is_made_once():
    made = []

    def make(place):
        made.append(place)
        write(place)

    places = {cache.entry("thing", "k1", make, about="1 s") for _ in range(3)}
    assert len(made) == 1
    assert [(place.name, (place / "file").read_text()) for place in places] == [("thing-k1", "made")]


def test_another_key_is_another_entry():
    assert cache.entry("thing", "k1", write, about="1 s") != cache.entry("thing", "k2", write, about="1 s")


def test_a_failed_making_leaves_no_entry_and_can_be_repeated(own_cache):
    def fail(place):
        write(place)
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        cache.entry("thing", "k1", fail, about="1 s")
    assert [path.name for path in own_cache.iterdir() if path.is_dir()] == []
    assert cache.entry("thing", "k1", write, about="1 s").is_dir()


def test_what_a_killed_maker_left_is_removed_by_the_next_one(own_cache):
    own_cache.mkdir(parents=True)
    (own_cache / ".thing-left").mkdir()
    cache.entry("thing", "k1", write, about="1 s")
    assert not (own_cache / ".thing-left").exists()


def make_slowly(counter):
    def make(place):
        with counter.get_lock():
            counter.value += 1
        time.sleep(0.3)
        write(place)

    assert (cache.entry("thing", "k1", make, about="1 s") / "file").read_text() == "made"


def test_processes_that_want_the_same_entry_at_once_make_it_once(own_cache):
    context = multiprocessing.get_context("fork")
    counter = context.Value("i", 0)
    workers = [context.Process(target=make_slowly, args=(counter,)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert [worker.exitcode for worker in workers] == [0, 0, 0, 0]
    assert counter.value == 1


def test_an_old_entry_goes_when_a_new_one_is_made_and_nobody_has_used_it_for_a_month():
    old, used = cache.key("old"), cache.key("used")
    for key in (old, used):
        cache.entry("thing", key, write, about="1 s")
    month_ago = time.time() - cache.UNUSED_S - 60
    for key in (old, used):
        os.utime(cache.directory() / f"thing-{key}", (month_ago, month_ago))
    cache.entry("thing", used, write, about="1 s")  # asking for it is using it
    cache.entry("thing", cache.key("new"), write, about="1 s")
    assert not (cache.directory() / f"thing-{old}").exists()
    assert (cache.directory() / f"thing-{used}").exists()


def test_a_key_tells_apart_what_only_concatenates_to_the_same(tmp_path):
    file = tmp_path / "go.mod"
    file.write_text("a")
    keys = [cache.key("ab", "c"), cache.key("a", "bc"), cache.key("abc"), cache.key(file), cache.key("go.moda")]
    assert len(set(keys)) == len(keys)


def test_a_key_follows_the_content_of_a_file(tmp_path):
    file = tmp_path / "go.mod"
    file.write_text("go 1.24")
    before = cache.key(file)
    assert cache.key(file) == before
    file.write_text("go 1.25")
    assert cache.key(file) != before


def test_progress_in_a_log_has_a_line_at_the_start_meanwhile_and_at_the_end():
    stream = io.StringIO()
    with progress.progress("building x (about 5 min)", stream, interval_s=0.01):
        while stream.getvalue().count("\n") < 3:
            time.sleep(0.01)
    lines = stream.getvalue().splitlines()
    assert lines[0] == lines[1] == "building x (about 5 min) … 0:00"
    assert lines[-1] == "building x (about 5 min) … 0:00 done"


def test_progress_says_that_the_work_failed():
    stream = io.StringIO()
    with pytest.raises(ValueError, match="broken"), progress.progress("building x", stream):
        raise ValueError("broken")
    assert stream.getvalue().endswith("building x … 0:00 failed\n")


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (45.9, "0:45"), (60, "1:00"), (605, "10:05")])
def test_durations_are_minutes_and_seconds(seconds, shown):
    assert progress.clock(seconds) == shown
