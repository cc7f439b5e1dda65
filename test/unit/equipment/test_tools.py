import re
import subprocess

import pytest

from equipment import Unavailable, cache, machine, tools

GROUPS = {group.name: group for group in tools.GROUPS}


def test_every_program_comes_from_one_group():
    names = [name for group in tools.GROUPS for name in group.provides]
    assert len(names) == len(set(names))
    assert {"kubelet", "kube-apiserver", "kubectl", "containerd", "ctr", "crio", "pinns", "critest"} <= set(names)


@pytest.mark.parametrize("group", tools.GROUPS, ids=lambda group: group.name)
def test_a_stamped_version_is_the_one_that_go_mod_requires(group):
    required = (group.module / "go.mod").read_text()
    for stamp in group.stamps:
        assert stamp.rpartition("=")[2] in required


@pytest.mark.parametrize("group", tools.GROUPS, ids=lambda group: group.name)
def test_every_module_is_verified_by_sums_and_says_nothing_about_proxies(group):
    sums = (group.module / "go.sum").read_text()
    assert sums.count(" h1:") > 100
    assert "://" not in (group.module / "go.mod").read_text()


def test_the_programs_of_kubernetes_are_those_that_its_main_knows():
    known = set(re.findall(r'case "(\S+)":', (GROUPS["kubernetes"].module / "main.go").read_text()))
    assert known == set(GROUPS["kubernetes"].provides)


def test_a_program_that_nothing_builds_is_an_error_that_names_it():
    with pytest.raises(KeyError, match="docker is built by no module"):
        tools.tool("docker")


def test_an_unknown_group_ends_with_2_and_says_which_there_are(capsys):
    with pytest.raises(SystemExit) as error:
        tools.main(["kubernetes", "docker"])
    assert error.value.code == 2
    assert "no group docker; there are kubernetes, containerd, crio, critools" in capsys.readouterr().err


def test_a_list_says_what_is_not_built_and_builds_nothing(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert tools.main(["--list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in listed] == list(GROUPS)
    assert all("not built" in line for line in listed)
    assert list(cache.directory().iterdir()) == []


def test_a_program_is_found_where_its_group_was_built(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    built = []

    def build(group, place):
        built.append(group.name)
        (place / "critest").touch()

    monkeypatch.setattr(tools, "_build", build)
    assert [tools.tool("critest").name, tools.tool("crictl").parent.name] == [
        "critest",
        tools.tool("critest").parent.name,
    ]
    assert built == ["critools"]


def test_a_build_that_fails_shows_the_compilers_last_words(tmp_path):
    with pytest.raises(Unavailable, match=r"sh -c .* failed in .*:\nundefined: x"):
        tools._run(["sh", "-c", "echo undefined: x >&2; exit 1"], tmp_path, {})


def test_a_compiler_that_is_missing_is_named(tmp_path):
    with pytest.raises(Unavailable, match="no-such-compiler is not installed"):
        tools._run(["no-such-compiler"], tmp_path, {})


def fake_go(directory, version):
    go = directory / "go"
    go.write_text(f"#!/bin/sh\necho {version}\n")
    go.chmod(0o755)
    return go


@pytest.mark.parametrize("version", ["go1.24.0", "go1.26.8", "go1.27rc1", "go2.0"])
def test_the_machines_go_is_taken_when_it_is_new_enough(monkeypatch, tmp_path, version):
    go = fake_go(tmp_path, version)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert machine.go(GROUPS["kubernetes"].module) == go


@pytest.mark.parametrize("version", ["go1.19.8", "go1.23.12", ""])
def test_an_old_go_gives_way_to_the_packaged_one(monkeypatch, tmp_path, version):
    fake_go(tmp_path, version)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(machine, "_install_go", lambda _: None)
    found = machine.go(GROUPS["kubernetes"].module)
    assert found.is_relative_to(tmp_path / "cache" / "cri-resmgr")


def test_a_debian_package_that_is_there_is_not_installed_again(monkeypatch):
    monkeypatch.setattr(machine, "_installed", lambda _: True)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("apt was called"))
    machine.ensure_apt("containerd", "runc")


def test_without_root_a_missing_debian_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(machine, "_installed", lambda package: package == "runc")
    monkeypatch.setattr(machine, "is_root", lambda: False)
    with pytest.raises(Unavailable, match="needs conmon, nftables; as root on Debian: apt-get install conmon nftables"):
        machine.ensure_apt("conmon", "runc", "nftables")


def test_old_package_lists_are_renewed_before_an_installation_is_given_up(monkeypatch):
    calls = []

    def apt(*arguments):
        calls.append(arguments[0])
        updated = "update" in calls
        return subprocess.CompletedProcess(arguments, 0 if updated else 100, "", "404")

    monkeypatch.setattr(machine, "_installed", lambda _: False)
    monkeypatch.setattr(machine, "is_root", lambda: True)
    monkeypatch.setattr(machine.shutil, "which", lambda _: "/usr/bin/apt-get")
    monkeypatch.setattr(machine, "_apt", apt)
    machine.ensure_apt("conmon")
    assert calls == ["install", "update", "install"]


def test_a_package_that_cannot_be_installed_says_what_apt_said(monkeypatch):
    monkeypatch.setattr(machine, "_installed", lambda _: False)
    monkeypatch.setattr(machine, "is_root", lambda: True)
    monkeypatch.setattr(machine.shutil, "which", lambda _: "/usr/bin/apt-get")
    failed = subprocess.CompletedProcess([], 100, "", "E: Unable to locate package conmon\n")
    monkeypatch.setattr(machine, "_apt", lambda *_: failed)
    with pytest.raises(Unavailable, match="apt-get install conmon failed:\nE: Unable to locate package conmon"):
        machine.ensure_apt("conmon")
