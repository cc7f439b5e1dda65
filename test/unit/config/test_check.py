import io
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from cri_resmgr.config import check, defaults, dumprules, texts
from cri_resmgr.config.problems import Invalid
from cri_resmgr.config.settings import (
    CpuConstraint,
    DumpSettings,
    InstrumentationSettings,
    LoggerSettings,
    PolicySettings,
    Settings,
)
from cri_resmgr.errors import BadInput

# The predecessor's cri-full-message-dump.cfg in our words, and the seed's fallback with the policy of this version.
FULL_MESSAGE_DUMP = "policy:\n  Active: none\ndump:\n  Config: full:.*,debug\n"
SEED_FALLBACK = """\
### This is default policy from CRI-resource-manage fallback.cfg.sample
policy:
  Active: none
  ReservedResources:
    CPU: 750m
logger:
  Debug: resource-manager,cache,policy,resource-control
dump:
  Config: off:.*,full:((Create)|(Remove)|(Run)|(Update)|(Start)|(Stop)).*
"""


def settings(text):
    return check.settings(text, "x.cfg")


def problems(text):
    with pytest.raises(Invalid) as caught:
        settings(text)
    return [str(problem) for problem in caught.value.problems]


def test_no_configuration_and_an_empty_one_mean_the_same():
    empty = settings("")
    assert (empty.policy, empty.logger, empty.dump, empty.instrumentation, empty.notes) == (
        Settings().policy,
        Settings().logger,
        Settings().dump,
        Settings().instrumentation,
        (),
    )


def test_the_predecessors_message_dump_sample_is_taken():
    assert settings(FULL_MESSAGE_DUMP).dump == DumpSettings(rules="full:.*,debug")


def test_the_seeds_fallback_is_taken():
    given = settings(SEED_FALLBACK)
    assert given.policy == PolicySettings(active="none", reserved=CpuConstraint(millicpu=750))
    assert given.logger == LoggerSettings(debug="resource-manager,cache,policy,resource-control")
    assert given.notes == ()


def test_a_whole_configuration_becomes_plain_values():
    given = settings("""
policy: {Active: none, AvailableResources: {CPU: "cpuset:0-15"}}
resource-manager: {onPolicyError: reject, driftScanInterval: 1m}
logger:
  Level: Warning
  Debug: "*"
  Enable: {relay: false, policy: true}
  LogSource: false
  Logger: json
  Klog: {v: 4, logtostderr: "false", alsologtostderr: true, stderrthreshold: 1, log_dir: /var/log, skip_headers: true}
dump: {Config: "full:.*", Debug: true, Disabled: true, File: /tmp/dump}
instrumentation: {HTTPEndpoint: "unix:///run/m.sock", PrometheusExport: true}
""")
    assert given.policy == PolicySettings(available=CpuConstraint(cpuset="0-15"))
    assert given.logger == LoggerSettings(
        level="warning",
        debug="*",
        sources="off:relay,on:policy",
        log_source=False,
        backend="json",
        verbosity=4,
        to_stderr=False,
        also_to_stderr=True,
        stderr_threshold="warning",
        file="/var/log/cri-resmgr.log",
        skip_headers=True,
    )
    assert given.dump == DumpSettings(rules="full:.*", debug=True, disabled=True, file="/tmp/dump")
    assert given.instrumentation == InstrumentationSettings("unix:///run/m.sock", prometheus_export=True)
    assert (given.on_policy_error, given.drift_interval_s) == ("reject", 60)


def test_the_options_are_those_of_the_active_policy():
    both = "policy: {Active: %s, topology-aware: {PinCPU: false}, memtier: {ReservedPoolNamespaces: ['infra-*']}}"
    assert settings(both % "none").policy.options == {}
    assert settings(both % "topology-aware").policy.options["pin_cpu"] is False
    options = settings(both % "memtier").policy.options
    assert (options["pin_cpu"], options["reserved_pool_namespaces"]) == (True, ["infra-*"])


