import json
import subprocess
import sys
import types

import pytest

from cri_resmgr import __version__
from cri_resmgr.cli import main as main_
from cri_resmgr.errors import BadInput, Degraded, Fatal


@pytest.fixture(name="daemon")
def make_daemon(monkeypatch):
    """The daemon's place, taken by a double that notes its flags and ends as told."""
    double = types.ModuleType("cri_resmgr.cli.daemon")
    double.ran, double.end = [], lambda: 0

    def run(flags):
        double.ran.append(flags)
        return double.end()

    double.run = run
    monkeypatch.setitem(sys.modules, "cri_resmgr.cli.daemon", double)
    monkeypatch.setattr(sys.modules["cri_resmgr.cli"], "daemon", double, raising=False)
    return double


@pytest.fixture(name="command")
def make_command(daemon, capsys):
    def command(*arguments):
        status = main_.main(arguments)
        printed = capsys.readouterr()
        return types.SimpleNamespace(status=status, out=printed.out, err=printed.err, ran=list(daemon.ran))

    return command


def test_without_a_verb_the_daemon_runs_with_checked_flags(command):
    answer = command("-relay-socket", "unix:///run/x.sock")
    assert (answer.status, answer.out, answer.err) == (0, "", "")
    assert [flags.relay_socket for flags in answer.ran] == ["/run/x.sock"]


@pytest.mark.parametrize("word", ["-version", "--version", "--version=true"])
def test_the_version_is_told_in_the_predecessors_form(command, word):
    answer = command(word)
    assert answer.out == f"cri-resmgr version information:\n  - version: {__version__}\n  - build:   unknown\n"
    assert (answer.status, answer.ran) == (0, [])


def test_the_build_is_told_when_the_bundle_knows_it(command, monkeypatch):
    monkeypatch.setenv("CRI_RESMGR_BUILD", "abc123")
    assert "  - build:   abc123\n" in command("-version").out


def test_the_policies_are_listed_in_the_predecessors_form(command):
    answer = command("--list-policies")
    first, *lines = answer.out.splitlines()
    assert first == "Available policies:"
    assert "  * none: No-op policy: containers get what the kubelet asked for." in lines
    assert [line.split()[1] for line in lines] == ["memtier:", "none:", "topology-aware:"]
    assert (answer.status, answer.ran) == (0, [])


def test_the_default_configuration_is_printed(command):
    answer = command("--print-config")
    assert answer.status == 0
    assert "policy:\n  Active: none\n" in answer.out


def test_help_shows_every_flag_and_is_no_error(command):
    answer = command("--help")
    assert answer.status == 0
    assert answer.err.startswith("Usage of cri-resmgr:\n")
    assert "  -runtime-socket string\n" in answer.err


@pytest.mark.parametrize("arguments", [("-nonsense",), ("-relay-dir",), ("-v=x",), ("surprise",)])
def test_a_wrong_command_line_shows_the_usage_and_ends_with_2(command, arguments):
    answer = command(*arguments)
    assert (answer.status, answer.ran) == (2, [])
    problem, usage = answer.err.split("\n", 1)
    assert problem
    assert usage.startswith("Usage of cri-resmgr:\n")


def test_wrong_values_end_with_2_and_a_line_each_without_the_usage(command):
    answer = command("-agent-socket=/x", "-relay-dir=x")
    assert (answer.status, answer.ran) == (2, [])
    assert answer.err.splitlines() == [
        "cri-resmgr: flag -agent-socket=/x: not in this version, the agent uses -config-socket; leave the flag out",
        "cri-resmgr: flag -relay-dir: 'x' is not absolute; write the whole path",
    ]


@pytest.mark.parametrize(("error", "status"), [(BadInput("a\nb"), 2), (Fatal("a\nb"), 1), (Degraded("a\nb"), 1)])
def test_an_error_of_the_daemon_is_told_line_by_line_with_its_exit_code(command, daemon, error, status):
    def end():
        raise error

    daemon.end = end
    answer = command()
    assert (answer.status, answer.err) == (status, "cri-resmgr: a\ncri-resmgr: b\n")


def test_the_daemons_own_exit_code_is_passed_on(command, daemon):
    daemon.end = lambda: 3
    assert command().status == 3


def test_a_configuration_is_checked_for_people(command, tmp_path):
    path = tmp_path / "x.cfg"
    path.write_text("policy: {Active: null}\n")
    answer = command("config", "check", str(path))
    assert answer.out.splitlines() == [
        f"{path}: right, policy none",
        f"{path}: note: policy.Active: 'null' is an old word; taken as none",
    ]
    assert (answer.status, answer.err) == (0, "")


def test_a_wrong_configuration_is_told_for_people(command, tmp_path):
    path = tmp_path / "x.cfg"
    path.write_text("polcy: {}\nnonsense: 1\n")
    answer = command("config", "check", str(path))
    assert (answer.status, answer.out) == (2, "")
    assert answer.err.splitlines()[0] == f"cri-resmgr: {path}: line 1: polcy: unknown key; did you mean policy?"
    assert len(answer.err.splitlines()) == 2


