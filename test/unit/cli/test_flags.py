import os
import signal

import pytest

from cri_resmgr.cli import flags, goflags
from cri_resmgr.cli.flags import Flags
from cri_resmgr.config.settings import LoggerSettings
from cri_resmgr.errors import BadInput

# The predecessor's flags with their defaults, from the core specification §1.1 and §10.3; a default of ours that
# differs stands in DIFFERENT with its reason.
PREDECESSOR = {
    "runtime-socket": "/var/run/containerd/containerd.sock",
    "image-socket": "default",
    "relay-socket": "/var/run/cri-resmgr/cri-resmgr.sock",
    "relay-dir": "/var/lib/cri-resmgr",
    "allow-untested-runtimes": False,
    "agent-socket": "/var/run/cri-resmgr/cri-resmgr-agent.sock",
    "config-socket": "/var/run/cri-resmgr/cri-resmgr-config.sock",
    "fallback-config": "",
    "force-config": "",
    "force-config-signal": "SIGHUP",
    "reset-config": False,
    "reset-policy": False,
    "disable-policy-switch": False,
    "metrics-interval": 0,
    "rebalance-interval": 0,
    "disable-ui": False,
    "host-root": "",
    "pid-file": "/var/run/cri-resmgr.pid",
    "print-config": False,
    "list-policies": False,
    "version": False,
    "cgroup-mount": "/sys/fs/cgroup",
    "cgroup-v2-dir": "/sys/fs/cgroup/unified",
    "kubelet-cgroup-root": "",
    "cgroup-path": "/sys/fs/cgroup",
    "bpf-install-path": "/usr/libexec/bpf",
    "external-visualizers": "",
    "v": 0,
    "vmodule": "",
    "logtostderr": True,
    "alsologtostderr": False,
    "stderrthreshold": "2",
    "log_dir": "",
    "log_file": "",
    "log_file_max_size": 1800,
    "skip_headers": False,
    "skip_log_headers": False,
    "add_dir_header": False,
    "one_output": False,
    "log_backtrace_at": "",
    "logger": "fmt",
    "logger-level": "info",
    "logger-sources": "",
    "logger-debug": "",
}
DIFFERENT = {
    "agent-socket": "disabled",  # the agent comes to us
    "bpf-install-path": "",  # nothing is installed there by us
    "stderrthreshold": "ERROR",  # 2, by name
}
OURS = {"metrics-address": "", "page-address": "", "call-budget": 2.0}


def read(*arguments, **environment):
    form, words = flags.parse(arguments, environment)
    assert words == ()
    return flags.checked(form)


def refusal(*arguments):
    with pytest.raises(BadInput) as caught:
        read(*arguments)
    return str(caught.value)


def test_every_flag_of_the_predecessor_is_there_with_its_default_and_no_other_but_ours():
    assert {flag.name: flag.default for flag in goflags.flags_of(Flags).values()} == PREDECESSOR | DIFFERENT | OURS


def test_a_daemon_can_run_without_any_flag():
    form = read()
    assert form.image_socket == form.runtime_socket == "/var/run/containerd/containerd.sock"
    assert form.reload_signal is None


def test_the_command_lines_of_the_seed_are_taken():
    form = read("--force-config", "f.cfg", "--runtime-socket", "unix:///var/run/crio/crio.sock", "--logger-debug", "*")
    assert form.runtime_socket == form.image_socket == "/var/run/crio/crio.sock"
    assert (form.force_config, form.logger_debug) == ("f.cfg", "*")


def test_sockets_lose_their_scheme():
    form = read("-relay-socket=unix:///a", "-runtime-socket", "unix:///b", "--image-socket", "unix:///c")
    assert (form.relay_socket, form.runtime_socket, form.image_socket) == ("/a", "/b", "/c")


def test_a_dash_serves_no_images():
    assert not read("--image-socket", "-").image_socket


def test_there_is_nothing_to_do_without_a_runtime():
    assert "flag -runtime-socket: there is nothing to relay to" in refusal("--runtime-socket", "-")


@pytest.mark.parametrize("name", ["relay-socket", "runtime-socket", "image-socket"])
@pytest.mark.parametrize("value", ["x.sock", "unix://x.sock", "unix:/x", "tcp://1.2.3.4", ""])
def test_a_socket_that_is_not_absolute_is_refused(name, value):
    assert f"flag -{name}: '{value}' is not absolute" in refusal(f"--{name}={value}")


def test_a_socket_path_that_the_kernel_cannot_bind_is_refused():
    assert "longer than the 107 bytes" in refusal("--relay-socket", "/" + "x" * 107)
    assert read("--relay-socket", "/" + "x" * 106).relay_socket


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("-agent-socket=/var/run/cri-resmgr/cri-resmgr-agent.sock", "the agent uses -config-socket"),
        ("-external-visualizers=/x", "there is one page, and it is built in"),
        ("-bpf-install-path=/x", "it comes with AVX-512 accounting"),
    ],
)
def test_what_a_later_version_brings_is_refused_with_the_reason(argument, reason):
    said = refusal(argument)
    assert said.startswith(f"flag {argument.partition('=')[0]}=")
    assert said.endswith(f"not in this version, {reason}; leave the flag out")


