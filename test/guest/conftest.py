"""A node on a machine of several NUMA nodes, for each test.

Tests of one machine share a guest, see `equipment.guest.stand`: each finds it without pods, and one that fails takes
its guest with it.  A guest that stops answering is nobody's fault: the test is tried once more on a fresh one,
and the summary at the end says so.
"""

import contextlib
from collections.abc import Generator, Iterator

import pytest

from equipment import machine as host
from equipment.guest import JobFailed, Lost
from equipment.guest.node import Node
from equipment.guest.payload import payload
from equipment.guest.stand import Machine, Stand

STAND = pytest.StashKey[Stand]()
TIMEOUT_S = 1500  # the first test of a fresh machine makes image and snapshot
LOG_TAIL_LINES = 60


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without root these tests are skipped: the image is made by mmdebstrap, packages are installed."""
    for item in items:
        if "needs_guest" in item.keywords:
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))
            if not host.is_root():
                item.add_marker(pytest.mark.skip(reason="makes a root file system and installs QEMU: run it as root"))


@pytest.fixture(scope="session")
def stand(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """Gives nodes out."""
    with Stand(payload(tmp_path_factory.mktemp("payload"))) as stand:
        pytestconfig.stash[STAND] = stand
        yield stand


@pytest.fixture(scope="module")
def machine(request: pytest.FixtureRequest) -> Machine:
    """The machine that a test wants, by `on`; of module scope, so that tests of one machine follow each other."""
    topology, init = request.param
    return topology, init


@pytest.fixture
def node(stand: Stand, machine: Machine, pytestconfig: pytest.Config) -> Node:
    """A node without pods."""
    with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        return stand.node(machine)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Try a test whose guest is lost once more."""
    try:
        return (yield)
    except Lost as lost:
        stand: Stand = item.funcargs["stand"]
        stand.lost(item.nodeid, lost)
        item.funcargs["node"] = stand.node(item.funcargs["machine"])
        return item.runtest()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the daemon and the kernel have said when a test fails; its guest goes with it."""
    report = yield
    node = getattr(item, "funcargs", {}).get("node")
    if report.failed and call.when == "call" and node:
        for name, text in (("daemon", node.log), ("runtime", node.runtime_log), ("console", node.guest.console)):
            with contextlib.suppress(Lost, JobFailed):
                report.sections.append(
                    (f"end of the log of the {name}", "\n".join(text().splitlines()[-LOG_TAIL_LINES:]))
                )
        item.funcargs["stand"].discard()
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what guests there were, and which were lost."""
    if stand := config.stash.get(STAND, None):
        terminalreporter.section("guests")
        for event in stand.events:
            terminalreporter.line(event)
