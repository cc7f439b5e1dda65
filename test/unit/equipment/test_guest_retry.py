"""What becomes of a test whose guest is lost, in a test run of its own."""

import pytest

pytest_plugins = ["pytester"]

CONFTEST = """
import pytest
from pathlib import Path
from equipment.guest import Lost
from equipment.guest.stand import Stand
from guest.conftest import STAND, pytest_runtest_call, pytest_runtest_makereport, pytest_terminal_summary

class Guest:
    def __init__(self): self.closed = False
    def close(self): self.closed = True
    def console(self): return "the kernel's last words"

class Node:
    def __init__(self): self.guest, self.pods = Guest(), self
    def remove_all(self): pass
    def log(self): return "the daemon's last words"
    def runtime_log(self): return "the runtime's last words"

class Nodes(Stand):
    made = 0
    def _restore(self, machine):
        self.made += 1
        return Node()

@pytest.fixture(scope="session")
def stand(pytestconfig):
    with Nodes(Path()) as stand:
        pytestconfig.stash[STAND] = stand
        yield stand

@pytest.fixture
def machine():
    return "a machine"

@pytest.fixture
def node(stand, machine):
    return stand.node(machine)
"""


def outcome(pytester: pytest.Pytester, test: str) -> pytest.RunResult:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(f"from equipment.guest import Lost\n{test}")
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:asyncio")


def test_a_test_whose_guest_is_lost_is_tried_once_more_on_a_fresh_one_and_the_summary_says_so(pytester):
    result = outcome(
        pytester,
        """
def test_it(node, stand):
    if stand.made == 1:
        raise Lost("no answer")
    assert not node.guest.closed
""",
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["LOST during *test_it*, tried once more on a fresh guest: no answer"])


def test_a_test_that_loses_two_guests_fails(pytester):
    result = outcome(pytester, "def test_it(node):\n    raise Lost('no answer')\n")
    result.assert_outcomes(failed=1)


def test_a_test_that_fails_is_not_tried_again_shows_both_logs_and_takes_its_guest_with_it(pytester):
    result = outcome(
        pytester,
        """
def test_one(node, stand):
    stand.first = node
    assert stand.made == 2

def test_two(node, stand):
    assert stand.first.guest.closed
    assert stand.made == 2
""",
    )
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "*daemon*",
            "the daemon's last words",
            "*runtime*",
            "the runtime's last words",
            "*console*",
            "the kernel's last words",
        ]
    )


def test_a_run_without_guests_says_nothing_of_them(pytester):
    result = outcome(pytester, "def test_it():\n    pass\n")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*= guests =*")