def test_a_configuration_is_checked_for_programs(command, tmp_path):
    path = tmp_path / "x.cfg"
    path.write_text("policy: {Active: none}\n")
    answer = command("config", "check", "-output=json", str(path))
    assert answer.status == 0
    assert json.loads(answer.out)["policy"]["active"] == "none"
    path.write_text("a: 1\nb: 2\n")
    answer = command("config", "check", "--output", "json", str(path))
    assert (answer.status, answer.err) == (2, "")
    assert [line.rpartition(str(path))[2][:8] for line in json.loads(answer.out)["problems"]] == [
        ": line 1",
        ": line 2",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("config",), "config does one of check, explain, schema; write"),
        (("config", "chekc"), "config does one of check, explain, schema; write"),
        (("config", "explain"), "config explain takes one key"),
        (("config", "explain", "a", "b"), "config explain takes one key"),
        (
            ("config", "explain", "policy.Actve"),
            "'policy.Actve' is no key of a configuration; did you mean policy.Active?",
        ),
        (("config", "explain", "Active", "-config", "/nonexistent"), "/nonexistent: cannot be read"),
        (("config", "schema", "policy"), "config schema takes nothing"),
        (("config-help", "polcy"), "'polcy' is no section; did you mean policy?"),
        (("help", "-x"), "flag provided but not defined: -x"),
        (("config", "check"), "config check takes one file"),
        (("config", "check", "a", "b"), "config check takes one file"),
        (("config", "check", "-output", "xml", "a"), "config check takes one file"),
        (("-v=4", "config", "check", "a"), "flags before 'config' are the daemon's"),
        (("config", "check", "/nonexistent"), "/nonexistent: cannot be read"),
    ],
)
def test_a_wrong_use_of_config_is_refused(command, arguments, message):
    answer = command(*arguments)
    assert answer.status == 2
    assert message in answer.err


def test_a_wrong_flag_of_config_check_shows_its_own_usage(command):
    answer = command("config", "check", "-nonsense")
    assert answer.status == 2
    assert answer.err.startswith("flag provided but not defined: -nonsense\nUsage of cri-resmgr config check:\n")
    assert command("config", "check", "-h").err.startswith("Usage of cri-resmgr config check:\n")


@pytest.mark.parametrize("verb", ["config-help", "help"])
def test_sections_are_described_by_both_of_the_predecessors_words(command, verb):
    answer = command(verb, "topology-aware", "dump")
    assert (answer.status, answer.err, answer.ran) == (0, "", [])
    assert [line for line in answer.out.splitlines() if "full path" in line] == [
        "  full path: policy.topology-aware",
        "  full path: dump",
    ]


def test_the_schema_is_printed(command):
    answer = command("config", "schema")
    assert (answer.status, answer.err) == (0, "")
    assert "policy" in json.loads(answer.out)["properties"]


@pytest.mark.parametrize("words", [("-config", "FILE", "Active"), ("Active", "--config=FILE")])
def test_a_key_is_explained_with_the_place_where_a_file_says_it(command, tmp_path, words):
    path = tmp_path / "x.cfg"
    path.write_text("policy:\n  Active: none\n")
    answer = command("config", "explain", *(word.replace("FILE", str(path)) for word in words))
    assert (answer.status, answer.err) == (0, "")
    assert answer.out.splitlines()[0] == "policy.Active"
    assert answer.out.splitlines()[-1] == f"  set:     {path} line 2: none"


def test_a_key_is_not_looked_for_in_a_wrong_file(command, tmp_path):
    path = tmp_path / "x.cfg"
    path.write_text("polcy:\n")
    answer = command("config", "explain", "Active", "-config", str(path))
    assert (answer.status, answer.out) == (2, "")
    assert answer.err == f"cri-resmgr: {path}: line 1: polcy: unknown key; did you mean policy?\n"


def run_python(program):
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


def test_the_version_needs_none_of_the_large_modules():
    loaded = run_python(
        "import sys; from cri_resmgr.cli.main import main; main(['--version']); print([m for"
        " m in ('asyncio', 'structlog', 'yaml', 'pydantic', 'google.protobuf', 'sqlite3') if m in sys.modules])"
    )
    assert loaded.splitlines()[-1] == "[]"


def test_a_limited_check_limits_its_own_process(tmp_path):
    path = tmp_path / "x.cfg"
    path.write_text("policy: {}\n")
    limits = run_python(
        "import resource; from cri_resmgr.cli.main import main; "
        f"main(['config', 'check', '--limited', {str(path)!r}]); "
        "print([resource.getrlimit(getattr(resource, 'RLIMIT_' + n))[0] for n in ('AS', 'CPU', 'FSIZE', 'CORE')])"
    )
    assert limits.splitlines()[-1] == str([512 << 20, 8, 4 << 20, 0])
