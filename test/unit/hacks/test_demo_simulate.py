"""`make demo-simulate` tells what its sentences promise, with nothing at hand but Python."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def chapters():
    """What is told, by the numbers of the sentences; without a PATH no other program can take part."""
    command = [sys.executable, ROOT / "hacks" / "demo_simulate.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, cwd=ROOT, env={"PATH": ""})
    assert done.stderr == ""
    first, *others = re.split(r"^(\d)\. ", done.stdout, flags=re.MULTILINE)
    assert first.strip() == ""
    return dict(zip(map(int, others[::2]), others[1::2], strict=True))


def test_without_a_policy_everybody_shares_all_cpus(chapters):
    assert "policy   none" in chapters[2]
    assert "0-15  shared by web:app, database:db, cache:redis, dns:coredns and 1 more" in chapters[2]


def test_with_one_a_guaranteed_pod_has_both_threads_of_a_core(chapters):
    assert "policy   topology-aware" in chapters[3]
    assert "has CPUs 8-9 of NUMA node #2 to itself" in chapters[3]


def test_a_shared_set_shrinks_and_grows_again(chapters):
    assert "~ web:app  CPUs 4-7 → CPUs 5-7" in chapters[4]
    assert "~ web:app  CPUs 5-7 → CPUs 4-7" in chapters[4]


def test_who_does_not_fit_is_told_why_and_starts_later(chapters):
    refused, started = chapters[5].split("As soon as")
    assert re.search(r"^  \| ! six:c: .*no pool can hold it; short", refused, re.MULTILINE)
    assert "+ six:c  CPUs 8-10, own all" in started


def test_a_resize_and_a_restart_move_nobody(chapters):
    assert "~ job:worker  CPUs 4 → CPUs 4-6" in chapters[6]
    assert "the daemon starts again\n  |   the picture is the same" in chapters[6]


def test_on_the_larger_machine_each_of_the_burst_is_on_one_numa_node(chapters):
    assert "64 CPUs" in chapters[8]
    nodes = re.findall(r"^  \| │([ \d]+)│\n  \| │([ ·rA-F]+)│$", chapters[8], re.MULTILINE)
    owners = [set(marks.split()) - {"r", "·"} for _, marks in nodes]
    assert sorted(name for own in owners for name in own) == list("ABCDEF"), "nobody is on two of the nodes"


def test_every_command_can_be_copied(chapters):
    typed = re.findall(r"^  \$ (.*)$", "".join(chapters.values()), re.MULTILINE)
    shell = "set -e\n" + "\n".join(typed)
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    subprocess.run(["sh", "-c", shell], check=True, capture_output=True, timeout=120, cwd=ROOT, env={"PATH": path})
