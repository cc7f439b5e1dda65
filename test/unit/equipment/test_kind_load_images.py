"""hacks/kind-load-images.sh against stand-ins of kind and docker that write down what they are called with."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "hacks" / "kind-load-images.sh"
STAND_IN = """\
#!/bin/sh
echo "${0##*/} $*" >>"$CALLS"
[ "$1 $2" != "get clusters" ] || echo gardener-local
"""


@pytest.fixture
def called(tmp_path):
    """Run it with these programs in place of the real ones: exit code, errors, and the calls that it made."""

    def call(*arguments, programs=("kind", "docker")):
        directory, calls = tmp_path / "bin", tmp_path / "calls"
        directory.mkdir()
        for name in programs:
            (directory / name).write_text(STAND_IN)
            (directory / name).chmod(0o755)
        for name in ("bash", "dirname", "grep", "sed", "git", "uname", "mktemp", "rm", "basename", "cat", "env", "sh"):
            (directory / name).symlink_to(str(shutil.which(name)))
        environment = {"PATH": str(directory), "CALLS": str(calls), "HOME": os.environ["HOME"], "TAG": "v1"}
        done = subprocess.run(
            [SCRIPT, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        return done.returncode, done.stderr, calls.read_text().splitlines() if calls.exists() else []

    return call


def test_each_image_is_built_and_loaded_into_the_cluster(called):
    code, errors, calls = called()
    assert code == 0, errors
    names = ["", "-installation", "-agent", "-webhook"]
    wanted = [f"localhost:5001/gardener-extension-cri-resmgr{name}:v1" for name in names]
    built = [call.split()[call.split().index("--tag") + 1] for call in calls if call.startswith("docker buildx build")]
    assert built == wanted
    loaded = [call for call in calls if call.startswith("kind load")]
    assert loaded == [f"kind load docker-image --name gardener-local {name}" for name in wanted]


def test_a_cluster_that_is_not_there_is_told_before_anything_is_built(called):
    code, errors, calls = called("other")
    assert code == 2
    assert "no kind cluster 'other'" in errors
    assert calls == ["kind get clusters"]


@pytest.mark.parametrize("missing", ["kind", "docker"])
def test_without_its_programs_it_says_which(called, missing):
    code, errors, calls = called(programs=[name for name in ("kind", "docker") if name != missing])
    assert code == 2
    assert f"there is no {missing} here; install it" in errors
    assert calls == []
