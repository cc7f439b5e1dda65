import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from equipment import Unavailable
from equipment.guest import libraries

REQUIRES = {
    "app": ['lib>=1; extra == "node"', 'tool; extra == "test"', "base"],
    "lib": ["base", 'old; python_version < "3"'],
    "base": ["lib"],  # a circle
}


@pytest.fixture
def distributions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "requires", REQUIRES.get)


def test_what_a_distribution_needs_depends_on_the_extra_and_on_this_python(distributions):
    assert list(libraries.required("app", "node")) == ["lib", "base"]
    assert list(libraries.required("app")) == ["base"]


def test_all_that_is_needed_is_found_once(distributions):
    assert libraries.closure(["lib"]) == {"lib", "base"}
    assert libraries.closure(["elsewhere"]) == {"elsewhere"}


def test_the_daemons_libraries_are_those_of_the_project_and_the_clients_is_grpcio():
    assert {"protobuf", "structlog", "pyyaml", "pydantic", "grpcio"} <= libraries.names()
    assert not {"pytest", "gardener-extension-cri-resmgr"} & libraries.names()
    assert metadata.version("protobuf") in libraries.versions()


def test_a_copy_can_be_imported_without_our_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(libraries, "names", lambda: {"structlog"})
    libraries.furnish(tmp_path / "libraries")
    path = str(tmp_path / "libraries")
    program = f"import sys; sys.path.insert(0, {path!r}); import structlog; print(structlog.__file__)"
    alone = [sys.executable, "-I", "-S", "-c", program]
    done = subprocess.run(alone, check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith(str(tmp_path))
    assert list((tmp_path / "libraries/structlog/__pycache__").glob("*.pyc"))


def test_libraries_for_another_python_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(libraries, "DEBIAN_PYTHON", (3, 4))
    with pytest.raises(Unavailable, match=r"the guest has Python 3\.4"):
        libraries.furnish(tmp_path)