def test_a_policys_section_that_says_nothing_is_as_if_it_were_not_there():
    commented_out = "policy:\n  Active: topology-aware\n  topology-aware:\n    # PinCPU: false\n"
    assert settings(commented_out).policy == settings("policy: {Active: topology-aware}").policy


def test_keys_that_only_the_predecessors_documents_know_are_taken_and_told():
    notes = settings("policy.topology-aware: {PageMoveCount: 1000, DirtyBitScanPeriod: 10s}").notes
    assert notes == (
        "policy.topology-aware.DirtyBitScanPeriod: has no effect",
        "policy.topology-aware.PageMoveCount: has no effect",
    )


def test_the_user_says_which_runtimes_bind_their_containers_to_cpus():
    assert settings("").policy.pinnable_handlers == ("", "crun", "runc", "youki")
    assert settings("policy: {PinnableRuntimeHandlers: [runc, kata]}").policy.pinnable_handlers == ("runc", "kata")


def test_settings_know_the_text_they_came_from():
    one, same, other = settings("policy: {}"), settings("policy: {}"), settings("policy: {} ")
    assert one.digest == same.digest != other.digest
    assert len(one.digest) == 64
    assert one.source == "x.cfg"


@pytest.mark.parametrize("section", ["policy", "logger", "dump", "instrumentation", "resource-manager"])
def test_a_section_with_nothing_below_it_is_empty(section):
    assert settings(f"{section}:\n").policy == PolicySettings()


def test_dotted_keys_work_at_any_level():
    assert settings("dump.Config: full:.*\nlogger: {Klog.v: 5}\npolicy.none: {}\nlogger.Klog.skip_headers: true") == (
        Settings(
            logger=LoggerSettings(verbosity=5, skip_headers=True),
            dump=DumpSettings(rules="full:.*"),
            digest=settings(
                "dump.Config: full:.*\nlogger: {Klog.v: 5}\npolicy.none: {}\nlogger.Klog.skip_headers: true"
            ).digest,
            source="x.cfg",
        )
    )


@pytest.mark.parametrize(
    "text",
    ["policy: {none: }", "logger: {Klog: }", "logger.Klog:", "policy: {topology-aware: , memtier: }", "policy.none:"],
)
def test_so_is_a_section_within_a_section(text):
    assert settings(text).policy == PolicySettings()


def test_a_dot_goes_deeper_in_sections_only():
    (said,) = problems("policy: {ReservedResources: {CPU.x: 1}}")
    assert "policy.ReservedResources: 'CPU.x' is no domain; only CPU is" in said


@pytest.mark.parametrize("text", ["policy: {Active: null}", "policy: {Active: 'null'}", "policy: {Active: }"])
def test_the_seeds_policy_null_is_none_and_the_user_is_told(text):
    given = settings(text)
    assert given.policy.active == "none"
    assert given.notes == ("policy.Active: 'null' is an old word; taken as none",)


def test_a_port_without_host_stays_on_this_machine_and_the_user_is_told():
    given = settings("instrumentation:\n  HTTPEndpoint: :8891\n")
    assert given.instrumentation.http_endpoint == ":8891"
    assert given.notes == ("instrumentation.HTTPEndpoint: ':8891' is served on this machine only, 127.0.0.1:8891",)


@pytest.mark.parametrize("period", ["10s", 10**10, 0])
def test_a_report_period_is_taken_and_the_user_is_told_that_it_does_nothing(period):
    assert "has no effect" in settings(f"instrumentation: {{ReportPeriod: {period}}}").notes[0]


@pytest.mark.parametrize(
    "text", ["", "resource-manager:", "resource-manager: {onPolicyError: , driftScanInterval: 10s}"]
)
def test_what_becomes_of_a_container_without_a_decision_is_left_open_and_drift_is_looked_for(text):
    given = settings(text)
    assert (given.on_policy_error, given.drift_interval_s) == ("", 10)
    assert (given.on_policy_error, given.drift_interval_s) == (Settings().on_policy_error, Settings().drift_interval_s)


