import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(name="made", scope="module")
def make_pages(tmp_path_factory):
    directory = tmp_path_factory.mktemp("docs")
    subprocess.run([sys.executable, REPOSITORY / "hacks" / "make-config-docs", directory], check=True)
    return directory


@pytest.mark.parametrize(
    "page", ["configuration.md", "schema/configuration.json", "provider-config.md", "schema/provider-config.json"]
)
def test_the_pages_about_the_configuration_are_what_the_models_say(made, page):
    assert (REPOSITORY / "docs" / page).read_text() == (made / page).read_text(), "run: make docs"