@pytest.mark.parametrize(
    "argument",
    [
        "-agent-socket=disabled",
        "-agent-socket=",
        "-rebalance-interval=0",
        "-rebalance-interval=0s",
        "-external-visualizers=",
        "-bpf-install-path=/usr/libexec/bpf",
        "-metrics-interval=5s",
        "-disable-ui",
        "-cgroupv2-path=/x",
        "-kubelet-cgroup-root=/x",
        "-vmodule=a=1",
    ],
)
def test_off_values_and_flags_without_effect_are_taken(argument):
    assert isinstance(read(argument), Flags)


def test_everything_that_is_wrong_is_said_at_once():
    said = refusal("-agent-socket=/x", "-relay-dir=here", "-host-root=x", "-logger=yaml", "-call-budget=0").splitlines()
    assert [line.split(":")[0] for line in said] == [
        "flag -agent-socket=/x",
        "flag -call-budget",
        "flag -relay-dir",
        "flag -host-root",
        "flag -logger",
    ]


def test_forced_and_fallback_configuration_exclude_each_other():
    assert "exclude each other" in refusal("-force-config=a", "-fallback-config=b")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("-force-config=f",), signal.SIGHUP),
        (("-force-config=f", "-force-config-signal=SIGUSR2"), signal.SIGUSR2),
        (("-force-config=f", "-force-config-signal="), None),
        (("-force-config=f", "-force-config-signal=Disabled"), None),
        (("-fallback-config=f",), None),
    ],
)
def test_the_signal_that_reads_again_is_armed_with_a_forced_configuration_only(arguments, expected):
    assert read(*arguments).reload_signal is expected


@pytest.mark.parametrize("name", ["HUP", "SIGNOPE", "1"])
def test_an_unknown_signal_is_refused(name):
    assert f"'{name}' is no signal" in refusal(f"-force-config-signal={name}")


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGUSR1"])
def test_a_signal_with_another_meaning_is_refused(name):
    assert "means something else already" in refusal(f"-force-config-signal={name}")


def test_without_root_the_pid_file_is_in_tmp_unless_named(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert read().pid_file == "/tmp/cri-resmgr.pid"
    assert read("-pid-file=/run/mine.pid").pid_file == "/run/mine.pid"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert read().pid_file == "/var/run/cri-resmgr.pid"
    assert read("-pid-file=").pid_file == "/var/run/cri-resmgr.pid"


@pytest.mark.parametrize(("given", "budget_s"), [("1.5s", 1.5), ("300ms", 0.3), ("1h2m", 3720)])
def test_the_budget_of_a_call_is_a_go_duration(given, budget_s):
    assert read("-call-budget", given).call_budget_s == pytest.approx(budget_s)


@pytest.mark.parametrize("address", ["0.0.0.0:80", "10.0.0.1:8891", "node:8891", "nonsense", "127.0.0.1:0"])
@pytest.mark.parametrize("flag", ["-metrics-address", "-page-address"])
def test_metrics_and_page_are_for_this_machine_only(flag, address):
    assert f"flag {flag}: " in refusal(f"{flag}={address}")


def test_metrics_and_page_cannot_have_one_address():
    assert "each needs an address of its own" in refusal("-metrics-address=:8891", "-page-address=:8891")


@pytest.mark.parametrize("address", ["", "unix:///run/m.sock", "127.0.0.1:8891", ":8891", "localhost:1", "[::1]:2"])
def test_local_addresses_for_metrics_are_taken(address):
    assert read(f"-metrics-address={address}").metrics_address == address


def test_the_environment_gives_defaults_as_it_did():
    form = read(LOGGER_DEBUG="policy", LOGGER_V="5", LOGGER_SKIP_HEADERS="true", HTTP_ENDPOINT="127.0.0.1:1")
    assert (form.logger_debug, form.v, form.skip_headers, form.metrics_address) == ("policy", 5, True, "127.0.0.1:1")


def test_logging_is_complete_so_that_a_configuration_can_go_over_it():
    logging = read("-v=4", "-logtostderr=false", "-log_dir=/var/log", "-stderrthreshold=1").logging
    assert logging == LoggerSettings(
        backend="fmt",
        level="info",
        debug="",
        sources="",
        log_source=True,
        skip_headers=False,
        verbosity=4,
        to_stderr=False,
        also_to_stderr=False,
        stderr_threshold="warning",
        file="/var/log/cri-resmgr.log",
    )
    assert LoggerSettings(debug="*").over(logging).debug == "*"
    assert LoggerSettings(debug="*").over(logging).verbosity == 4


def test_a_log_without_a_place_is_refused():
    assert "-log_file or -log_dir must say where to" in refusal("-logtostderr=false")


@pytest.mark.parametrize("argument", ["-stderrthreshold=4", "-logger-level=loud", "-logger-debug=maybe:x"])
def test_wrong_words_about_logging_are_refused(argument):
    assert f"flag {argument.partition('=')[0]}: " in refusal(argument)


@pytest.mark.parametrize(
    ("arguments", "socket"),
    [
        ((), "/var/run/cri-resmgr/cri-resmgr-config.sock"),
        (("-relay-socket=/srv/r.sock",), "/srv/cri-resmgr-config.sock"),
        (("-relay-socket=/srv/r.sock", "-config-socket=unix:///x/c.sock"), "/x/c.sock"),
        (("-config-socket=disabled",), ""),
        (("-config-socket=",), ""),
    ],
)
def test_the_agents_socket_is_beside_the_kubelets_unless_said_otherwise(arguments, socket):
    assert read(*arguments).config_socket == socket
