"""The options of the end-to-end suite: what is wrong is said before anything is started, with exit code 2."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]


def e2e(*options):
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", *options, "test/e2e"]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--kubecfg=/nowhere"], "--kubecfg /nowhere: no such file; give the kubeconfig of a garden"),
        (["--label-filter=enable,nonsense"], "--label-filter nonsense: no such label; there are config, disable,"),
    ],
)
def test_a_bad_value_ends_it_with_2_and_the_remedy(options, complaint):
    done = e2e(*options)
    assert done.returncode == 2
    assert complaint in done.stdout + done.stderr


def test_cases_are_found_by_their_labels():
    done = e2e("--label-filter=faults")
    assert done.returncode == 0
    assert "test_kill_9_of_the_daemon" in done.stdout


def test_without_access_to_the_shoot_cases_that_need_it_are_left_out_and_some_remain():
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rs",
        "--skip-accessing-shoot",
        "-m",
        "not garden_only",
        "test/e2e",
    ]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0
    assert re.search(r"\d+ skipped, \d+ deselected in", done.stdout), "nothing ran"
    assert "--skip-accessing-shoot: needs kubectl in the shoot" in done.stdout
    remain = e2e("-m", "garden_only").stdout
    assert "test_a_broken_configuration_is_refused_with_its_path" in remain
