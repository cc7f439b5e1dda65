"""Programs of Kubernetes that the machine has, for those who do not insist on ours."""

from pathlib import Path

import pytest

from equipment import found

NAMES = ("kube-apiserver", "kubectl", "kubelet")


@pytest.fixture
def wanted(monkeypatch):
    monkeypatch.setenv(found.WANTED, "1")
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


def programs(place: Path, version: str, names=NAMES) -> Path:
    """Of that version: each says it in the words of the real one."""
    place.mkdir()
    for name in names:
        word = "Client Version:" if name == "kubectl" else "Kubernetes"
        asked = "version" if name == "kubectl" else "--version"
        script = place / name
        script.write_text(f'#!/bin/sh\n[ "$1" = {asked} ] || exit 1\necho "{word} {version}"\n')
        script.chmod(0o755)
    return place


def test_a_directory_of_the_path_with_all_of_them_is_taken(wanted, monkeypatch, tmp_path):
    place = programs(tmp_path / "bin", "v1.34.9")
    monkeypatch.setenv("PATH", f"/usr/bin:/bin:{place}")
    assert found.directory(NAMES, version="v1.34.4") == place


def test_the_place_of_envtest_comes_first(wanted, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", f"{programs(tmp_path / 'bin', 'v1.34.9')}:/bin")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(programs(tmp_path / "assets", "v1.34.1")))
    assert found.directory(NAMES, version="v1.34.4") == tmp_path / "assets"


@pytest.mark.parametrize("version", ["v1.3.4", "v1.340.1", "v1.35.0", ""])
def test_another_minor_version_will_not_do(wanted, monkeypatch, tmp_path, version):
    monkeypatch.setenv("PATH", f"{programs(tmp_path / 'bin', version)}:/bin")
    assert found.directory(NAMES, version="v1.34.4") is None


def test_some_of_them_will_not_do(wanted, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", f"{programs(tmp_path / 'bin', 'v1.34.4', NAMES[:2])}:/bin")
    assert found.directory(NAMES, version="v1.34.4") is None


def test_a_program_that_cannot_be_run_will_not_do(wanted, monkeypatch, tmp_path):
    place = programs(tmp_path / "bin", "v1.34.4")
    (place / "kubelet").write_bytes(b"\x7fELF of another machine")
    monkeypatch.setenv("PATH", f"{place}:/bin")
    assert found.directory(NAMES, version="v1.34.4") is None


def test_nothing_is_looked_for_unless_somebody_wants_it(monkeypatch, tmp_path):
    monkeypatch.delenv(found.WANTED, raising=False)
    monkeypatch.setenv("PATH", f"{programs(tmp_path / 'bin', 'v1.34.4')}:/bin")
    assert found.directory(NAMES, version="v1.34.4") is None
