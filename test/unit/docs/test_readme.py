"""What the README and the policies' page tell people to type works, as far as it needs neither root nor a node."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "README.md").read_text()
POLICIES = (ROOT / "docs" / "policies.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
LINES = [line for block in BLOCKS for line in block.splitlines()]
RUNNABLE = re.findall(r"^cri-resmgr simulate .*$", TEXT + POLICIES, re.MULTILINE)
MAKE = [line.split()[1] for line in LINES if line.startswith("make ")]


def run(line: str) -> str:
    program, *words = shlex.split(line)
    command = [Path(sys.executable).with_name(program), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, timeout=60).stdout


@pytest.mark.parametrize("line", RUNNABLE)
def test_a_command_of_the_pages_runs_from_the_checkout_and_prints_what_is_shown_below_it(line):
    """`…` stands for what is left out; everything else is there in one piece and in this order."""
    shown = re.search(re.escape(line) + r"\n```\n\n```\n(.*?)^```$", TEXT + POLICIES, re.MULTILINE | re.DOTALL)
    pieces = re.split(r"^    …\n", shown[1], flags=re.MULTILINE)
    assert len(pieces) > 1
    assert re.search(r"^(?:.*\n)*?".join(map(re.escape, pieces)), run(line), re.MULTILINE)


def test_there_is_something_to_run():
    assert RUNNABLE
    assert {"demo", "test"} <= set(MAKE)


def test_every_block_that_is_given_as_a_command_is_run_by_a_test():
    """Those of the section on Gardener by test/e2e/test_readme.py, the others here, or by hacks/run-tests itself."""
    others = re.sub(r"^## Deploy it to Gardener$.*?^(?=## )", "", TEXT, flags=re.MULTILINE | re.DOTALL)
    blocks = re.findall(r"^```sh\n(.*?)^```$", others, re.MULTILINE | re.DOTALL)
    assert [
        block for block in blocks if block not in {"make demo\n", "make test\n", *(f"{line}\n" for line in RUNNABLE)}
    ] == []


@pytest.mark.parametrize("line", re.findall(r"^[$#] (.*)$", TEXT, re.MULTILINE))
def test_a_command_that_needs_more_than_a_test_has_names_what_there_is(line):
    """A block of `console` is not run: programs, targets and files of ours in it must exist."""
    for target in re.findall(r"^make (?:[A-Z]+=\S+ )*([a-z0-9-]+)", line):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [path for path in re.findall(r"(?:examples|hacks)/[\w./-]*\w", line) if not (ROOT / path).exists()] == []


def test_every_make_target_of_the_readme_exists():
    targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(MAKE) | set(re.findall(r"`make ([a-z0-9-]+)", TEXT)) <= set(targets)


@pytest.mark.parametrize("name", re.findall(r"^\| `([a-z-]+)` \| [`\"d]", POLICIES, re.MULTILINE))
def test_every_annotation_of_the_page_is_one_that_the_policy_reads(name):
    sources = [path.read_text() for path in (ROOT / "cri_resmgr" / "policies").rglob("*.py")]
    hinting = (ROOT / "cri_resmgr" / "manager" / "hinting.py").read_text()
    assert any(f'"{name}"' in source for source in sources) or f'"{name}.' in hinting


def test_every_file_that_the_readme_links_to_exists():
    links = re.findall(r"\]\((?!https?:)([^)#]+)", TEXT) + re.findall(r"(?:examples|hacks|docs)/[\w./-]*\w", TEXT)
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_every_link_of_a_page_leads_to_a_file(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
