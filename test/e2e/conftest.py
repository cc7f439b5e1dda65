"""Options as the predecessor's suite had them, the landscape, and what is written down when a case fails."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain.access import Access
from chain.landscape import Landscape as Chain
from chain.local import Local
from chain.user import User
from e2e import dumping
from e2e.landscapes import Real
from equipment import machine
from equipment.kubectl import KubectlError
from equipment.lifetimes import Shown, started
from equipment.stand_ins import BUSYBOX

BUSY_PODS, LATE_S = 3, 75
DEFAULTS = {"--project-namespace": "garden-local"}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("e2e", "the whole chain")
    group.addoption("--kubecfg", default="", help="of the garden of a real landscape; none: the chain of this machine")
    group.addoption("--existing-shoot-name", default="", help="use this Shoot, and leave it there")
    group.addoption("--project-namespace", default="", help="where the Shoot is, or is made")
    group.addoption("--skip-accessing-shoot", action="store_true", help="only cases that need no kubectl in the shoot")
    group.addoption("--label-filter", default="", help="only cases of these labels: enable,disable,config,…")
    group.addoption("--disable-dump", action="store_true", help="write nothing down when a case fails")


def option(config: pytest.Config, name: str) -> str:
    """What was given, or the default: options of this directory are unknown to a run of a directory above."""
    return str(config.getoption(name, default=None) or DEFAULTS.get(name, ""))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "label(*names): what --label-filter knows a case by")
    config.addinivalue_line("markers", "local_only: does something to the landscape that only the chain allows")
    config.addinivalue_line("markers", "garden_only: needs no kubectl in the shoot")
    kubeconfig = option(config, "--kubecfg")
    if kubeconfig and not Path(kubeconfig).is_file():
        pytest.exit(f"--kubecfg {kubeconfig}: no such file; give the kubeconfig of a garden", returncode=2)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    known = {name for item in here for mark in item.iter_markers("label") for name in mark.args}
    wanted = set(filter(None, option(config, "--label-filter").split(",")))
    if here and wanted - known:
        named = ", ".join(sorted(wanted - known))
        pytest.exit(f"--label-filter {named}: no such label; there are {', '.join(sorted(known))}", returncode=2)
    for item in here:
        if reason := _reason_to_skip(config, item, wanted):
            item.add_marker(pytest.mark.skip(reason=reason))


def _reason_to_skip(config: pytest.Config, item: pytest.Item, wanted: set[str]) -> str:
    labels = {name for mark in item.iter_markers("label") for name in mark.args}
    real = option(config, "--kubecfg")
    if wanted and not labels & wanted:
        return f"--label-filter leaves out {', '.join(sorted(labels))}"
    if option(config, "--skip-accessing-shoot") and "garden_only" not in item.keywords:
        return "--skip-accessing-shoot: needs kubectl in the shoot"
    if real and "local_only" in item.keywords:
        return "does to the landscape what only the chain of this machine allows: run it without --kubecfg"
    if not real and not machine.is_root():
        return "makes a machine, cgroups and addresses: run it as root, or give --kubecfg"
    return ""


@pytest.fixture(scope="session")
def chain(pytestconfig: pytest.Config, shown: Shown) -> Iterator[Chain]:
    """The chain of this machine."""
    assert not option(pytestconfig, "--kubecfg"), "a case for any landscape must not ask for the chain"
    with shown():
        made = Chain()
    with started(made, shown):
        yield made


@pytest.fixture(scope="session")
def landscape(pytestconfig: pytest.Config, request: pytest.FixtureRequest) -> Access:
    """With the extension registered."""
    if kubeconfig := option(pytestconfig, "--kubecfg"):
        name = option(pytestconfig, "--existing-shoot-name") or "e2e-default"
        return Real(Path(kubeconfig).absolute(), name, option(pytestconfig, "--project-namespace"))
    local = Local(request.getfixturevalue("chain"))
    local.register()
    return local


@pytest.fixture(scope="session")
def user(pytestconfig: pytest.Config, landscape: Access) -> Iterator[User]:
    """Of a Shoot that is there; whether it has the extension is up to the case."""
    existing = bool(option(pytestconfig, "--existing-shoot-name"))
    made = User(landscape, BUSYBOX)
    if not existing:
        made.create()
    made.wait_reconciled()
    yield made
    if not existing:
        made.delete()


@pytest.fixture
def busy(user: User) -> Iterator[list[str]]:
    """Pods come and go while a case runs; the names of those that were not ready in time."""
    late: list[str] = []
    stop = threading.Event()

    def work() -> None:
        number = 0
        while not stop.is_set():
            name = f"busy-{number % BUSY_PODS}"
            with contextlib.suppress(KubectlError):  # the API server is away, perhaps
                user.delete_pod(name)
                user.create_pod(name, requests={"cpu": "20m"})
                try:
                    user.wait_pod(name, deadline_s=LATE_S)
                except TimeoutError:
                    late.append(name)
                number += 1

    thread = threading.Thread(target=work, name="busy")
    thread.start()
    try:
        yield late
    finally:
        stop.set()
        thread.join(2 * LATE_S)
        for number in range(BUSY_PODS):
            user.delete_pod(f"busy-{number}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if report.failed and not option(item.config, "--disable-dump"):
        landscape = getattr(item, "funcargs", {}).get("landscape") or getattr(
            getattr(item, "funcargs", {}).get("user"), "landscape", None
        )
        if landscape is not None:
            report.sections.append(("state dump", f"in {dumping.dump(landscape, item.name)}"))
    return report
