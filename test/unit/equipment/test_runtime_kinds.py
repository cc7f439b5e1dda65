import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from equipment import runtime_kinds
from equipment.runtime_kinds import CONTAINERD2, CONTAINERD16, CRIO, network
from equipment.stand_ins import PAUSE, stand_ins

ROOT = Path("/tmp/crt-x")
KINDS = pytest.mark.parametrize("kind", [CONTAINERD16, CONTAINERD2, CRIO], ids=lambda kind: kind.name)


@pytest.fixture(autouse=True)
def nothing_is_built(monkeypatch):
    monkeypatch.setattr(runtime_kinds, "tool", lambda name: Path("/built") / name)
    monkeypatch.setattr(runtime_kinds, "_installed", lambda name: Path("/usr/bin") / name)


def files(kind):
    return {name: file.content for name, file in kind.files(ROOT, "127.0.0.1:5000").items()}


def strings(value):
    if isinstance(value, dict | list):
        return [text for each in (value.values() if isinstance(value, dict) else value) for text in strings(each)]
    return [value] if isinstance(value, str) else []


def configuration(kind):
    return next(
        tomllib.loads(text) for name, text in files(kind).items() if re.fullmatch(r"(crio|containerd)\.\w+", name)
    )


@KINDS
def test_every_place_in_a_template_is_filled(kind):
    assert not any(re.search(r"@\w+@", text) for text in files(kind).values())


@KINDS
def test_a_runtime_writes_nowhere_but_below_its_root_and_runs_nothing_of_another_instance(kind):
    absolute = [text for text in strings(configuration(kind)) if text.startswith("/")]
    elsewhere = {text for text in absolute if not text.startswith(f"{ROOT}/")}
    assert elsewhere <= {runtime_kinds.PLUGINS, "/built/pinns", "/usr/bin/conmon"}
    assert len(absolute) > len(elsewhere)


@KINDS
def test_the_pause_image_of_a_runtime_is_one_that_we_make(kind):
    assert PAUSE in strings(configuration(kind))
    assert PAUSE in {name for image in stand_ins() for name in image.names}


@KINDS
def test_every_host_of_our_images_is_mirrored(kind):
    hosts = {name.partition("/")[0] for image in stand_ins() for name in image.names}
    assert hosts == set(runtime_kinds.MIRRORED)
    everything = "".join(f"{name}\n{text}" for name, text in files(kind).items())
    assert all(host in everything for host in hosts)
    assert "127.0.0.1:5000" in everything


@KINDS
def test_a_socket_fits_into_an_address(kind):
    root = Path("/tmp") / f"crt-{kind.name}-12345678"
    longest = max(len(text) for text in strings(configuration(kind)) if text.endswith(".sock"))
    assert longest + len(str(root)) - len(str(ROOT)) < 108


def test_the_network_has_its_own_bridge_addresses_and_host_ports():
    bridge, ports = json.loads(network("crt7", "10.196.7.0/24", ROOT))["plugins"]
    assert (bridge["bridge"], bridge["ipam"]["ranges"]) == ("crt7", [[{"subnet": "10.196.7.0/24"}]])
    assert bridge["ipam"]["dataDir"].startswith(str(ROOT))
    assert ports["capabilities"] == {"portMappings": True}


SPEC = {
    "process": {
        "oomScoreAdj": -998,
        "capabilities": {
            "bounding": ["CAP_CHOWN", "CAP_SYS_RESOURCE", "CAP_KILL"],
            "effective": ["CAP_SYS_RESOURCE", "CAP_KILL"],
        },
    }
}


@pytest.fixture
def clamped_runc(tmp_path, monkeypatch):
    """CRI-O's runc, with a runc behind it that shows its arguments."""
    runc = tmp_path / "runc"
    runc.write_text('#!/bin/sh\necho "$@"\n')
    runc.chmod(0o755)
    monkeypatch.setattr(runtime_kinds, "_installed", lambda _: runc)
    clamped = tmp_path / "clamped"
    clamped.write_text(files(CRIO)["runc"])
    clamped.chmod(0o755)
    return clamped


@pytest.mark.parametrize("indent", [None, 2])
def test_a_container_is_given_neither_a_negative_oom_score_nor_a_capability_that_root_lacks(
    clamped_runc, tmp_path, indent
):
    config = tmp_path / "config.json"
    config.write_text(json.dumps(SPEC, indent=indent, separators=(",", ": ")))
    command = [clamped_runc, "--root", "/x", "create", "--bundle", tmp_path, "id"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
    assert done.stdout == f"--root /x create --bundle {tmp_path} id\n"
    assert json.loads(config.read_text()) == {
        "process": {
            "oomScoreAdj": 0,
            "capabilities": {"bounding": ["CAP_CHOWN", "CAP_KILL"], "effective": ["CAP_KILL"]},
        }
    }


@pytest.mark.parametrize("option", [["--process", "{}"], ["-p", "{}"], ["--process={}"]])
def test_an_exec_is_clamped_too(clamped_runc, tmp_path, option):
    process = tmp_path / "process.json"
    process.write_text('{"oomScoreAdj": -997}')
    command = [clamped_runc, "exec", *(each.format(process) for each in option), "id"]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    assert json.loads(process.read_text()) == {"oomScoreAdj": 0}


def test_a_call_without_a_specification_passes(clamped_runc):
    done = subprocess.run([clamped_runc, "state", "id"], check=True, capture_output=True, text=True, timeout=30)
    assert done.stdout == "state id\n"