@pytest.mark.parametrize("never", ["0", "'0'", "0s"])
def test_drift_need_not_be_looked_for(never):
    assert settings(f"resource-manager.driftScanInterval: {never}").drift_interval_s == 0


@pytest.mark.parametrize("off", ["disabled", 0, 0.0, "'0'"])
def test_tracing_that_is_off_is_taken(off):
    assert settings(f"instrumentation: {{Sampling: {off}, JaegerCollector: '', JaegerAgent: ''}}").notes == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "policy: {Active: round-robin}",
            "policy.Active: 'round-robin' is not a policy of this build; known: memtier, none, topology-aware",
        ),
        ("policy: {active: none}", "policy.active: unknown key; did you mean Active?"),
        ("polcy: {}", "polcy: unknown key; did you mean policy?"),
        ("zzz: 1", "zzz: unknown key; known here: policy, resource-manager, logger, dump, instrumentation"),
        ("logger: {Klog: {verbose: 1}}", "logger.Klog.verbose: unknown key; known here: v, vmodule"),
        ("policy: {none: {PinCPU: true}}", "policy.none.PinCPU: unknown key; known here: nothing"),
        ("policy.balloons: {}", "not in this version, it comes with policy balloons; remove it"),
        ("policy.topology-aware: 3", "policy.topology-aware: 3 will not do; write keys and values below it"),
        ("policy.topology-aware: {PinCpu: true}", "policy.topology-aware.PinCpu: unknown key; did you mean PinCPU?"),
        ("policy.memtier: {PinCPU: 1}", "policy.memtier.PinCPU: 1 will not do; write true or false"),
        (
            "policy.memtier: {ReservedPoolNamespaces: [a, '[b']}",
            "policy.memtier.ReservedPoolNamespaces.1: '[b' is no pattern: close its [ and end it with no",
        ),
        (
            f"policy.memtier: {{ReservedPoolNamespaces: [{'a, ' * 257}]}}",
            "policy.memtier.ReservedPoolNamespaces: has more than 256 items; write fewer",
        ),
        ("policy: {PinnableRuntimeHandlers: runc}", "policy.PinnableRuntimeHandlers: 'runc' will not do"),
        ("rdt: {}", "rdt: not in this version, it comes with the RDT controller; remove it"),
        (
            "resource-manager.control: {}",
            "resource-manager.control: not in this version, it comes with the controllers",
        ),
        (
            "resource-manager: {onPolicyError: ignore}",
            "resource-manager.onPolicyError: 'ignore' is no fail policy; write pass or reject, or leave the key out",
        ),
        ("resource-manager: {onPolicyError: ''}", "resource-manager.onPolicyError: '' is no fail policy; write pass"),
        ("resource-manager: {onPolicyError: 1}", "resource-manager.onPolicyError: 1 will not do; write a text"),
        ("resource-manager: {OnPolicyErrors: pass}", "OnPolicyErrors: unknown key; did you mean onPolicyError?"),
        ("resource-manager: {driftScanInterval: 10}", "resource-manager.driftScanInterval: 10 is no duration; write a"),
        ("resource-manager: {driftScanInterval: 5ms}", "resource-manager.driftScanInterval: '5ms' is too short; write"),
        ("resource-manager: {driftScanInterval: soon}", "resource-manager.driftScanInterval: 'soon' is no duration; "),
        ("policy: 3", "policy: 3 will not do; write keys and values below it"),
        ("policy: {Active: [a]}", "policy.Active: a list will not do; write a text"),
        ("policy: {Active: 1}", "policy.Active: 1 will not do; write a text"),
        ("policy: {ReservedResources: {Memory: 1}}", "policy.ReservedResources: 'Memory' is no domain; only CPU is"),
        ("policy: {ReservedResources: 3}", "policy.ReservedResources: 3 will not do; write keys and values below it"),
        ("logger: {LogSource: 'yes'}", "logger.LogSource: 'yes' will not do; write true or false"),
        ("logger: {Level: loud}", "logger.Level: 'loud' is no level"),
        ("logger: {Level: ''}", "logger.Level: '' is no level"),
        ("logger: {Logger: ''}", "logger.Logger: '' is no form of log lines"),
        ("logger: {Logger: xml}", "logger.Logger: 'xml' is no form of log lines; write fmt or json"),
        ("logger: {Debug: on}", "logger.Debug: True will not do; write a text; quote it"),
        ("logger: {Debug: 'maybe:x'}", "logger.Debug: 'maybe:x': 'maybe' is no state"),
        ("logger: {Enable: {relay: 3}}", "logger.Enable: a mapping will not do; write a text"),
        ("logger: {Klog: {v: true}}", "logger.Klog.v: True will not do; write a whole number"),
        ("logger: {Klog: {v: many}}", "logger.Klog.v: 'many' will not do; write a whole number"),
        ("logger: {Klog: {stderrthreshold: 9}}", "logger.Klog.stderrthreshold: '9' is no severity"),
        ("logger: {Klog: {stderrthreshold: true}}", "logger.Klog.stderrthreshold: True will not do; write a text"),
        ("logger: {Klog: {stderrthreshold: ''}}", "logger.Klog.stderrthreshold: '' is no severity"),
        ("logger: {Klog: {log_file: here}}", "logger.Klog.log_file: 'here' is not absolute"),
        ("dump: {Config: 'loud:.*'}", "dump.Config: 'loud:.*': 'loud' is not a level; use off, short or full"),
        ("dump: {config: 'full:.*'}", "dump.config: unknown key; did you mean Config?"),
        ("dump: {File: dump.txt}", "dump.File: 'dump.txt' is not absolute"),
        ("instrumentation: {HTTPEndpoint: '0.0.0.0:80'}", "instrumentation.HTTPEndpoint: '0.0.0.0:80' would be open"),
        ("instrumentation: {Sampling: production}", "instrumentation.Sampling: 'production': tracing is not in this"),
        ("instrumentation: {JaegerAgent: 'x:1'}", "instrumentation.JaegerAgent: 'x:1': tracing is not in this version"),
        ("instrumentation: {ReportPeriod: soon}", "instrumentation.ReportPeriod: 'soon' is no duration"),
    ],
)
def test_what_is_wrong_is_said_with_path_value_and_remedy(text, problem):
    (said,) = problems(text)
    assert said.startswith("line 1: ")
    assert problem in said


