"""The rig's own parts, without Go."""

import json
import socket
from pathlib import Path

import pytest

from bench import build, rig
from equipment import cache

LINE = {
    "mode": "pod",
    "callers": 2,
    "done": 10,
    "elapsed_s": 0.5,
    "per_s": 20.0,
    "p50_ms": 3.5,
    "p90_ms": 4,
    "p99_ms": 5,
    "max_ms": 6,
    "calls": {"CreateContainer": {"p50_ms": 0.7, "p90_ms": 1, "p99_ms": 2, "max_ms": 3}},
    "calls_made": 70,
    "errors": 0,
}


def test_a_line_of_the_load_generator_is_understood() -> None:
    got = rig.Drive.parse(json.dumps(LINE))
    assert (got.done, got.calls_made, got.per_s, got.p50_ms) == (10, 70, 20.0, 3.5)
    assert got.call_p50_ms == {"CreateContainer": 0.7}
    assert (got.errors, got.first_error) == (0, "")


def test_an_error_of_the_load_generator_is_kept() -> None:
    got = rig.Drive.parse(json.dumps({**LINE, "errors": 2, "first_error": "StopContainer: gone"}))
    assert (got.errors, got.first_error) == (2, "StopContainer: gone")


def test_a_socket_counts_as_served_only_while_somebody_listens(tmp_path: Path) -> None:
    path = tmp_path / "s"
    assert not rig.connects(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        assert not rig.connects(path)
        listener.listen()
        assert rig.connects(path)
    assert path.exists()
    assert not rig.connects(path), "the file that a dead one has left"


def test_the_daemons_command_has_all_its_places_filled() -> None:
    command = rig.DAEMON.format(runtime="/r.sock", relay="/l.sock", dir="/d")
    assert "{" not in command
    assert "--runtime-socket /r.sock --relay-socket /l.sock --relay-dir /d/relay" in command


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("go.mod", "go.sum", "a/main.go", "b/main.go"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    monkeypatch.setattr(build, "MODULE", tmp_path)
    monkeypatch.setattr(cache, "entry", lambda name, digest, _make, about: Path(name, digest, about))
    return tmp_path


@pytest.mark.parametrize("name", ["go.mod", "go.sum", "a/main.go", "b/new.go"])
def test_programs_are_built_anew_when_any_source_has_changed(module: Path, name: str) -> None:
    before = build.programs()
    assert build.programs() == before
    (module / name).write_text("changed")
    assert build.programs() != before


def test_programs_are_built_anew_when_a_source_has_moved(module: Path) -> None:
    before = build.programs()
    (module / "a").rename(module / "z")
    assert build.programs() != before
