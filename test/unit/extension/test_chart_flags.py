"""Whatever the chart says to the process, the process understands."""

import re
from pathlib import Path

import pytest

from cri_resmgr.errors import BadInput
from extension import cli
from extension.flags import parser
from extension.rendering.monitoring import PARTS

DEPLOYMENT = Path("charts/gardener-extension-cri-resmgr/templates/deployment.yaml").read_text()
NAMESPACES = {"EXTENSION_CONFIGMAP_NAMESPACE": "ours", "LEADER_ELECTION_NAMESPACE": "ours"}


def test_every_flag_of_the_chart_is_one():
    flags = set(re.findall(r"- (--[a-z-]+)=", DEPLOYMENT))
    known = {option for action in parser({})._actions for option in action.option_strings}
    assert len(flags) >= 8
    assert flags <= known


def test_every_variable_of_the_chart_is_read():
    sources = "".join(path.read_text() for path in Path("extension").rglob("*.py"))
    for name in re.findall(r"- name: ([A-Z_]+)$", DEPLOYMENT, re.MULTILINE):
        assert name in sources


@pytest.mark.parametrize(
    ("said", "parts"),
    [(",".join(PARTS), PARTS), ("dashboard", ("dashboard",)), ("", ()), (" dashboard , ", ("dashboard",))],
)
def test_monitoring_has_the_parts_that_are_said(said, parts):
    flags = parser(NAMESPACES).parse_args([f"--monitoring={said}"])
    assert cli.settings_of(flags, {}).controller.monitoring == parts


def test_a_part_of_monitoring_that_there_is_not_ends_the_process(capsys):
    with pytest.raises(SystemExit, match="2"):
        parser(NAMESPACES).parse_args(["--monitoring=alerts"])
    assert "there is no 'alerts'; there are scrapeConfig" in capsys.readouterr().err


def test_pull_secrets_that_cannot_be_read_are_bad_input(tmp_path):
    flags = parser(NAMESPACES).parse_args([f"--pull-secrets-directory={tmp_path / 'absent'}"])
    with pytest.raises(BadInput, match="cannot be read"):
        cli.settings_of(flags, {})


def test_what_the_process_writes_to_has_a_place_though_its_root_is_read_only():
    assert "readOnlyRootFilesystem: true" in DEPLOYMENT
    assert "- {name: tmp, mountPath: /tmp}" in DEPLOYMENT
    assert "tempfile" in Path("extension/checking.py").read_text()