def test_everything_that_is_wrong_is_said_at_once_in_the_order_of_lines():
    said = problems("policy:\n  Actve: x\n  Active: y\nlogger:\n  LogSource: 3\nnonsense: 1\ndump: {Config: '('}\n")
    assert [line.split(": ")[:2] for line in said] == [
        ["line 2", "policy.Actve"],
        ["line 3", "policy.Active"],
        ["line 5", "logger.LogSource"],
        ["line 6", "nonsense"],
        ["line 7", "dump.Config"],
    ]


def test_a_message_has_one_line_for_each_problem_with_the_name_of_the_file():
    with pytest.raises(Invalid) as caught:
        settings("a: 1\nb: 2\n")
    assert [line[:14] for line in str(caught.value).splitlines()] == ["x.cfg: line 1:", "x.cfg: line 2:"]


def test_thousands_of_problems_are_not_all_shown():
    said = problems("\n".join(f"k{number}: 1" for number in range(1000)))
    assert len(said) == 51
    assert said[0] == "has 950 more problems than those shown; start with these"


def test_a_long_value_is_shown_by_its_beginning():
    (said,) = problems(f"dump: {{Debug: {'x' * 10_000}}}")
    assert len(said) < 200


def test_the_printed_default_configuration_means_the_default_settings():
    printed = defaults.text()
    given = settings(printed)
    assert (given.policy, given.logger, given.dump, given.instrumentation, given.notes) == (
        PolicySettings(),
        LoggerSettings(),
        DumpSettings(),
        InstrumentationSettings(),
        (),
    )
    assert f"Config: {dumprules.DEFAULT}" in printed
    assert list(texts.load(printed).values) == sorted(texts.load(printed).values)


