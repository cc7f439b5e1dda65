"""What holds for all tests."""

import os

import hypothesis
import pytest

from equipment.lifetimes import Shown

# A loaded machine is slow: examples have no deadline, tests have pytest's.
hypothesis.settings.register_profile("project", deadline=None, print_blob=True)
# In CI a red run is about the change: the examples are the same each time.  Everywhere else they are new ones.
hypothesis.settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "project")


@pytest.fixture(scope="session")
def shown(pytestconfig: pytest.Config) -> Shown:
    """A context in which progress of long work reaches the terminal."""
    return pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled
