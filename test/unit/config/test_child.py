import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cri_resmgr.config import check, child, scanning
from cri_resmgr.config.settings import Settings
from cri_resmgr.errors import BadInput, Degraded

DEADLINE_S = 60.0  # generous: it must pass on a busy machine


@pytest.fixture(name="config")
def make_config(tmp_path):
    return tmp_path / "x.cfg"


def running(program: str) -> tuple[str, ...]:
    """A child that does something else; the path of the configuration is its last argument."""
    return (sys.executable, "-c", program)


async def read(path, **more):
    return await child.read(str(path), **{"deadline_s": DEADLINE_S, **more})


async def test_a_right_file_gives_settings(config):
    config.write_text("dump: {Config: 'full:.*'}\n")
    settings = await read(config)
    assert settings.dump.rules == "full:.*"
    assert settings.source == str(config)


async def test_a_wrong_file_gives_every_problem_with_its_place(config):
    config.write_text("polcy: {}\ndump: {Debug: 3}\n")
    with pytest.raises(BadInput) as caught:
        await read(config)
    first, second = str(caught.value).splitlines()
    assert first == f"{config}: line 1: polcy: unknown key; did you mean policy?"
    assert second.startswith(f"{config}: line 2: dump.Debug: 3 will not do")


async def test_a_relative_path_is_found_from_here(config, monkeypatch):
    config.write_text("policy: {Active: none}\n")
    monkeypatch.chdir(config.parent)
    assert (await read(config.name)).policy.active == "none"


async def test_a_path_that_looks_like_a_flag_is_a_path(tmp_path, monkeypatch):
    (tmp_path / "-output").write_text("policy: {}\n")
    monkeypatch.chdir(tmp_path)
    assert (await read("-output")).policy.active == "none"


async def test_a_missing_file_is_bad_input(config):
    with pytest.raises(BadInput, match="cannot be read: No such file or directory"):
        await read(config)


async def test_a_file_without_end_is_bad_input():
    with pytest.raises(BadInput, match="larger than"):
        await read("/dev/zero")


async def test_a_text_that_nests_without_end_is_bad_input_and_hurts_only_the_child(config):
    config.write_text("[" * (scanning.LIMIT_BYTES // 2))
    with pytest.raises(BadInput, match=r"make it (smaller|flatter)|not YAML"):
        await read(config)


async def test_an_unfolding_text_is_bad_input(config):
    levels = [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 99)}]" for level in range(1, 6)]
    config.write_text("\n".join(["a0: &a0 [1]", *levels]))
    with pytest.raises(BadInput, match="with its aliases followed"):
        await read(config)


async def test_a_megabyte_of_configuration_is_read_within_the_limits(config):
    names = [f"handler-{number:05d}" for number in range(45_000)]
    text = f"policy:\n  PinnableRuntimeHandlers: [{', '.join(names)}]\n"
    config.write_text(text + "#" * (scanning.LIMIT_BYTES - len(text)))
    assert (await read(config)).policy.pinnable_handlers == tuple(names)


async def test_a_megabyte_of_mistakes_is_told_within_the_limits(config):
    config.write_text("\n".join(f"k{number}: 1" for number in range(24_000)))
    with pytest.raises(BadInput, match="has 23950 more problems than those shown"):
        await read(config)


async def test_a_file_that_never_comes_ends_at_the_deadline(config):
    os.mkfifo(config)
    with pytest.raises(Degraded, match=r"x\.cfg: not read within 0\.5 s; is it on a file system that hangs"):
        await read(config, deadline_s=0.5)


async def test_a_child_that_writes_without_end_ends_at_the_deadline(config):
    with pytest.raises(Degraded, match="not read within"):
        await read(config, deadline_s=2.0, command=running("while True: print('x' * 65536)"))


async def test_a_cancelled_reader_leaves_no_child_behind(config, tmp_path):
    pid_file = tmp_path / "pid"
    program = f"import os, time; os.symlink(str(os.getpid()), {str(pid_file)!r}); time.sleep(600)"
    reading = asyncio.create_task(read(config, command=running(program)))
    async with asyncio.timeout(DEADLINE_S):
        while not pid_file.is_symlink():
            await asyncio.sleep(0.01)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    with pytest.raises(ProcessLookupError):
        os.kill(int(str(pid_file.readlink())), 0)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGXCPU)", "needs more than 8 s or 512 MiB"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "needs more than 8 s or 512 MiB"),
        ("raise MemoryError", "needs more than 8 s or 512 MiB"),
    ],
)
async def test_a_child_that_hits_its_limits_says_that_the_file_is_too_much(config, program, message):
    with pytest.raises(BadInput, match=message):
        await read(config, command=running(program))


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("raise SystemExit(1)", "failed with status 1: no word"),
        ("import sys; sys.exit('first\\nlast word')", "failed with status 1: last word"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "failed with status -15"),
        ("print('{}')", "answers what nobody understands"),
        ("print('rubbish')", "answers what nobody understands"),
        ("raise SystemExit(2)", "answers what nobody understands"),
        ("print('x' * (20 << 20))", "answers what nobody understands"),
        ("import sys; sys.stderr.write('x' * (20 << 20)); sys.exit(3)", "failed with status 3: x"),
    ],
)
async def test_a_child_that_fails_otherwise_is_our_fault_and_not_the_files(config, program, message):
    with pytest.raises(Degraded, match=message):
        await read(config, command=running(program))


async def test_a_child_that_cannot_be_started_is_our_fault(config):
    with pytest.raises(Degraded, match="cannot be started"):
        await read(config, command=("/nonexistent/python",))


async def test_the_child_hears_nothing_that_systemd_says_to_the_daemon(config, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/notify")
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("OTHER", "stays")
    program = (
        "import json, os, sys; print(json.dumps({'problems': [str(sorted(set(os.environ) & "
        "{'NOTIFY_SOCKET', 'LISTEN_FDS', 'OTHER'}))]})); sys.exit(2)"
    )
    with pytest.raises(BadInput, match=r"^\['OTHER'\]$"):
        await read(config, command=running(program))


def test_reading_by_a_child_imports_neither_yaml_nor_pydantic():
    program = (
        "import sys, cri_resmgr.config.child, cri_resmgr.cli.flags, cri_resmgr.observe.logging, json; "
        "print(json.dumps([name for name in ('yaml', 'pydantic', 'pydantic_core') if name in sys.modules]))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert json.loads(answer.stdout) == []


async def test_the_default_configuration_reads_as_the_built_in_one(config):
    config.write_text("")
    settings = await read(config)
    assert settings.policy == Settings().policy
    assert Path(settings.source) == config


# -- the data of a ConfigMap

SOURCE = "kube-system/cri-resmgr-config.default"


async def read_sections(data, **more):
    return await child.read_sections(data, SOURCE, **{"deadline_s": DEADLINE_S, **more})


async def test_sections_give_the_settings_that_they_give_in_process():
    data = {"policy": "Active: none\n", "dump": "Config: 'full:.*'", "logger": "# nothing\n"}
    assert await read_sections(data) == check.settings_of_sections(data, SOURCE)


async def test_no_sections_are_the_defaults():
    settings = await read_sections({})
    assert (settings.policy.active, settings.source) == ("none", SOURCE)
    assert settings.digest


async def test_wrong_sections_are_all_told():
    with pytest.raises(BadInput) as caught:
        await read_sections({"polcy": "", "dump": "Debug: 3"})
    first, second = sorted(str(caught.value).splitlines())
    assert first.startswith(f"{SOURCE}: line 1 of dump: dump.Debug: 3 will not do")
    assert "polcy: unknown key; did you mean policy?" in second


async def test_a_megabyte_of_sections_passes_through_the_pipe():
    data = {"policy": "Active: none\n", "dump": "# " + "é" * 200_000}
    assert (await read_sections(data)).policy.active == "none"
    with pytest.raises(BadInput, match="larger than"):
        await read_sections({"dump": "#" * (scanning.LIMIT_BYTES + 1)})


async def test_a_child_that_does_not_read_its_input_is_told_by_its_status():
    with pytest.raises(Degraded, match="failed with status 3"):
        await read_sections({"dump": "#" * (1 << 20)}, command=running("raise SystemExit(3)"))


async def test_a_child_that_reads_for_ever_ends_at_the_deadline():
    hanging = running("import time; time.sleep(600)")
    with pytest.raises(Degraded, match=r"not read within 0\.2 s"):
        await read_sections({"dump": "#" * (1 << 20)}, command=hanging, deadline_s=0.2)