CONFIG_MAP = {
    "policy": "Active: topology-aware\nReservedResources: {cpu: 750m}\n",
    "policy.topology-aware": "PinCPU: false\n",
    "dump.Config": "full:.*",
    "logger": "# nothing to say\n",
}


def test_a_config_map_means_what_a_file_with_its_sections_means():
    file = settings("""
policy: {Active: topology-aware, ReservedResources: {cpu: 750m}, topology-aware: {PinCPU: false}}
dump: {Config: "full:.*"}
""")
    given = check.settings_of_sections(CONFIG_MAP, "kube-system/cri-resmgr-config.default")
    assert replace(given, digest="", source="") == replace(file, digest="", source="")
    assert given.source == "kube-system/cri-resmgr-config.default"


def test_the_digest_of_a_config_map_is_about_what_it_says_and_not_the_order_of_its_keys():
    def digest(data):
        return check.settings_of_sections(data, "x").digest

    assert digest(CONFIG_MAP) == digest(dict(reversed(CONFIG_MAP.items())))
    assert digest({"policy": "", "logger": ""}) != digest({"policy": ""}) != digest({})


def test_all_that_is_wrong_in_a_config_map_is_said_with_its_key_and_the_line_in_it():
    data = {"policy": "Active: none\nPinCPU: true\n", "polcy": "", "logger": "\nLevel: loud\n", "rdt": "{}"}
    with pytest.raises(Invalid) as caught:
        check.settings_of_sections(data, "cm")
    assert str(caught.value).splitlines() == [
        (
            "cm: line 2 of logger: logger.Level: 'loud' is no level; write one of "
            "debug, info, warning, error, fatal, panic"
        ),
        "cm: line 1 of polcy: polcy: unknown key; did you mean policy?",
        (
            "cm: line 2 of policy: policy.PinCPU: unknown key; known here: Active, AvailableResources, "
            "ReservedResources, PinnableRuntimeHandlers, topology-aware, memtier"
        ),
        "cm: line 1 of rdt: rdt: not in this version, it comes with the RDT controller; remove it",
    ]


def test_a_file_is_read_as_utf8(tmp_path):
    path = tmp_path / "x.cfg"
    path.write_text("# größe\n", encoding="utf-8")
    assert check.read(str(path)) == "# größe\n"


def test_a_dash_reads_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"policy: {}")))
    assert check.read("-") == "policy: {}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe", "byte 0 is not UTF-8; save the file as UTF-8"),
        (b"#" * (texts.LIMIT_BYTES + 1), "larger than 1048576 bytes"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path, content, message):
    path = tmp_path / "x.cfg"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=message):
        check.read(str(path))


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path):
    with pytest.raises(BadInput, match=r"x\.cfg: cannot be read: No such file or directory; name a readable file"):
        check.read(str(tmp_path / "x.cfg"))
    with pytest.raises(BadInput, match="Is a directory"):
        check.read(str(tmp_path))


@pytest.mark.parametrize("text", ["", "[]", '{"policy": {"Active": "none"}}', "policy:", "[" * 100_000])
def test_what_is_no_data_of_a_configmap_is_said(tmp_path, text):
    path = tmp_path / "data.json"
    path.write_text(text)
    with pytest.raises(BadInput, match=r"no JSON|not a ConfigMap's data"):
        check.read_sections(str(path))
